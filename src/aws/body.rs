//! The body of a `BatchWriteItem` request, written from borrowed images.
//!
//! The SDK takes a request's items by value, while a slot keeps its image to send it again if need be: every request
//! would copy all its items, a quarter of what copying an item costs this program. So the SDK is given a request
//! without items, and this body takes the place of its own before the request is signed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use aws_smithy_types::Blob;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};

use crate::model::{AttributeValue, KeySchema};
use crate::ports::Write;

/// Room for a small item and its names, so that a body of them grows a few times only.
const BYTES_PER_WRITE: usize = 1024;

/// Writes the body of a request with these writes to `table`. Fails on a type that this version does not know.
pub(super) fn batch(table: &str, schema: &KeySchema, writes: &[Arc<Write>]) -> Result<Vec<u8>, serde_json::Error> {
    let batch = Batch {
        request_items: HashMap::from([(table, Requests { schema, writes })]),
        return_consumed_capacity: ReturnConsumedCapacity::Total.as_str(),
    };
    let mut body = Vec::with_capacity(writes.len() * BYTES_PER_WRITE);
    serde_json::to_writer(&mut body, &batch)?;
    Ok(body)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'a> {
    request_items: HashMap<&'a str, Requests<'a>>,
    return_consumed_capacity: &'a str,
}

struct Requests<'a> {
    schema: &'a KeySchema,
    writes: &'a [Arc<Write>],
}

#[derive(Serialize)]
enum Request<'a> {
    #[serde(rename_all = "PascalCase")]
    PutRequest { item: Attributes<'a> },
    #[serde(rename_all = "PascalCase")]
    DeleteRequest { key: Attributes<'a> },
}

impl Serialize for Requests<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.writes.iter().map(|write| match &write.image {
            Some(image) => Request::PutRequest { item: Attributes(Cow::Borrowed(image.attributes())) },
            None => Request::DeleteRequest { key: Attributes(Cow::Owned(self.schema.attributes_of(&write.key))) },
        }))
    }
}

/// Named values in `DynamoDB`'s JSON notation.
struct Attributes<'a>(Cow<'a, HashMap<String, AttributeValue>>);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Attribute(value))))
    }
}

/// A value in `DynamoDB`'s JSON notation: `{"S": "text"}`.
struct Attribute<'a>(&'a AttributeValue);

impl Serialize for Attribute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut typed = serializer.serialize_map(Some(1))?;
        match self.0 {
            AttributeValue::S(text) => typed.serialize_entry("S", text),
            AttributeValue::N(number) => typed.serialize_entry("N", number),
            AttributeValue::B(bytes) => typed.serialize_entry("B", &Base64(bytes)),
            AttributeValue::Bool(flag) => typed.serialize_entry("BOOL", flag),
            AttributeValue::Null(flag) => typed.serialize_entry("NULL", flag),
            AttributeValue::M(map) => typed.serialize_entry("M", &Attributes(Cow::Borrowed(map))),
            AttributeValue::L(list) => typed.serialize_entry("L", &Each(list, Attribute)),
            AttributeValue::Ss(texts) => typed.serialize_entry("SS", texts),
            AttributeValue::Ns(numbers) => typed.serialize_entry("NS", numbers),
            AttributeValue::Bs(blobs) => typed.serialize_entry("BS", &Each(blobs, Base64)),
            _ => Err(S::Error::custom("an attribute has a type that this version does not know")),
        }?;
        typed.end()
    }
}

/// A list whose elements are written through a wrapper.
struct Each<'a, T, W>(&'a [T], fn(&'a T) -> W);

impl<T, W: Serialize> Serialize for Each<'_, T, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

struct Base64<'a>(&'a Blob);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0.as_ref(), &BASE64))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
    use serde_json::Value;

    use super::super::canned::Canned;
    use super::*;
    use crate::model::{Item, KeyAttribute, KeyType};

    fn every_type() -> HashMap<String, AttributeValue> {
        let blob = |bytes: &[u8]| Blob::new(bytes);
        let text = "quotes \" \\ / \u{0} \n \u{7f} \u{2028} ß 🦀";
        let list = vec![AttributeValue::L(Vec::new()), AttributeValue::S(String::new())];
        let named = |values: Vec<(&str, AttributeValue)>| -> HashMap<String, AttributeValue> {
            values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        named(vec![
            ("id", AttributeValue::S("1".into())),
            (text, AttributeValue::S(text.into())),
            ("number", AttributeValue::N("-1.2345678901234567890123456789012345678E-100".into())),
            ("bytes", AttributeValue::B(blob(&[0, 255, 62, 63, 1]))),
            ("no bytes", AttributeValue::B(blob(&[]))),
            ("yes", AttributeValue::Bool(true)),
            ("no", AttributeValue::Bool(false)),
            ("null", AttributeValue::Null(true)),
            ("list", AttributeValue::L(list.clone())),
            (
                "map",
                AttributeValue::M(named(vec![
                    ("", AttributeValue::M(HashMap::new())),
                    ("in", AttributeValue::L(list)),
                ])),
            ),
            ("texts", AttributeValue::Ss(vec![text.into(), "b".into()])),
            ("numbers", AttributeValue::Ns(vec!["1".into(), "2.50".into()])),
            ("blobs", AttributeValue::Bs(vec![blob(b"a"), blob(b"bc"), blob(b"def")])),
        ])
    }

    #[tokio::test]
    async fn it_says_what_the_sdk_would_have_said() {
        let schema = KeySchema { partition: KeyAttribute { name: "id".into(), kind: KeyType::S }, sort: None };
        let other = HashMap::from([("id".to_owned(), AttributeValue::S("2".into()))]);
        let writes = [
            Write { key: schema.key_of(&every_type()).unwrap(), image: Some(Item::new(every_type())), owner: None },
            Write { key: schema.key_of(&other).unwrap(), image: None, owner: None },
        ];
        let ours = batch("a \"table\"", &schema, &writes.map(Arc::new)).unwrap();

        let endpoint = Canned::replies(200, "{}").await;
        let put = PutRequest::builder().set_item(Some(every_type())).build().unwrap();
        let delete = DeleteRequest::builder().set_key(Some(other)).build().unwrap();
        let requests = vec![
            WriteRequest::builder().put_request(put).build(),
            WriteRequest::builder().delete_request(delete).build(),
        ];
        endpoint
            .connection()
            .writes
            .batch_write_item()
            .request_items("a \"table\"", requests)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .unwrap();
        let json = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
        assert_eq!(json(&ours), json(&endpoint.last_body()));
    }
}
