//! The made-up table: approvals of tasks, as rules demanded them of users.
//!
//! Its index answers "what is waiting for this user", but was made without `matching_rule_ids`, and a projection cannot
//! be changed in place: that is what the migration is for. The items use every type there is.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;

use crate::model::{AttributeValue, Billing, Blob, IndexLayout, Item, KeyType, Projection, TableLayout};

/// The live table.
pub(super) const SOURCE: &str = "TaskApprovals";
/// The table being built.
pub(super) const SHADOW: &str = "TaskApprovals-v2";
/// The state table.
pub(super) const STATE: &str = "shadowtable-state";
/// The table that holds the application's settings.
pub(super) const SETTINGS: &str = "application-settings";
/// The attribute of a setting that names the table which the application uses.
pub(super) const POINTER_ATTRIBUTE: &str = "value";
/// The index whose projection lacks an attribute.
pub(super) const INDEX: &str = "user_id-status-index";
/// That attribute.
pub(super) const LACKING: &str = "matching_rule_ids";
/// Users who approve.
const USERS: u32 = 400;
/// Approvals of one task.
const PER_TASK: u32 = 3;

/// The layout that the table has.
pub(super) fn source_layout() -> TableLayout {
    layout(&["amount"])
}

/// The layout that it should have.
pub(super) fn target_layout() -> TableLayout {
    layout(&["amount", LACKING])
}

/// The layout of the application's settings.
pub(super) fn settings_layout() -> TableLayout {
    TableLayout {
        partition_key: ("name".to_owned(), KeyType::S),
        sort_key: None,
        global_indexes: BTreeMap::new(),
        local_indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
    }
}

/// The key of the item that names the table.
pub(super) fn pointer_key() -> HashMap<String, AttributeValue> {
    [("name".to_owned(), text("approvals-table"))].into()
}

fn layout(projected: &[&str]) -> TableLayout {
    let key = |name: &str| (name.to_owned(), KeyType::S);
    let index = IndexLayout {
        partition_keys: vec![key("user_id")],
        sort_keys: vec![key("status")],
        projection: Projection::Include(projected.iter().map(|&name| name.to_owned()).collect()),
        throughput: None,
    };
    TableLayout {
        partition_key: key("task_id"),
        sort_key: Some(key("approval_id")),
        global_indexes: [(INDEX.to_owned(), index)].into(),
        local_indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
    }
}

/// One approval's primary key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ApprovalKey {
    pub(super) task_id: String,
    pub(super) approval_id: String,
}

impl ApprovalKey {
    /// The key of the table's n-th item.
    pub(super) fn numbered(number: u32) -> Self {
        Self {
            task_id: format!("task-{:07}", number / PER_TASK),
            approval_id: format!("approval-{}", number % PER_TASK + 1),
        }
    }

    /// As attributes.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        [("task_id".to_owned(), text(&self.task_id)), ("approval_id".to_owned(), text(&self.approval_id))].into()
    }
}

/// An approval, drawn from `rng`.
pub(super) fn approval(key: &ApprovalKey, rng: &mut Rng) -> Item {
    let mut attributes = key.attributes();
    let rest = [
        ("user_id", text(&format!("user-{:04}", rng.u32(..USERS)))),
        ("status", text(one_of(rng, &["PENDING", "PENDING", "APPROVED", "REJECTED"]))),
        (LACKING, AttributeValue::Ss((0..=rng.u32(..4)).map(|rule| format!("rule-{}", rule * 100 + 17)).collect())),
        ("amount", AttributeValue::N(amount(rng))),
        ("currency", text(one_of(rng, &["EUR", "USD", "JPY", "CHF"]))),
        ("exchange_rate", AttributeValue::N(format!("{}.{}E-{}", rng.u32(1..10), digits(rng, 20), rng.u32(..12)))),
        ("revision", number(1)),
        (
            "requested_at",
            text(&format!("2026-{:02}-{:02}T08:{:02}:00Z", rng.u32(1..13), rng.u32(1..29), rng.u32(..60))),
        ),
        ("note", text(one_of(rng, &["", "bitte prüfen", "至急ご確認ください", "see attachment ✓"]))),
        ("thresholds", AttributeValue::Ns((0..3).map(|step| (step * 1000 + rng.u32(..999)).to_string()).collect())),
        ("signature", AttributeValue::B(blob(rng, 48))),
        ("attachment_digests", AttributeValue::Bs((0..2).map(|_| blob(rng, 32)).collect())),
        ("policy", policy(rng)),
        ("history", AttributeValue::L((0..rng.u32(1..4)).map(|step| event("requested", step)).collect())),
    ];
    attributes.extend(rest.map(|(name, value)| (name.to_owned(), value)));
    Item::new(attributes)
}

/// A line of an approval's history.
pub(super) fn event(what: &str, step: u32) -> AttributeValue {
    map([("what", text(what)), ("step", number(step)), ("by_machine", AttributeValue::Bool(step == 0))])
}

fn policy(rng: &mut Rng) -> AttributeValue {
    let level = |rng: &mut Rng, role: &str| map([("role", text(role)), ("up_to", AttributeValue::N(amount(rng)))]);
    let levels = AttributeValue::L(vec![level(rng, "lead"), level(rng, "director"), level(rng, "board")]);
    map([
        ("name", text(one_of(rng, &["travel", "hardware", "hiring"]))),
        ("levels", levels),
        ("fallback", AttributeValue::Null(true)),
        ("limits", map([("per_day", number(rng.u32(1..50))), ("empty", map([]))])),
    ])
}

/// Up to the 38 digits that the service keeps, which no float holds.
fn amount(rng: &mut Rng) -> String {
    format!("{}{}.{}", rng.u32(1..10), digits(rng, 17), digits(rng, 20))
}

fn digits(rng: &mut Rng, count: usize) -> String {
    (0..count).map(|_| rng.digit(10)).collect()
}

fn blob(rng: &mut Rng, bytes: usize) -> Blob {
    let mut filled = vec![0; bytes];
    rng.fill(&mut filled);
    Blob::new(filled)
}

fn one_of<'a>(rng: &mut Rng, choices: &[&'a str]) -> &'a str {
    rng.choice(choices).copied().unwrap_or_default()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn map<const N: usize>(entries: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::differences;

    #[test]
    fn the_layouts_differ_in_the_projection_alone() {
        let found = differences(&target_layout(), &source_layout());
        assert_eq!(found.len(), 1);
        assert_eq!(source_layout().key_schema(), target_layout().key_schema());
    }

    #[test]
    fn a_seed_makes_the_same_item_again_and_it_is_about_a_kilobyte() {
        let key = ApprovalKey::numbered(7);
        let item = approval(&key, &mut Rng::with_seed(3));
        assert!(item.same_as(&approval(&key, &mut Rng::with_seed(3))));
        assert!(!item.same_as(&approval(&key, &mut Rng::with_seed(4))));
        let bytes = item.measure().unwrap().stored_bytes;
        assert!((600..1_600).contains(&bytes), "{bytes}");
    }

    #[test]
    fn keys_are_distinct() {
        let keys: std::collections::HashSet<_> = (0..1_000).map(ApprovalKey::numbered).collect();
        assert_eq!(keys.len(), 1_000);
    }
}
