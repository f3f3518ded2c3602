//! What `quarantine list --json` says.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use serde_json::Value;

use super::normal::{self, Image};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    pub reason: String,
    pub source_key: Image,
    /// None when the item has no place in the shadow at all.
    pub shadow_key: Option<Image>,
    pub id: String,
    pub message: String,
}

/// Reads the whole list; fails the test on anything that is not as documented.
pub fn parse(json: &str) -> Vec<Quarantined> {
    let list: Vec<Value> = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"));
    list.iter().map(entry).collect()
}

fn entry(entry: &Value) -> Quarantined {
    let text = |name: &str| {
        let text = entry[name].as_str().unwrap_or_else(|| panic!("no text {name:?} in {entry}"));
        text.to_owned()
    };
    text("since");
    let shadow_key = match &entry["shadow_key"] {
        Value::Null => None,
        key => Some(key_of(key)),
    };
    Quarantined {
        reason: text("reason"),
        source_key: key_of(&entry["source_key"]),
        shadow_key,
        id: text("id"),
        message: text("message"),
    }
}

/// Keys are made of strings, numbers and binaries only.
fn key_of(key: &Value) -> Image {
    let attributes = key.as_object().unwrap_or_else(|| panic!("{key} is not a key"));
    let value = |value: &Value| {
        let typed = value.as_object().filter(|typed| typed.len() == 1).and_then(|typed| typed.iter().next());
        let (kind, text) = typed.and_then(|(kind, text)| Some((kind.as_str(), text.as_str()?))).unwrap_or_default();
        match kind {
            "S" => AttributeValue::S(text.to_owned()),
            "N" => AttributeValue::N(text.to_owned()),
            "B" => {
                AttributeValue::B(Blob::new(base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()))
            }
            _ => panic!("{value} is not a key attribute in DynamoDB's JSON"),
        }
    };
    let attributes: HashMap<_, _> = attributes.iter().map(|(name, typed)| (name.clone(), value(typed))).collect();
    normal::image(&attributes)
}
