//! What a table has otherwise than it should.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::{Billing, IndexLayout, KeyType, Projection, TableLayout, Throughput};

/// One property that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    path: String,
    expected: String,
    found: String,
    capacity: bool,
}

impl Difference {
    /// The property, with CloudFormation's names: `GlobalSecondaryIndexes.by_status.Projection`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it should be.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What it is.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// It is a number of provisioned capacity units. Autoscaling changes those, so they are worth telling but refuse
    /// nothing.
    pub fn is_capacity(&self) -> bool {
        self.capacity
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: expected {}, found {}", self.path, self.expected, self.found)
    }
}

/// All differences, the table's own first, then by index. None exactly when the layouts mean the same.
pub fn differences(expected: &TableLayout, actual: &TableLayout) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    found.compare("KeySchema", &table_keys(expected), &table_keys(actual));
    found.billing(expected, actual);
    found.indexes("GlobalSecondaryIndexes", &expected.global_indexes, &actual.global_indexes);
    found.indexes("LocalSecondaryIndexes", &expected.local_indexes, &actual.local_indexes);
    found.0
}

struct Found(Vec<Difference>);

impl Found {
    fn compare(&mut self, path: &str, expected: &str, found: &str) {
        self.add(path, expected, found, false);
    }

    fn add(&mut self, path: &str, expected: &str, found: &str, capacity: bool) {
        if expected != found {
            let (expected, found) = (expected.to_owned(), found.to_owned());
            self.0.push(Difference { path: path.to_owned(), expected, found, capacity });
        }
    }

    fn billing(&mut self, expected: &TableLayout, actual: &TableLayout) {
        let mode = |layout: &TableLayout| match layout.billing {
            Billing::OnDemand => "PAY_PER_REQUEST",
            Billing::Provisioned(_) => "PROVISIONED",
        };
        self.compare("BillingMode", mode(expected), mode(actual));
        if let (Billing::Provisioned(expected), Billing::Provisioned(actual)) = (expected.billing, actual.billing) {
            self.throughput("ProvisionedThroughput", expected, actual);
        }
    }

    fn throughput(&mut self, path: &str, expected: Throughput, actual: Throughput) {
        let pairs = [
            ("ReadCapacityUnits", expected.read_units, actual.read_units),
            ("WriteCapacityUnits", expected.write_units, actual.write_units),
        ];
        for (name, expected, actual) in pairs {
            self.add(&format!("{path}.{name}"), &expected.to_string(), &actual.to_string(), true);
        }
    }

    fn indexes(
        &mut self,
        list: &str,
        expected: &BTreeMap<String, IndexLayout>,
        actual: &BTreeMap<String, IndexLayout>,
    ) {
        let names: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
        for name in names {
            let path = format!("{list}.{name}");
            match (expected.get(name), actual.get(name)) {
                (Some(expected), Some(actual)) => self.index(&path, expected, actual),
                (Some(_), None) => self.compare(&path, "an index", "none"),
                (None, _) => self.compare(&path, "none", "an index"),
            }
        }
    }

    fn index(&mut self, path: &str, expected: &IndexLayout, actual: &IndexLayout) {
        let keys = |index: &IndexLayout| key_text(&index.partition_keys, &index.sort_keys);
        self.compare(&format!("{path}.KeySchema"), &keys(expected), &keys(actual));
        let projection = |index: &IndexLayout| projection_text(&index.projection);
        self.compare(&format!("{path}.Projection"), &projection(expected), &projection(actual));
        // One that only one side has follows from the billing mode, which has been compared.
        if let (Some(expected), Some(actual)) = (expected.throughput, actual.throughput) {
            self.throughput(&format!("{path}.ProvisionedThroughput"), expected, actual);
        }
    }
}

fn table_keys(layout: &TableLayout) -> String {
    key_text(std::slice::from_ref(&layout.partition_key), layout.sort_key.as_slice())
}

/// `user_id HASH (S), created RANGE (N)`.
fn key_text(partition: &[(String, KeyType)], sort: &[(String, KeyType)]) -> String {
    let text = |role: &'static str| move |(name, kind): &(String, KeyType)| format!("{name} {role} ({kind:?})");
    let all: Vec<String> = partition.iter().map(text("HASH")).chain(sort.iter().map(text("RANGE"))).collect();
    all.join(", ")
}

fn projection_text(projection: &Projection) -> String {
    match projection {
        Projection::KeysOnly => "KEYS_ONLY".to_owned(),
        Projection::All => "ALL".to_owned(),
        Projection::Include(names) => {
            let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            format!("INCLUDE({})", names.into_iter().collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(projection: Projection) -> TableLayout {
        let index = IndexLayout {
            partition_keys: vec![("user_id".into(), KeyType::S)],
            sort_keys: vec![("status".into(), KeyType::S)],
            projection,
            throughput: Some(Throughput { read_units: 5, write_units: 5 }),
        };
        TableLayout {
            partition_key: ("id".into(), KeyType::S),
            sort_key: None,
            global_indexes: [("user_id-status-index".to_owned(), index)].into(),
            local_indexes: BTreeMap::new(),
            billing: Billing::Provisioned(Throughput { read_units: 5, write_units: 5 }),
        }
    }

    fn told(expected: &TableLayout, actual: &TableLayout) -> Vec<String> {
        differences(expected, actual).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_order_of_included_attributes_is_no_difference() {
        let one = layout(Projection::Include(vec!["a".into(), "b".into()]));
        let other = layout(Projection::Include(vec!["b".into(), "a".into()]));
        assert_eq!(differences(&one, &other), []);
    }

    #[test]
    fn every_field_is_compared_and_told_by_its_path() {
        let expected = layout(Projection::Include(vec!["b".into(), "a".into()]));
        let mut actual = layout(Projection::KeysOnly);
        actual.sort_key = Some(("created".into(), KeyType::N));
        actual.billing = Billing::OnDemand;
        let index = actual.global_indexes.get_mut("user_id-status-index").unwrap();
        index.sort_keys.clear();
        index.throughput = None;
        actual.local_indexes.insert("extra".into(), expected.global_indexes["user_id-status-index"].clone());
        assert_eq!(
            told(&expected, &actual),
            [
                "KeySchema: expected id HASH (S), found id HASH (S), created RANGE (N)",
                "BillingMode: expected PROVISIONED, found PAY_PER_REQUEST",
                "GlobalSecondaryIndexes.user_id-status-index.KeySchema: expected user_id HASH (S), status RANGE (S), found user_id HASH (S)",
                "GlobalSecondaryIndexes.user_id-status-index.Projection: expected INCLUDE(a, b), found KEYS_ONLY",
                "LocalSecondaryIndexes.extra: expected none, found an index",
            ]
        );
        assert!(differences(&expected, &actual).iter().all(|difference| !difference.is_capacity()));
    }

    #[test]
    fn capacity_numbers_are_told_apart() {
        let expected = layout(Projection::All);
        let mut actual = expected.clone();
        actual.billing = Billing::Provisioned(Throughput { read_units: 5, write_units: 50 });
        actual.global_indexes.get_mut("user_id-status-index").unwrap().throughput =
            Some(Throughput { read_units: 7, write_units: 5 });
        let found = differences(&expected, &actual);
        assert!(found.len() == 2 && found.iter().all(Difference::is_capacity));
        assert_eq!(found[0].to_string(), "ProvisionedThroughput.WriteCapacityUnits: expected 5, found 50");
        assert_eq!(
            found[1].path(),
            "GlobalSecondaryIndexes.user_id-status-index.ProvisionedThroughput.ReadCapacityUnits"
        );
    }
}
