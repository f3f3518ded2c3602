use proptest::prelude::*;

use super::*;
use crate::layout::differences;
use crate::model::IndexLayout;

const FULL: &str = "
KeySchema:
  - {AttributeName: user_id, KeyType: HASH}
  - {AttributeName: created, KeyType: RANGE}
AttributeDefinitions:
  - {AttributeName: user_id, AttributeType: S}
  - {AttributeName: created, AttributeType: N}
  - {AttributeName: status, AttributeType: S}
BillingMode: PROVISIONED
ProvisionedThroughput: {ReadCapacityUnits: 10, WriteCapacityUnits: '20'}
GlobalSecondaryIndexes:
  - IndexName: by_status
    KeySchema:
      - {AttributeName: status, KeyType: HASH}
      - {AttributeName: created, KeyType: RANGE}
    Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [name, email]}
    ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 2}
LocalSecondaryIndexes:
  - IndexName: local
    KeySchema:
      - {AttributeName: user_id, KeyType: HASH}
      - {AttributeName: status, KeyType: RANGE}
    Projection: {ProjectionType: KEYS_ONLY}
";

/// A small valid layout with `more` behind it.
fn with(more: &str) -> String {
    format!(
        "AttributeDefinitions: [{{AttributeName: p, AttributeType: S}}]\n\
         KeySchema: [{{AttributeName: p, KeyType: HASH}}]\n{more}"
    )
}

fn told(text: &str) -> Vec<String> {
    read_layout(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_full_layout_is_read() {
    let layout = read_layout(FULL).unwrap();
    assert_eq!(layout.partition_key, ("user_id".into(), KeyType::S));
    assert_eq!(layout.sort_key, Some(("created".into(), KeyType::N)));
    assert_eq!(layout.billing, Billing::Provisioned(Throughput { read_units: 10, write_units: 20 }));
    assert_eq!(
        layout.global_indexes["by_status"],
        IndexLayout {
            partition_keys: vec![("status".into(), KeyType::S)],
            sort_keys: vec![("created".into(), KeyType::N)],
            projection: Projection::Include(vec!["name".into(), "email".into()]),
            throughput: Some(Throughput { read_units: 1, write_units: 2 }),
        }
    );
    assert_eq!(layout.local_indexes["local"].projection, Projection::KeysOnly);
}

#[test]
fn json_is_read_by_the_same_parser() {
    let json = r#"{
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexes": null
    }"#;
    let yaml = "
AttributeDefinitions:
- AttributeName: p
  AttributeType: N
KeySchema:
- AttributeName: p
  KeyType: HASH
BillingMode: PAY_PER_REQUEST
";
    assert_eq!(differences(&read_layout(json).unwrap(), &read_layout(yaml).unwrap()), []);
}

#[test]
fn bad_yaml_is_told_with_its_place() {
    let problems = read_layout("KeySchema: [\n  {AttributeName: p\n").unwrap_err();
    assert!(problems[0].place.is_some(), "{problems:?}");
    assert!(problems[0].what.starts_with("the file cannot be read as YAML or JSON"), "{problems:?}");
    assert!(told(&with("BillingMode: !Ref Mode\n"))[0].contains("cannot be read"));
    assert!(told(&with("BillingMode: PAY_PER_REQUEST\nBillingMode: PROVISIONED\n"))[0].starts_with("line 4, column 1"));
    assert_eq!(
        told(""),
        ["expected properties (AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, LocalSecondaryIndexes, \
          BillingMode, ProvisionedThroughput), found nothing"]
        .into_iter()
        .chain(["AttributeDefinitions: missing", "KeySchema: missing"])
        .chain([
            "ProvisionedThroughput: missing: BillingMode PROVISIONED, the default, needs it; or say PAY_PER_REQUEST"
        ])
        .collect::<Vec<_>>()
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_path_and_place() {
    let text = with(
        "BillingMode: PAY_PER_REQUEST
TableName: orders
Tags: []
KeyShema: []
GlobalSecondaryIndexes:
  - IndexName: a!
    KeySchema: [{AttributeName: q, KeyType: HASH}, {AttributeName: p, KeyType: SORT}]
    Projection: {ProjectionType: KEYS_ONLY, NonKeyAttributes: [x]}
    ProvisionedThroughput: {ReadCapacityUnits: 0, WriteCapacityUnits: many}
  - IndexName: 123
    KeySchema: [{AttributeName: q, KeyType: HASH}]
    Projection: {ProjectionType: INCLUDE}
    WarmThroughput: {}
",
    );
    insta::assert_snapshot!(told(&text).join("\n"), @r#"
    line 4, column 1: TableName: a layout names no table: tables are named in the configuration; take this out
    line 5, column 1: Tags: not supported yet: a layout is about keys, indexes and billing for now; take this out and set it on the new table yourself, before the switch
    line 6, column 1: KeyShema: there is no such key; did you mean KeySchema?
    line 8, column 16: GlobalSecondaryIndexes[0].IndexName: "a!" is no index name: 3 to 255 of a-z, A-Z, 0-9, _, . and -
    line 9, column 80: GlobalSecondaryIndexes[0].KeySchema[1].KeyType: expected HASH or RANGE, found "SORT"
    line 10, column 63: GlobalSecondaryIndexes[0].Projection.NonKeyAttributes: only INCLUDE has a list of attributes; take this out, or say INCLUDE
    line 11, column 28: GlobalSecondaryIndexes[0].ProvisionedThroughput: PAY_PER_REQUEST has no throughput; take this out, or say PROVISIONED
    line 11, column 48: GlobalSecondaryIndexes[0].ProvisionedThroughput.ReadCapacityUnits: expected a whole number of capacity units per second, at least 1
    line 11, column 71: GlobalSecondaryIndexes[0].ProvisionedThroughput.WriteCapacityUnits: expected a whole number of capacity units per second, at least 1
    line 12, column 16: GlobalSecondaryIndexes[1].IndexName: expected text, found a number; write it in quotes
    line 13, column 17: GlobalSecondaryIndexes[1].KeySchema[0]: q has no AttributeDefinitions entry; add one
    line 14, column 17: GlobalSecondaryIndexes[1].Projection.NonKeyAttributes: missing: INCLUDE needs the list of attributes to include
    line 15, column 5: GlobalSecondaryIndexes[1].WarmThroughput: not supported yet: a layout is about keys, indexes and billing for now; take this out and set it on the new table yourself, before the switch
    "#);
}

#[test]
fn keys_are_checked_against_their_definitions() {
    let text = "
BillingMode: PAY_PER_REQUEST
AttributeDefinitions:
  - {AttributeName: p, AttributeType: S}
  - {AttributeName: p, AttributeType: N}
  - {AttributeName: unused, AttributeType: B}
  - {AttributeName: q, AttributeType: BOOL}
KeySchema: [{AttributeName: q, KeyType: RANGE}, {AttributeName: p, KeyType: HASH}, {AttributeName: p, KeyType: HASH}]
LocalSecondaryIndexes:
  - IndexName: local
    KeySchema: [{AttributeName: other, KeyType: HASH}]
    Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [p, x, x]}
  - IndexName: local
    KeySchema: [{AttributeName: p, KeyType: HASH}, {AttributeName: q, KeyType: RANGE}]
    Projection: {ProjectionType: ALL}
    ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}
";
    insta::assert_snapshot!(told(text).join("\n"), @r#"
    line 5, column 5: AttributeDefinitions[1]: p is defined twice; keep one of them
    line 6, column 5: AttributeDefinitions[2]: unused is in no key; DynamoDB wants definitions of key attributes alone, so take this out
    line 7, column 39: AttributeDefinitions[3].AttributeType: expected S or N or B, found "BOOL"
    line 8, column 12: KeySchema: this key has one HASH attribute and at most one RANGE, not 2 HASH and 1 RANGE
    line 8, column 49: KeySchema[1]: HASH attributes come before RANGE ones
    line 8, column 84: KeySchema[2]: p is in this key already
    line 8, column 84: KeySchema[2]: HASH attributes come before RANGE ones
    line 11, column 16: LocalSecondaryIndexes[0].KeySchema: a local index has the table's partition key p, not other
    line 11, column 16: LocalSecondaryIndexes[0].KeySchema: a local index needs a RANGE attribute
    line 11, column 17: LocalSecondaryIndexes[0].KeySchema[0]: other has no AttributeDefinitions entry; add one
    line 12, column 61: LocalSecondaryIndexes[0].Projection.NonKeyAttributes: p is a key attribute, which the index holds anyway; take it out
    line 12, column 61: LocalSecondaryIndexes[0].Projection.NonKeyAttributes: x is listed twice
    line 13, column 16: LocalSecondaryIndexes[1].IndexName: another index is called local too; give each its own name
    line 16, column 5: LocalSecondaryIndexes[1].ProvisionedThroughput: a local index has no throughput of its own; it uses the table's; take this out
    "#);
}

#[test]
fn a_table_with_local_indexes_needs_a_sort_key() {
    let text = "
BillingMode: PAY_PER_REQUEST
AttributeDefinitions: [{AttributeName: p, AttributeType: S}, {AttributeName: s, AttributeType: S}]
KeySchema: [{AttributeName: p, KeyType: HASH}]
LocalSecondaryIndexes:
  - IndexName: local
    KeySchema: [{AttributeName: p, KeyType: HASH}, {AttributeName: s, KeyType: RANGE}]
    Projection: {ProjectionType: ALL}
";
    assert_eq!(
        told(text),
        ["line 4, column 12: KeySchema: a table with local indexes needs a RANGE attribute of its own"]
    );
}

#[test]
fn a_global_index_may_have_four_attributes_of_each_role() {
    let text = |count: usize| {
        let names: Vec<String> = (0..count).map(|i| format!("a{i}")).collect();
        let definitions: Vec<String> =
            names.iter().map(|name| format!("{{AttributeName: {name}, AttributeType: S}}")).collect();
        let keys: Vec<String> = names.iter().map(|name| format!("{{AttributeName: {name}, KeyType: HASH}}")).collect();
        format!(
            "BillingMode: PAY_PER_REQUEST\n\
             AttributeDefinitions: [{{AttributeName: p, AttributeType: S}}, {}]\n\
             KeySchema: [{{AttributeName: p, KeyType: HASH}}]\n\
             GlobalSecondaryIndexes: [{{IndexName: wide, KeySchema: [{}], Projection: {{ProjectionType: ALL}}}}]\n",
            definitions.join(", "),
            keys.join(", ")
        )
    };
    assert_eq!(read_layout(&text(4)).unwrap().global_indexes["wide"].partition_keys.len(), 4);
    assert!(told(&text(5))[0].contains("one to four HASH attributes and up to four RANGE, not 5 HASH and 0 RANGE"));
}

#[test]
fn counts_are_limited_as_the_service_limits_them() {
    let index = |name: usize, attributes: usize| {
        let list: Vec<String> = (0..attributes).map(|i| format!("x{i}")).collect();
        format!(
            "  - {{IndexName: index{name}, KeySchema: [{{AttributeName: p, KeyType: HASH}}], Projection: \
             {{ProjectionType: INCLUDE, NonKeyAttributes: [{}]}}}}\n",
            list.join(", ")
        )
    };
    let text = |indexes: usize, attributes: usize| {
        let all: String = (0..indexes).map(|name| index(name, attributes)).collect();
        with(&format!("BillingMode: PAY_PER_REQUEST\nGlobalSecondaryIndexes:\n{all}"))
    };
    assert!(read_layout(&text(20, 5)).is_ok());
    let problems = told(&text(21, 5));
    assert!(
        problems[1].contains("list 105 NonKeyAttributes in all") && problems[0].contains("20 global indexes at most"),
        "{problems:?}"
    );
}

#[test]
fn provisioned_tables_need_throughput_everywhere() {
    let text = with(
        "ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1.5}
GlobalSecondaryIndexes:
  - {IndexName: one, KeySchema: [{AttributeName: p, KeyType: HASH}], Projection: {ProjectionType: ALL}}
",
    );
    assert_eq!(
        told(&text),
        ["line 3, column 67: ProvisionedThroughput.WriteCapacityUnits: expected a whole number of capacity units per \
          second, at least 1"]
    );
    assert_eq!(
        told(&text.replace("1.5", "1")),
        ["line 5, column 5: GlobalSecondaryIndexes[0].ProvisionedThroughput: missing: every global index of a \
          PROVISIONED table needs it"]
    );
}

#[test]
fn whole_templates_are_recognised() {
    assert!(told("Type: AWS::DynamoDB::Table\nProperties: {}\n")[1].contains("give the contents of its Properties"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".*", at in 0..FULL.len(), cut in 0..40usize) {
        let _ = read_layout(&text);
        let mangled = format!("{}{}", &FULL[..at], &FULL[(at + cut).min(FULL.len())..]);
        let _ = read_layout(&mangled);
    }
}
