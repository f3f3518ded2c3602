//! Primary keys in one canonical form.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{AttributeValue, Blob, Decimal};

/// The three types that a key attribute may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum KeyType {
    /// A string.
    S,
    /// A number.
    N,
    /// Binary data.
    B,
}

/// One attribute of a key schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAttribute {
    /// The attribute's name.
    pub name: String,
    /// The attribute's type.
    pub kind: KeyType,
}

/// A table's primary key: the partition key, and the sort key if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySchema {
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key.
    pub sort: Option<KeyAttribute>,
}

/// Why an item has no key under a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The attribute is not there.
    #[error("key attribute {0:?} is missing")]
    Missing(String),
    /// The attribute has another type.
    #[error("key attribute {name:?} is not of type {expected:?}")]
    WrongType {
        /// The attribute's name.
        name: String,
        /// The type that the schema demands.
        expected: KeyType,
    },
    /// The attribute is an empty string or empty binary, which keys may not be.
    #[error("key attribute {0:?} is empty")]
    Empty(String),
}

impl KeySchema {
    /// Partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    /// Reads the key from an item's or a key's attributes; others are passed over.
    pub fn key_of(&self, attributes: &HashMap<String, AttributeValue>) -> Result<Key, KeyError> {
        let mut bytes = Vec::with_capacity(64);
        for attribute in self.attributes() {
            let value = attributes.get(&attribute.name).ok_or_else(|| KeyError::Missing(attribute.name.clone()))?;
            encode(attribute, value, &mut bytes)?;
        }
        Ok(Key(bytes.into()))
    }

    /// The attributes of a key made by [`KeySchema::key_of`] under this same schema.
    pub fn attributes_of(&self, key: &Key) -> HashMap<String, AttributeValue> {
        let mut rest: &[u8] = &key.0;
        let mut attributes = HashMap::with_capacity(2);
        for attribute in self.attributes() {
            let Some((value, after)) = decode(attribute.kind, rest) else { break };
            attributes.insert(attribute.name.clone(), value);
            rest = after;
        }
        attributes
    }
}

/// A primary key's values in canonical bytes: equal exactly when the service would call the keys equal (numbers by
/// value). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The canonical bytes: unique per key within one table, for digests.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Keys are customers' data: only the length is shown.
impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({} bytes)", self.0.len())
    }
}

/// Each value is its length (four bytes, big endian) and its bytes, numbers in canonical notation.
fn encode(attribute: &KeyAttribute, value: &AttributeValue, into: &mut Vec<u8>) -> Result<(), KeyError> {
    let wrong_type = || KeyError::WrongType { name: attribute.name.clone(), expected: attribute.kind };
    let number;
    let bytes: &[u8] = match (attribute.kind, value) {
        (KeyType::S, AttributeValue::S(text)) => text.as_bytes(),
        (KeyType::B, AttributeValue::B(blob)) => blob.as_ref(),
        (KeyType::N, AttributeValue::N(text)) => {
            number = Decimal::parse(text).ok_or_else(wrong_type)?.to_string();
            number.as_bytes()
        }
        _ => return Err(wrong_type()),
    };
    if bytes.is_empty() {
        return Err(KeyError::Empty(attribute.name.clone()));
    }
    let length = u32::try_from(bytes.len()).map_err(|_| wrong_type())?;
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
    Ok(())
}

fn decode(kind: KeyType, bytes: &[u8]) -> Option<(AttributeValue, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let value = match kind {
        KeyType::S => AttributeValue::S(String::from_utf8_lossy(value).into_owned()),
        KeyType::N => AttributeValue::N(String::from_utf8_lossy(value).into_owned()),
        KeyType::B => AttributeValue::B(Blob::new(value)),
    };
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schema(partition: KeyType, sort: Option<KeyType>) -> KeySchema {
        let attribute = |name: &str, kind| KeyAttribute { name: name.into(), kind };
        KeySchema { partition: attribute("p", partition), sort: sort.map(|kind| attribute("s", kind)) }
    }

    fn item(values: &[(&str, AttributeValue)]) -> HashMap<String, AttributeValue> {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn numbers_are_one_key_by_value() {
        let schema = schema(KeyType::N, None);
        let key = |text: &str| schema.key_of(&item(&[("p", AttributeValue::N(text.into()))])).unwrap();
        assert_eq!(key("1.0"), key("1"));
        assert_ne!(key("1"), key("-1"));
    }

    #[test]
    fn neighbouring_values_do_not_run_together() {
        let schema = schema(KeyType::S, Some(KeyType::S));
        let key = |p: &str, s: &str| {
            schema.key_of(&item(&[("p", AttributeValue::S(p.into())), ("s", AttributeValue::S(s.into()))])).unwrap()
        };
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }

    #[test]
    fn what_the_service_would_refuse_is_refused() {
        let schema = schema(KeyType::S, None);
        assert_eq!(schema.key_of(&item(&[])), Err(KeyError::Missing("p".into())));
        assert_eq!(schema.key_of(&item(&[("p", AttributeValue::S(String::new()))])), Err(KeyError::Empty("p".into())));
        assert_eq!(
            schema.key_of(&item(&[("p", AttributeValue::N("1".into()))])),
            Err(KeyError::WrongType { name: "p".into(), expected: KeyType::S })
        );
    }

    proptest! {
        #[test]
        fn a_key_gives_its_attributes_back(text in ".{1,40}", blob in proptest::collection::vec(any::<u8>(), 1..40)) {
            let schema = schema(KeyType::S, Some(KeyType::B));
            let attributes = item(&[("p", AttributeValue::S(text)), ("s", AttributeValue::B(Blob::new(blob)))]);
            let key = schema.key_of(&attributes).unwrap();
            prop_assert_eq!(schema.attributes_of(&key), attributes);
        }
    }
}
