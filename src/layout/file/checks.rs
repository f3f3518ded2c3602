//! What must hold between the parts of a layout, and the layout made of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{At, Problems};
use crate::model::{Billing, IndexLayout, KeyType, Projection, TableLayout, Throughput};

/// Global secondary indexes of one table (service quotas).
const MOST_GLOBAL_INDEXES: usize = 20;
/// Local secondary indexes of one table (service quotas).
const MOST_LOCAL_INDEXES: usize = 5;
/// Attributes listed by all indexes of one table together, repeated ones counted each time (API reference, `Projection`).
const MOST_PROJECTED_ATTRIBUTES: usize = 100;
/// HASH attributes, and as many RANGE attributes, of a global index's key (API reference, `GlobalSecondaryIndex`).
const MOST_INDEX_KEYS_PER_ROLE: usize = 4;
/// Bytes of the name of a key attribute or of one that an index lists (service quotas).
const MOST_NAME_BYTES: usize = 255;

/// What part an attribute has in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Hash,
    Range,
}

/// An element of a key schema.
#[derive(Clone, Debug)]
pub(super) struct DeclaredKey {
    pub(super) at: At,
    pub(super) name: String,
    pub(super) role: Role,
}

/// An index, as far as it could be read. What could not has been reported.
#[derive(Clone, Debug)]
pub(super) struct DeclaredIndex {
    pub(super) at: At,
    pub(super) name: Option<(At, String)>,
    pub(super) keys: Option<(At, Vec<DeclaredKey>)>,
    pub(super) projection: Option<(At, Projection)>,
    pub(super) throughput: Option<(At, Option<Throughput>)>,
}

/// A table, as far as it could be read. What could not has been reported.
#[derive(Clone, Debug)]
pub(super) struct DeclaredTable {
    pub(super) at: At,
    pub(super) definitions: Vec<(At, String, Option<KeyType>)>,
    pub(super) keys: Option<(At, Vec<DeclaredKey>)>,
    pub(super) global: Vec<DeclaredIndex>,
    pub(super) local: Vec<DeclaredIndex>,
    pub(super) billing: Option<Billing>,
}

type Keys = Vec<(String, KeyType)>;

/// Reports what does not fit together. `None` only when something has been reported.
pub(super) fn check(table: &DeclaredTable, problems: &mut Problems) -> Option<TableLayout> {
    let types = types(table, problems);
    check_counts(table, problems);
    check_names(table, problems);
    let table_keys = table.keys.as_ref().and_then(|(at, keys)| split(at, keys, 1, &types, problems));
    let indexes = |list: &[DeclaredIndex], global: bool, problems: &mut Problems| {
        let mut layouts = BTreeMap::new();
        let mut complete = true;
        for index in list {
            match (index_layout(index, global, table, &types, problems), &index.name) {
                (Some(layout), Some((_, name))) => {
                    layouts.insert(name.clone(), layout);
                }
                _ => complete = false,
            }
        }
        complete.then_some(layouts)
    };
    let global_indexes = indexes(&table.global, true, problems);
    let local_indexes = indexes(&table.local, false, problems);
    if let Some((at, keys)) = &table.keys
        && !table.local.is_empty()
        && !keys.iter().any(|key| key.role == Role::Range)
    {
        problems.report(at, "a table with local indexes needs a RANGE attribute of its own");
    }
    let (mut partition, mut sort) = table_keys?;
    Some(TableLayout {
        partition_key: partition.pop()?,
        sort_key: sort.pop(),
        global_indexes: global_indexes?,
        local_indexes: local_indexes?,
        billing: table.billing?,
    })
}

/// The types of the defined attributes, each defined once and used by some key.
fn types(table: &DeclaredTable, problems: &mut Problems) -> BTreeMap<String, Option<KeyType>> {
    let schemas =
        || std::iter::once(&table.keys).chain(table.global.iter().chain(&table.local).map(|index| &index.keys));
    let used: BTreeSet<&str> = schemas().flatten().flat_map(|(_, keys)| keys).map(|key| key.name.as_str()).collect();
    let all_known = schemas().all(Option::is_some);
    let mut types = BTreeMap::new();
    for (at, name, kind) in &table.definitions {
        check_attribute_name(at, name, problems);
        if types.insert(name.clone(), *kind).is_some() {
            problems.report(at, format!("{name} is defined twice; keep one of them"));
        } else if all_known && !used.contains(name.as_str()) {
            problems.report(
                at,
                format!("{name} is in no key; DynamoDB wants definitions of key attributes alone, so take this out"),
            );
        }
    }
    types
}

fn check_attribute_name(at: &At, name: &str, problems: &mut Problems) {
    if name.is_empty() || name.len() > MOST_NAME_BYTES {
        problems.report(at, format!("an attribute's name here has 1 to {MOST_NAME_BYTES} bytes, not {}", name.len()));
    }
}

fn check_counts(table: &DeclaredTable, problems: &mut Problems) {
    let lists = [
        ("GlobalSecondaryIndexes", "global", table.global.len(), MOST_GLOBAL_INDEXES),
        ("LocalSecondaryIndexes", "local", table.local.len(), MOST_LOCAL_INDEXES),
    ];
    for (property, kind, count, most) in lists {
        if count > most {
            let at = table.at.property(property, None);
            problems.report(&at, format!("a table has {most} {kind} indexes at most, not {count}"));
        }
    }
    let included = |index: &DeclaredIndex| match &index.projection {
        Some((_, Projection::Include(names))) => names.len(),
        _ => 0,
    };
    let projected: usize = table.global.iter().chain(&table.local).map(included).sum();
    if projected > MOST_PROJECTED_ATTRIBUTES {
        problems.report(
            &table.at,
            format!(
                "the indexes list {projected} NonKeyAttributes in all, repeated ones counted each time; a table has \
                 {MOST_PROJECTED_ATTRIBUTES} at most; use ALL for some"
            ),
        );
    }
}

/// Index names: their form, and one index of each.
fn check_names(table: &DeclaredTable, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (at, name) in table.global.iter().chain(&table.local).filter_map(|index| index.name.as_ref()) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !(3..=255).contains(&name.len()) || !name.bytes().all(allowed) {
            problems.report(at, format!("{name:?} is no index name: 3 to 255 of a-z, A-Z, 0-9, _, . and -"));
        }
        if !seen.insert(name) {
            problems.report(at, format!("another index is called {name} too; give each its own name"));
        }
    }
}

/// Partition and sort key attributes with their types; at most `most` of each.
fn split(
    at: &At,
    keys: &[DeclaredKey],
    most: usize,
    types: &BTreeMap<String, Option<KeyType>>,
    problems: &mut Problems,
) -> Option<(Keys, Keys)> {
    let mut split = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    let mut complete = true;
    for key in keys {
        if !names.insert(&key.name) {
            problems.report(&key.at, format!("{} is in this key already", key.name));
        }
        if key.role == Role::Hash && !split.1.is_empty() {
            problems.report(&key.at, "HASH attributes come before RANGE ones");
        }
        if let Some(kind) = types.get(&key.name) {
            let list = if key.role == Role::Hash { &mut split.0 } else { &mut split.1 };
            // A definition whose type cannot be read has been reported; the attribute still counts here.
            list.push((key.name.clone(), kind.unwrap_or(KeyType::S)));
        } else {
            problems.report(&key.at, format!("{} has no AttributeDefinitions entry; add one", key.name));
            complete = false;
        }
    }
    let count = |role| keys.iter().filter(|key| key.role == role).count();
    let (hashes, ranges) = (count(Role::Hash), count(Role::Range));
    if hashes == 0 || hashes > most || ranges > most {
        let allowed = if most == 1 {
            "one HASH attribute and at most one RANGE"
        } else {
            "one to four HASH attributes and up to four RANGE"
        };
        problems.report(at, format!("this key has {allowed}, not {hashes} HASH and {ranges} RANGE"));
    }
    complete.then_some(split)
}

fn index_layout(
    index: &DeclaredIndex,
    global: bool,
    table: &DeclaredTable,
    types: &BTreeMap<String, Option<KeyType>>,
    problems: &mut Problems,
) -> Option<IndexLayout> {
    let most = if global { MOST_INDEX_KEYS_PER_ROLE } else { 1 };
    let keys = index.keys.as_ref().and_then(|(at, keys)| split(at, keys, most, types, problems));
    if let (false, Some((at, keys))) = (global, &index.keys) {
        check_local_keys(at, keys, table, problems);
    }
    check_projection(index, table, problems);
    let throughput = index_throughput(index, global, table, problems);
    let (partition_keys, sort_keys) = keys?;
    Some(IndexLayout { partition_keys, sort_keys, projection: index.projection.as_ref()?.1.clone(), throughput })
}

fn check_local_keys(at: &At, keys: &[DeclaredKey], table: &DeclaredTable, problems: &mut Problems) {
    let hash = |keys: &[DeclaredKey]| keys.iter().find(|key| key.role == Role::Hash).map(|key| key.name.clone());
    let of_table = table.keys.as_ref().and_then(|(_, keys)| hash(keys));
    if let (Some(own), Some(of_table)) = (hash(keys), of_table)
        && own != of_table
    {
        problems.report(at, format!("a local index has the table's partition key {of_table}, not {own}"));
    }
    if !keys.iter().any(|key| key.role == Role::Range) {
        problems.report(at, "a local index needs a RANGE attribute");
    }
}

/// Listed attributes: some, each once, none of them a key of the table or of the index, which every index holds anyway.
fn check_projection(index: &DeclaredIndex, table: &DeclaredTable, problems: &mut Problems) {
    let Some((at, Projection::Include(names))) = &index.projection else { return };
    if names.is_empty() {
        problems.report(at, "INCLUDE needs at least one attribute; or say KEYS_ONLY");
    }
    let keys: BTreeSet<&str> = [&index.keys, &table.keys]
        .into_iter()
        .flatten()
        .flat_map(|(_, keys)| keys)
        .map(|key| key.name.as_str())
        .collect();
    let mut seen = BTreeSet::new();
    for name in names {
        check_attribute_name(at, name, problems);
        if keys.contains(name.as_str()) {
            problems.report(at, format!("{name} is a key attribute, which the index holds anyway; take it out"));
        }
        if !seen.insert(name) {
            problems.report(at, format!("{name} is listed twice"));
        }
    }
}

/// Global indexes have throughput exactly when the table is provisioned.
fn index_throughput(
    index: &DeclaredIndex,
    global: bool,
    table: &DeclaredTable,
    problems: &mut Problems,
) -> Option<Throughput> {
    if !global {
        return None;
    }
    match (table.billing, &index.throughput) {
        (Some(Billing::Provisioned(_)), None) => {
            let at = index.at.property("ProvisionedThroughput", None);
            problems.report(&at, "missing: every global index of a PROVISIONED table needs it");
            None
        }
        (Some(Billing::OnDemand), Some((at, _))) => {
            problems.report(at, "PAY_PER_REQUEST has no throughput; take this out, or say PROVISIONED");
            None
        }
        (_, Some((_, units))) => *units,
        (_, None) => None,
    }
}
