//! Keys in DynamoDB's JSON notation, for the state table and for people: `{"task_id": {"S": "t-1"}}`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::{AttributeValue, Blob, Key, KeySchema};

/// A stored key that cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a key of this table")]
pub struct KeyJsonError(pub String);

impl KeySchema {
    /// The key in DynamoDB's JSON notation.
    pub fn to_json(&self, key: &Key) -> Value {
        let attributes = self.attributes_of(key);
        let value = |value: &AttributeValue| match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(text) => json!({ "N": text }),
            AttributeValue::B(blob) => json!({ "B": BASE64.encode(blob.as_ref()) }),
            _ => Value::Null,
        };
        Value::Object(attributes.iter().map(|(name, attribute)| (name.clone(), value(attribute))).collect())
    }

    /// Reads what [`KeySchema::to_json`] wrote.
    pub fn from_json(&self, json: &Value) -> Result<Key, KeyJsonError> {
        let broken = || KeyJsonError(json.to_string());
        let attributes: HashMap<_, _> = json
            .as_object()
            .ok_or_else(broken)?
            .iter()
            .map(|(name, value)| Some((name.clone(), read(value.as_object()?)?)))
            .collect::<Option<_>>()
            .ok_or_else(broken)?;
        self.key_of(&attributes).map_err(|_| broken())
    }
}

/// One value of a key in DynamoDB's JSON notation, such as `{"S": "text"}`.
pub fn key_value_from_json(typed: &Value) -> Option<AttributeValue> {
    typed.as_object().filter(|typed| typed.len() == 1).and_then(read)
}

fn read(typed: &Map<String, Value>) -> Option<AttributeValue> {
    let (kind, value) = typed.iter().next()?;
    let text = value.as_str()?;
    match kind.as_str() {
        "S" => Some(AttributeValue::S(text.to_owned())),
        "N" => Some(AttributeValue::N(text.to_owned())),
        "B" => Some(AttributeValue::B(Blob::new(BASE64.decode(text).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyAttribute, KeyType};

    #[test]
    fn every_key_type_comes_back() {
        let attribute = |name: &str, kind| KeyAttribute { name: name.into(), kind };
        for (kind, value) in [
            (KeyType::S, AttributeValue::S("t-1".into())),
            (KeyType::N, AttributeValue::N("12345678901234567890123456789012345678".into())),
            (KeyType::B, AttributeValue::B(Blob::new([0, 255, 7]))),
        ] {
            let schema = KeySchema { partition: attribute("p", kind), sort: Some(attribute("s", KeyType::S)) };
            let key = schema
                .key_of(&[("p".to_owned(), value), ("s".to_owned(), AttributeValue::S("x".into()))].into())
                .unwrap();
            assert_eq!(schema.from_json(&schema.to_json(&key)), Ok(key));
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_refused() {
        let schema = KeySchema { partition: KeyAttribute { name: "p".into(), kind: KeyType::S }, sort: None };
        for foreign in [json!(null), json!({}), json!({"p": "x"}), json!({"p": {"N": "1"}}), json!({"p": {"S": 1}})] {
            assert!(schema.from_json(&foreign).is_err(), "{foreign}");
        }
    }
}
