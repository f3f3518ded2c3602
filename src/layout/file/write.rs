//! A layout as a file that [`super::read_layout`] reads back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::{Billing, IndexLayout, KeyType, Projection, TableLayout, Throughput};

/// The layout as properties of `AWS::DynamoDB::Table`, in YAML.
pub fn write_layout(layout: &TableLayout) -> String {
    let mut out = String::from("AttributeDefinitions:\n");
    for (name, kind) in attributes(layout) {
        line(&mut out, 2, &format!("- AttributeName: {}", text(&name)));
        line(&mut out, 4, &format!("AttributeType: {kind:?}"));
    }
    keys(&mut out, 0, std::slice::from_ref(&layout.partition_key), layout.sort_key.as_slice());
    indexes(&mut out, "GlobalSecondaryIndexes", &layout.global_indexes);
    indexes(&mut out, "LocalSecondaryIndexes", &layout.local_indexes);
    match layout.billing {
        Billing::OnDemand => line(&mut out, 0, "BillingMode: PAY_PER_REQUEST"),
        Billing::Provisioned(units) => {
            line(&mut out, 0, "BillingMode: PROVISIONED");
            throughput(&mut out, 0, units);
        }
    }
    out
}

fn line(out: &mut String, indent: usize, content: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:indent$}{content}", "");
}

/// Every key attribute, once. Attributes that indexes share have one type.
fn attributes(layout: &TableLayout) -> BTreeSet<(String, KeyType)> {
    let indexes = layout.global_indexes.values().chain(layout.local_indexes.values());
    let of_indexes = indexes.flat_map(|index| index.partition_keys.iter().chain(&index.sort_keys));
    [&layout.partition_key].into_iter().chain(&layout.sort_key).chain(of_indexes).cloned().collect()
}

fn keys(out: &mut String, indent: usize, partition: &[(String, KeyType)], sort: &[(String, KeyType)]) {
    line(out, indent, "KeySchema:");
    let hash = partition.iter().map(|(name, _)| (name, "HASH"));
    for (name, role) in hash.chain(sort.iter().map(|(name, _)| (name, "RANGE"))) {
        line(out, indent + 2, &format!("- AttributeName: {}", text(name)));
        line(out, indent + 4, &format!("KeyType: {role}"));
    }
}

fn indexes(out: &mut String, property: &str, indexes: &BTreeMap<String, IndexLayout>) {
    if indexes.is_empty() {
        return;
    }
    line(out, 0, &format!("{property}:"));
    for (name, index) in indexes {
        line(out, 2, &format!("- IndexName: {}", text(name)));
        keys(out, 4, &index.partition_keys, &index.sort_keys);
        line(out, 4, "Projection:");
        match &index.projection {
            Projection::KeysOnly => line(out, 6, "ProjectionType: KEYS_ONLY"),
            Projection::All => line(out, 6, "ProjectionType: ALL"),
            Projection::Include(names) => {
                line(out, 6, "ProjectionType: INCLUDE");
                line(out, 6, "NonKeyAttributes:");
                for name in names {
                    line(out, 8, &format!("- {}", text(name)));
                }
            }
        }
        if let Some(units) = index.throughput {
            throughput(out, 4, units);
        }
    }
}

fn throughput(out: &mut String, indent: usize, Throughput { read_units, write_units }: Throughput) {
    line(out, indent, "ProvisionedThroughput:");
    line(out, indent + 2, &format!("ReadCapacityUnits: {read_units}"));
    line(out, indent + 2, &format!("WriteCapacityUnits: {write_units}"));
}

/// Text that YAML takes for nothing else.
fn text(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    let word = name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && name.chars().all(is_plain);
    // One of a few letters may be a boolean or nothing in some YAML: `no`, `y`, `null`.
    if word && name.len() > 5 { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::read_layout;
    use super::*;

    fn index(partition: &[&str], sort: &[&str], projection: Projection, units: Option<Throughput>) -> IndexLayout {
        let keys = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), KeyType::S)).collect();
        IndexLayout { partition_keys: keys(partition), sort_keys: keys(sort), projection, throughput: units }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let units = Some(Throughput { read_units: 5, write_units: 6 });
        let include =
            Projection::Include(vec!["customer".into(), "null".into(), "a: b\n\"c\" #d".into(), "1e3".into()]);
        let on_demand = TableLayout {
            partition_key: ("id".into(), KeyType::N),
            sort_key: None,
            global_indexes: [
                ("by-status".to_owned(), index(&["status"], &["updated"], include, None)),
                ("many".to_owned(), index(&["a", "b", "c"], &["d", "e"], Projection::All, None)),
            ]
            .into(),
            local_indexes: BTreeMap::new(),
            billing: Billing::OnDemand,
        };
        let provisioned = TableLayout {
            partition_key: ("tenant id".into(), KeyType::S),
            sort_key: Some(("yes".into(), KeyType::B)),
            global_indexes: [("by-status".to_owned(), index(&["status"], &[], Projection::KeysOnly, units))].into(),
            local_indexes: [("local".to_owned(), index(&["tenant id"], &["time"], Projection::All, None))].into(),
            billing: Billing::Provisioned(Throughput { read_units: 1, write_units: 2 }),
        };
        for layout in [on_demand, provisioned] {
            let written = write_layout(&layout);
            assert_eq!(read_layout(&written), Ok(layout), "{written}");
        }
    }
}
