//! The known name that an unknown one probably meant.

/// The candidate nearest to `name`, if any is near: at most a third of its letters, but at least two, may differ. Capitals do
/// not count.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(2);
    let slips = |candidate: &str| strsim::levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (slips(candidate), candidate))
        .filter(|(slips, candidate)| *slips <= allowed && *slips < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_few_slips_away_is_suggested() {
        assert_eq!(nearest("reigon", ["region", "table"]), Some("region"));
        let known = ["KeySchema", "Projection", "BillingMode"];
        assert_eq!(nearest("keyschema", known), Some("KeySchema"));
        assert_eq!(nearest("KeyShema", known), Some("KeySchema"));
    }

    #[test]
    fn far_names_are_not_suggested() {
        let known = ["region", "table"];
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("Billing", ["BillingMode"]), None);
    }
}
