//! The known name that an unknown one probably meant.

/// The candidate nearest to `name`, if any is near: at most a third of its letters, but at least two, may differ.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(2);
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace until one name becomes the other (Levenshtein), capitals aside.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.to_lowercase().chars().enumerate() {
        let mut left = line + 1;
        let mut next = vec![left];
        for (theirs, above) in other.iter().zip(row.windows(2)) {
            let &[diagonal, above] = above else { continue };
            left = (left + 1).min(above + 1).min(diagonal + usize::from(*theirs != letter));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("segmnts", "segments"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("Region", "region"), 0);
    }

    #[test]
    fn far_names_are_not_suggested() {
        let known = ["region", "table"];
        assert_eq!(nearest("reigon", known.into_iter()), Some("region"));
        assert_eq!(nearest("colour", known.into_iter()), None);
        assert_eq!(nearest("x", known.into_iter()), None);
    }
}
