//! A batch of writes, done in part.

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// A batch without some of its writes, and these. One at least is done: a batch of which none is done is throttled.
pub(super) fn part(batch: &Bytes, chance: &mut fastrand::Rng) -> (Bytes, Value) {
    let mut body: Value = serde_json::from_slice(batch).unwrap();
    let mut left = json!({});
    for (table, writes) in body["RequestItems"].as_object_mut().unwrap() {
        let all = writes.as_array().cloned().unwrap_or_default();
        let (mut done, mut undone) = (Vec::new(), Vec::new());
        for write in all {
            if done.is_empty() || chance.bool() { done.push(write) } else { undone.push(write) }
        }
        *writes = json!(done);
        if !undone.is_empty() {
            left[table] = json!(undone);
        }
    }
    (Bytes::from(body.to_string()), left)
}

/// A reply that says what was left undone, too.
pub(super) fn with_unprocessed(status: StatusCode, reply: Bytes, left: &Value) -> Bytes {
    if status != StatusCode::OK || left.as_object().is_none_or(serde_json::Map::is_empty) {
        return reply;
    }
    let mut body: Value = serde_json::from_slice(&reply).unwrap();
    for (table, writes) in left.as_object().unwrap() {
        let mut unprocessed = body["UnprocessedItems"][table].as_array().cloned().unwrap_or_default();
        unprocessed.extend(writes.as_array().cloned().unwrap_or_default());
        body["UnprocessedItems"][table] = json!(unprocessed);
    }
    Bytes::from(body.to_string())
}
