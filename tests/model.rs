//! The protocol's model within small bounds: see `testkit::model`.

#[cfg(test)]
mod tests {
    use testkit::model::catalogue::{CASES, Case, REMOVALS};
    use testkit::model::rules::{Guards, Invariant, Rule};

    /// With all rules, nothing goes wrong, and everything that should be possible is.
    fn hold(wanted: impl Fn(&Case) -> bool) {
        for case in CASES.into_iter().filter(|case| wanted(case)) {
            let outcome = case.explore(Guards::default());
            println!("{outcome}");
            assert!(outcome.counterexample.is_none() && outcome.unseen.is_empty(), "{outcome}");
        }
    }

    /// Without one rule, something goes wrong.
    fn fail(wanted: impl Fn(Rule, &Case) -> bool) {
        for (rule, case) in REMOVALS.into_iter().filter(|(rule, case)| wanted(*rule, case)) {
            let outcome = case.explore(Guards::without(rule));
            println!("without {rule}: {outcome}");
            assert!(outcome.counterexample.is_some(), "nothing goes wrong without {rule}: {outcome}");
        }
    }

    #[test]
    fn copy_beside_tail_loses_nothing() {
        hold(|case| matches!(case, Case::Replication(_)));
    }

    #[test]
    fn a_takeover_loses_nothing() {
        hold(|case| matches!(case, Case::Takeover(_)));
    }

    #[test]
    fn items_that_claim_one_shadow_key_lose_nothing_and_all_collisions_are_shown() {
        hold(|case| matches!(case, Case::Ownership(_)));
    }

    #[test]
    fn a_cutover_loses_nothing_and_opens_no_two_tables() {
        hold(|case| matches!(case, Case::Cutover(_)));
    }

    #[test]
    fn each_of_the_eight_invariants_is_needed() {
        fail(|rule, _| matches!(rule, Rule::Whole(_)));
        let whole = |invariant| REMOVALS.iter().any(|(rule, _)| *rule == Rule::Whole(invariant));
        assert!(Invariant::ALL.into_iter().all(whole));
    }

    #[test]
    fn each_part_of_an_invariant_is_needed() {
        fail(|rule, _| rule.invariant().is_some() && !matches!(rule, Rule::Whole(_)));
    }

    #[test]
    fn each_rule_of_ownership_and_of_a_cutover_is_needed() {
        fail(|rule, _| rule.invariant().is_none());
    }

    #[test]
    fn no_path_comes_back_to_where_it_was() {
        for case in CASES {
            let found = case.cycle();
            assert!(found.is_ok(), "{case:?}: {found:#?}");
        }
    }
}
