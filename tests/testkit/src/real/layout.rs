//! Table layouts as the tests build them: to create a table, and as the text of a target layout.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex, ProjectionType,
    ScalarAttributeType,
};

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    S,
    N,
    B,
}

/// Partition key first.
pub type Keys = &'static [(&'static str, Kind)];

#[derive(Clone, Debug)]
pub struct Layout {
    pub keys: Keys,
    indexes: Vec<Index>,
}

#[derive(Clone, Debug)]
struct Index {
    name: &'static str,
    keys: Keys,
    projection: Projection,
    local: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Projection {
    KeysOnly,
    Include(&'static [&'static str]),
    All,
}

impl Layout {
    pub fn new(keys: Keys) -> Self {
        Self { keys, indexes: Vec::new() }
    }

    pub fn with_global(mut self, name: &'static str, keys: Keys, projection: Projection) -> Self {
        self.indexes.push(Index { name, keys, projection, local: false });
        self
    }

    pub fn with_local(mut self, name: &'static str, keys: Keys, projection: Projection) -> Self {
        self.indexes.push(Index { name, keys, projection, local: true });
        self
    }

    /// The layout in CloudFormation's words, as YAML.
    pub fn yaml(&self) -> String {
        let mut text = String::from("BillingMode: PAY_PER_REQUEST\nAttributeDefinitions:\n");
        for (name, kind) in self.definitions() {
            let _ = writeln!(text, "  - {{ AttributeName: {name}, AttributeType: {kind:?} }}");
        }
        text.push_str("KeySchema:\n");
        yaml_keys(self.keys, "  ", &mut text);
        for (title, local) in [("GlobalSecondaryIndexes", false), ("LocalSecondaryIndexes", true)] {
            let indexes: Vec<_> = self.indexes.iter().filter(|index| index.local == local).collect();
            if indexes.is_empty() {
                continue;
            }
            let _ = writeln!(text, "{title}:");
            for Index { name, keys, projection, .. } in indexes {
                let _ = writeln!(text, "  - IndexName: {name}\n    KeySchema:");
                yaml_keys(keys, "      ", &mut text);
                let projection = match projection {
                    Projection::KeysOnly => "{ ProjectionType: KEYS_ONLY }".to_owned(),
                    Projection::All => "{ ProjectionType: ALL }".to_owned(),
                    Projection::Include(names) => {
                        format!("{{ ProjectionType: INCLUDE, NonKeyAttributes: [{}] }}", names.join(", "))
                    }
                };
                let _ = writeln!(text, "    Projection: {projection}");
            }
        }
        text
    }

    fn definitions(&self) -> BTreeMap<&'static str, Kind> {
        self.keys.iter().chain(self.indexes.iter().flat_map(|index| index.keys)).copied().collect()
    }

    pub fn sdk_definitions(&self) -> Vec<AttributeDefinition> {
        let definition = |(name, kind)| {
            let kind = match kind {
                Kind::S => ScalarAttributeType::S,
                Kind::N => ScalarAttributeType::N,
                Kind::B => ScalarAttributeType::B,
            };
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        self.definitions().into_iter().map(definition).collect()
    }

    pub fn sdk_keys(&self) -> Vec<KeySchemaElement> {
        sdk_keys(self.keys)
    }

    pub fn sdk_global_indexes(&self) -> Option<Vec<GlobalSecondaryIndex>> {
        let indexes: Vec<_> = self.indexes.iter().filter(|index| !index.local).map(Index::sdk_global).collect();
        (!indexes.is_empty()).then_some(indexes)
    }

    pub fn sdk_local_indexes(&self) -> Option<Vec<LocalSecondaryIndex>> {
        let indexes: Vec<_> = self.indexes.iter().filter(|index| index.local).map(Index::sdk_local).collect();
        (!indexes.is_empty()).then_some(indexes)
    }
}

impl Index {
    fn sdk_global(&self) -> GlobalSecondaryIndex {
        GlobalSecondaryIndex::builder()
            .index_name(self.name)
            .set_key_schema(Some(sdk_keys(self.keys)))
            .projection(self.projection.sdk())
            .build()
            .unwrap()
    }

    fn sdk_local(&self) -> LocalSecondaryIndex {
        LocalSecondaryIndex::builder()
            .index_name(self.name)
            .set_key_schema(Some(sdk_keys(self.keys)))
            .projection(self.projection.sdk())
            .build()
            .unwrap()
    }
}

impl Projection {
    fn sdk(self) -> aws_sdk_dynamodb::types::Projection {
        let projection = aws_sdk_dynamodb::types::Projection::builder();
        match self {
            Self::KeysOnly => projection.projection_type(ProjectionType::KeysOnly),
            Self::All => projection.projection_type(ProjectionType::All),
            Self::Include(names) => projection
                .projection_type(ProjectionType::Include)
                .set_non_key_attributes(Some(names.iter().map(|&name| name.to_owned()).collect())),
        }
        .build()
    }
}

const ROLES: [KeyType; 2] = [KeyType::Hash, KeyType::Range];

fn sdk_keys(keys: Keys) -> Vec<KeySchemaElement> {
    let element = |(&(name, _), role): (&(&'static str, Kind), KeyType)| {
        KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap()
    };
    keys.iter().zip(ROLES).map(element).collect()
}

fn yaml_keys(keys: Keys, indent: &str, text: &mut String) {
    for ((name, _), role) in keys.iter().zip(ROLES) {
        let _ = writeln!(text, "{indent}- {{ AttributeName: {name}, KeyType: {} }}", role.as_str());
    }
}
