//! A target layout, as declared in a file: YAML or JSON with CloudFormation's property names for a table.
//!
//! Reading goes on past every mistake, so that all of them are told at once. What a layout must keep comes from the
//! API reference of `CreateTable` and the service quotas.

mod checks;
#[cfg(test)]
mod tests;
mod write;

use checks::{DeclaredIndex, DeclaredKey, DeclaredTable, Role};

pub use write::write_layout;

use crate::document::{At, Node, Problem, Problems, Properties, Value, parse_yaml};
use crate::model::{Billing, KeyType, Projection, TableLayout, Throughput};

const TABLE_PROPERTIES: [&str; 6] = [
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
];

/// What CloudFormation has besides, for tables and their indexes.
const UNSUPPORTED_PROPERTIES: [&str; 16] = [
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "GlobalTableWitnesses",
    "ImportSourceSpecification",
    "KinesisStreamSpecification",
    "MultiRegionConsistency",
    "OnDemandThroughput",
    "PointInTimeRecoverySpecification",
    "Replicas",
    "ResourcePolicy",
    "SSESpecification",
    "StreamSpecification",
    "TableClass",
    "Tags",
    "TimeToLiveSpecification",
    "WarmThroughput",
];

/// Reads a layout from YAML or JSON. On failure, tells everything that is wrong, in the order of the file,
/// what has no place there last.
pub fn read_layout(text: &str) -> Result<TableLayout, Vec<Problem>> {
    let root = parse_yaml(text).map_err(|problem| vec![problem])?;
    if let Some(problem) = other_document(&root) {
        return Err(vec![problem]);
    }
    let mut problems = Problems::default();
    let declared = table(&root, &mut problems);
    let layout = checks::check(&declared, &mut problems);
    match layout {
        Some(layout) if problems.0.is_empty() => Ok(layout),
        _ => {
            let mut all = problems.0;
            all.sort_by_key(|problem| (problem.place.is_none(), problem.place));
            Err(all)
        }
    }
}

/// A file of another kind is told as such, not property by property.
fn other_document(root: &Node) -> Option<Problem> {
    let Value::Map(entries) = &root.value else { return None };
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    let described = has("TableArn") || has("TableStatus") || (has("Table") && entries.len() == 1);
    described.then(|| Problem {
        path: String::new(),
        place: root.place,
        what:
            "this is what `aws dynamodb describe-table` prints, not a layout; `shadowtable config layout --table NAME` \
                  prints the layout of a live table"
                .to_owned(),
        remedy: None,
    })
}

fn unsupported(name: &str) -> Option<String> {
    let advice = match name {
        "TableName" => "a layout names no table: tables are named in the configuration; take this out",
        "Resources" | "AWSTemplateFormatVersion" => {
            "this is a whole template; give the contents of the table's Properties alone"
        }
        "Properties" | "Type" => "this is a whole resource; give the contents of its Properties alone",
        "StreamSpecification" => {
            "the shadow's stream must be off until the switch: take this out, and enable it after the switch"
        }
        "TimeToLiveSpecification" => {
            "expiry on the shadow waits for the switch: take this out, and enable it at the switch or after it"
        }
        _ if UNSUPPORTED_PROPERTIES.contains(&name) => {
            "not supported yet: a layout is about keys, indexes and billing for now; take this out and set it on the \
             new table yourself, before the switch"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

fn no_others(_: &str) -> Option<String> {
    None
}

fn table(root: &Node, problems: &mut Problems) -> DeclaredTable {
    let at = At { path: String::new(), place: None };
    let properties = problems.properties(&at, root, &TABLE_PROPERTIES, &unsupported);
    DeclaredTable {
        definitions: definitions(&properties, problems),
        keys: key_schema(&properties, problems),
        global: indexes("GlobalSecondaryIndexes", true, &properties, problems),
        local: indexes("LocalSecondaryIndexes", false, &properties, problems),
        billing: billing(&properties, problems),
        at: properties.at,
    }
}

fn definitions(table: &Properties<'_>, problems: &mut Problems) -> Vec<(At, String, Option<KeyType>)> {
    const TYPES: [(&str, KeyType); 3] = [("S", KeyType::S), ("N", KeyType::N), ("B", KeyType::B)];
    let Some((at, node)) = table.required("AttributeDefinitions", problems) else { return Vec::new() };
    let elements = problems.list(&at, node);
    let read = |(at, node): (At, &Node)| {
        let properties = problems.properties(&at, node, &["AttributeName", "AttributeType"], &no_others);
        let name = properties.required("AttributeName", problems).and_then(|(at, node)| problems.text(&at, node));
        let kind =
            properties.required("AttributeType", problems).and_then(|(at, node)| problems.word(&at, node, &TYPES));
        Some((at, name?, kind))
    };
    elements.into_iter().filter_map(read).collect()
}

fn key_schema(owner: &Properties<'_>, problems: &mut Problems) -> Option<(At, Vec<DeclaredKey>)> {
    const ROLES: [(&str, Role); 2] = [("HASH", Role::Hash), ("RANGE", Role::Range)];
    let (at, node) = owner.required("KeySchema", problems)?;
    let elements = problems.list(&at, node);
    let complete = elements.len();
    let read = |(at, node): (At, &Node)| {
        let properties = problems.properties(&at, node, &["AttributeName", "KeyType"], &no_others);
        let name = properties.required("AttributeName", problems).and_then(|(at, node)| problems.text(&at, node));
        let role = properties.required("KeyType", problems).and_then(|(at, node)| problems.word(&at, node, &ROLES));
        Some(DeclaredKey { at, name: name?, role: role? })
    };
    let keys: Vec<DeclaredKey> = elements.into_iter().filter_map(read).collect();
    // Half of a key schema would be blamed for what its other half already has been blamed for.
    (keys.len() == complete).then_some((at, keys))
}

fn indexes(list: &str, global: bool, table: &Properties<'_>, problems: &mut Problems) -> Vec<DeclaredIndex> {
    const LOCAL: [&str; 3] = ["IndexName", "KeySchema", "Projection"];
    const GLOBAL: [&str; 4] = ["IndexName", "KeySchema", "Projection", "ProvisionedThroughput"];
    let known: &[&str] = if global { &GLOBAL } else { &LOCAL };
    let Some((at, node)) = table.optional(list) else { return Vec::new() };
    let elements = problems.list(&at, node);
    elements
        .into_iter()
        .map(|(at, node)| {
            let properties = problems.properties(&at, node, known, &|name| match name {
                "ProvisionedThroughput" => {
                    Some("a local index has no throughput of its own; it uses the table's; take this out".to_owned())
                }
                _ => unsupported(name),
            });
            let name = properties.required("IndexName", problems);
            DeclaredIndex {
                name: name.and_then(|(at, node)| Some((at.clone(), problems.text(&at, node)?))),
                keys: key_schema(&properties, problems),
                projection: projection(&properties, problems),
                throughput: throughput(&properties, problems),
                at,
            }
        })
        .collect()
}

fn projection(index: &Properties<'_>, problems: &mut Problems) -> Option<(At, Projection)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        All,
        KeysOnly,
        Include,
    }
    const KINDS: [(&str, Kind); 3] = [("ALL", Kind::All), ("KEYS_ONLY", Kind::KeysOnly), ("INCLUDE", Kind::Include)];
    let (at, node) = index.required("Projection", problems)?;
    let properties = problems.properties(&at, node, &["ProjectionType", "NonKeyAttributes"], &no_others);
    let kind = properties.required("ProjectionType", problems).and_then(|(at, node)| problems.word(&at, node, &KINDS));
    let others = properties.optional("NonKeyAttributes");
    match (kind?, others) {
        (Kind::Include, Some((at, node))) => {
            let elements = problems.list(&at, node);
            let names = elements.iter().filter_map(|(at, node)| problems.text(at, node)).collect();
            Some((at, Projection::Include(names)))
        }
        (Kind::Include, None) => {
            let at = properties.at.property("NonKeyAttributes", None);
            problems.report(&at, "missing: INCLUDE needs the list of attributes to include");
            None
        }
        (kind, others) => {
            if let Some((at, _)) = others {
                problems.report(&at, "only INCLUDE has a list of attributes; take this out, or say INCLUDE");
            }
            Some((at, if kind == Kind::All { Projection::All } else { Projection::KeysOnly }))
        }
    }
}

/// Where it stands, and what it says if that can be read.
fn throughput(owner: &Properties<'_>, problems: &mut Problems) -> Option<(At, Option<Throughput>)> {
    let (at, node) = owner.optional("ProvisionedThroughput")?;
    let properties = problems.properties(&at, node, &["ReadCapacityUnits", "WriteCapacityUnits"], &no_others);
    let read = properties.required("ReadCapacityUnits", problems).and_then(|(at, node)| problems.units(&at, node));
    let write = properties.required("WriteCapacityUnits", problems).and_then(|(at, node)| problems.units(&at, node));
    let units = read.zip(write).map(|(read_units, write_units)| Throughput { read_units, write_units });
    Some((at, units))
}

/// `None` when it cannot be told which mode is meant; that has been reported then.
fn billing(table: &Properties<'_>, problems: &mut Problems) -> Option<Billing> {
    let throughput = throughput(table, problems);
    let provisioned = match table.optional("BillingMode") {
        // CloudFormation's default.
        None => true,
        Some((at, node)) => problems.word(&at, node, &[("PAY_PER_REQUEST", false), ("PROVISIONED", true)])?,
    };
    match (provisioned, throughput) {
        (true, Some((_, units))) => units.map(Billing::Provisioned),
        (true, None) => {
            let at = table.at.property("ProvisionedThroughput", None);
            problems.report(&at, "missing: BillingMode PROVISIONED, the default, needs it; or say PAY_PER_REQUEST");
            None
        }
        (false, Some((at, _))) => {
            problems.report(&at, "PAY_PER_REQUEST has no throughput; take this out, or say PROVISIONED");
            None
        }
        (false, None) => Some(Billing::OnDemand),
    }
}
