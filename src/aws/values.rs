//! From the streams crate's attribute values to the DynamoDB crate's.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::AttributeValue as StreamValue;

use crate::model::{AttributeValue, UnknownType};

/// Moves a stream image over. A type that this version does not know is an error, at any depth; it is never dropped.
pub(super) fn from_stream(
    attributes: HashMap<String, StreamValue>,
) -> Result<HashMap<String, AttributeValue>, UnknownType> {
    let mut moved = HashMap::with_capacity(attributes.len());
    for (name, value) in attributes {
        match convert(value) {
            Some(value) => moved.insert(name, value),
            None => return Err(UnknownType { attribute: name }),
        };
    }
    Ok(moved)
}

/// `None` for a type that is not known.
fn convert(value: StreamValue) -> Option<AttributeValue> {
    Some(match value {
        StreamValue::S(text) => AttributeValue::S(text),
        StreamValue::N(text) => AttributeValue::N(text),
        StreamValue::B(blob) => AttributeValue::B(blob),
        StreamValue::Bool(flag) => AttributeValue::Bool(flag),
        StreamValue::Null(flag) => AttributeValue::Null(flag),
        StreamValue::Ss(texts) => AttributeValue::Ss(texts),
        StreamValue::Ns(texts) => AttributeValue::Ns(texts),
        StreamValue::Bs(blobs) => AttributeValue::Bs(blobs),
        StreamValue::L(values) => {
            let mut moved = Vec::with_capacity(values.len());
            for value in values {
                moved.push(convert(value)?);
            }
            AttributeValue::L(moved)
        }
        StreamValue::M(values) => AttributeValue::M(from_stream(values).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Blob;

    #[test]
    fn every_type_comes_over_at_any_depth() {
        let leaves = || {
            vec![
                StreamValue::S("s".into()),
                StreamValue::N("1".into()),
                StreamValue::B(Blob::new(b"b")),
                StreamValue::Bool(true),
                StreamValue::Null(true),
                StreamValue::Ss(vec!["s".into()]),
                StreamValue::Ns(vec!["1".into()]),
                StreamValue::Bs(vec![Blob::new(b"b")]),
            ]
        };
        let nested = StreamValue::M([("list".to_owned(), StreamValue::L(leaves()))].into());
        let moved = from_stream([("a".to_owned(), nested)].into()).unwrap();
        let list = AttributeValue::L(vec![
            AttributeValue::S("s".into()),
            AttributeValue::N("1".into()),
            AttributeValue::B(Blob::new(b"b")),
            AttributeValue::Bool(true),
            AttributeValue::Null(true),
            AttributeValue::Ss(vec!["s".into()]),
            AttributeValue::Ns(vec!["1".into()]),
            AttributeValue::Bs(vec![Blob::new(b"b")]),
        ]);
        assert_eq!(moved, [("a".to_owned(), AttributeValue::M([("list".to_owned(), list)].into()))].into());
    }
}
