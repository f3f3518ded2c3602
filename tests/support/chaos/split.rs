//! A stream of one shard, shown as one whose shard rolled or split: records up to the cut belong to the parent, later ones
//! to its children, by a hash of their keys.
//!
//! Iterators of shards made here are `made/<shard>/` before the endpoint's own.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Plan;

const MADE: &str = "made/";

/// How the stream is shown.
#[derive(Default)]
pub(crate) struct Split {
    /// Listings leave the children out.
    pub(crate) hidden: bool,
    /// The highest sequence number that was passed on.
    seen: Option<String>,
    /// The last record of the parent, and how many children it has.
    cut: Option<(String, usize)>,
}

/// A question as the endpoint gets it.
pub(super) struct Asked {
    pub(super) bytes: Bytes,
    /// The shard that its iterator belongs to, where that was made here.
    shard: Option<String>,
}

impl Split {
    pub(super) fn split(&mut self, children: usize) {
        let seen = self.seen.clone().expect("a record must have been passed on before the split");
        self.cut = Some((seen, children));
    }

    pub(super) fn question(&self, operation: &str, plan: &Plan, bytes: Bytes) -> Asked {
        if !["GetShardIterator", "GetRecords"].contains(&operation) {
            return Asked { bytes, shard: None };
        }
        let mut body: Value = serde_json::from_slice(&bytes).unwrap();
        let mut shard = None;
        if operation == "GetRecords" {
            if let Some(limit) = plan.page_records {
                body["Limit"] = json!(limit);
            }
            let iterator = body["ShardIterator"].as_str().unwrap_or_default().to_owned();
            if let Some((made, real)) = iterator.strip_prefix(MADE).and_then(|rest| rest.split_once('/')) {
                shard = Some(made.to_owned());
                body["ShardIterator"] = json!(real);
            }
        } else if let Some((cut, _)) = &self.cut {
            let name = body["ShardId"].as_str().unwrap_or_default().to_owned();
            let parent = name.split("-child").next().unwrap_or_default().to_owned();
            if name != parent && body["ShardIteratorType"] == "TRIM_HORIZON" {
                body["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                body["SequenceNumber"] = json!(cut);
            }
            body["ShardId"] = json!(parent);
            shard = Some(name);
        }
        Asked { bytes: Bytes::from(body.to_string()), shard }
    }

    pub(super) fn reply(&mut self, operation: &str, asked: &Asked, status: StatusCode, bytes: Bytes) -> Bytes {
        if status != StatusCode::OK || !["GetShardIterator", "GetRecords", "DescribeStream"].contains(&operation) {
            return bytes;
        }
        let mut body: Value = serde_json::from_slice(&bytes).unwrap();
        match operation {
            "DescribeStream" => self.list(&mut body),
            "GetShardIterator" => {
                if let Some(shard) = &asked.shard {
                    let real = body["ShardIterator"].as_str().unwrap_or_default();
                    body["ShardIterator"] = json!(format!("{MADE}{shard}/{real}"));
                }
            }
            _ => self.records(asked, &mut body),
        }
        Bytes::from(body.to_string())
    }

    fn list(&self, body: &mut Value) {
        let Some((cut, children)) = &self.cut else { return };
        let shards = body["StreamDescription"]["Shards"].as_array_mut().unwrap();
        assert_eq!(shards.len(), 1, "the endpoint's own stream has one shard");
        let parent = shards[0]["ShardId"].as_str().unwrap().to_owned();
        shards[0]["SequenceNumberRange"]["EndingSequenceNumber"] = json!(cut);
        if !self.hidden {
            shards.extend((0..*children).map(|child| {
                json!({
                    "ShardId": format!("{parent}-child{child}"),
                    "ParentShardId": parent,
                    "SequenceNumberRange": { "StartingSequenceNumber": cut },
                })
            }));
        }
    }

    /// Leaves what belongs to the shard that was asked, and ends the parent behind the cut.
    fn records(&mut self, asked: &Asked, body: &mut Value) {
        let mut records: Vec<Value> = body["Records"].as_array().cloned().unwrap_or_default();
        let last = records.last().map(|record| number(&record["dynamodb"]["SequenceNumber"]));
        let (cut, children) = match &self.cut {
            Some((cut, children)) => (cut.parse::<u128>().unwrap(), *children),
            None => (u128::MAX, 0),
        };
        let child = asked.shard.as_deref().and_then(|shard| shard.split_once("-child")).map(|(_, child)| child);
        if let Some(child) = child {
            let child: usize = child.parse().unwrap();
            records.retain(|record| place(&record["dynamodb"]["Keys"], children) == child);
        } else {
            let ended = self.cut.is_some() && last.is_none_or(|last| last > cut);
            records.retain(|record| number(&record["dynamodb"]["SequenceNumber"]) <= cut);
            if ended {
                body["NextShardIterator"] = Value::Null;
            }
        }
        if let (Some(last), true) = (records.last(), child.is_none()) {
            self.seen = last["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        }
        if let (Some(shard), Some(next)) = (&asked.shard, body["NextShardIterator"].as_str()) {
            body["NextShardIterator"] = json!(format!("{MADE}{shard}/{next}"));
        }
        body["Records"] = json!(records);
    }
}

fn number(sequence: &Value) -> u128 {
    sequence.as_str().unwrap().parse().unwrap()
}

/// The child that a key's records go to.
fn place(key: &Value, children: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.to_string().hash(&mut hasher);
    usize::try_from(hasher.finish() % u64::try_from(children).unwrap()).unwrap()
}
