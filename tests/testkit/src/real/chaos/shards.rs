//! A stream of one shard, shown as many that roll and split: each has a range of its keys' hashes, and the records from
//! its parent's end to its own.
//!
//! Iterators are `made/<shard>/<generation>/<position>/` before the endpoint's own; the position is the last record behind
//! which they read, or `end` where they began at the shard's end.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Plan;

const MADE: &str = "made/";
/// Shards on a page of a listing.
const LISTED: usize = 3;

/// How the stream is shown.
#[derive(Default)]
pub(super) struct Shards {
    /// Listings leave out every shard that continues another.
    pub hidden: bool,
    /// The highest sequence number that was passed on.
    seen: u128,
    /// How many digits the endpoint writes them with: DynamoDB Local refuses shorter ones.
    digits: usize,
    /// The endpoint's own shard.
    root: String,
    /// What was made of it, once it was split.
    made: Vec<Shard>,
    /// Iterators of an earlier generation have expired.
    generation: u64,
    /// How many requests came with one of those.
    pub(super) expired: usize,
    /// Records up to this one are trimmed.
    trimmed: u128,
}

/// One shard.
struct Shard {
    id: String,
    parent: Option<String>,
    /// The hashes of its keys: from, to (exclusive).
    range: (u128, u128),
    /// Its records come after this one.
    after: u128,
    /// Its last record may be this one.
    end: Option<u128>,
}

impl Shard {
    fn holds(&self, record: &Value) -> bool {
        let sequence = sequence(record);
        let place = u128::from(hash(&record["dynamodb"]["Keys"]));
        (self.range.0..self.range.1).contains(&place)
            && sequence > self.after
            && self.end.is_none_or(|end| sequence <= end)
    }
}

/// A question as the endpoint gets it, or the code with which it is refused.
pub(super) struct Asked {
    pub(super) bytes: Bytes,
    pub(super) refused: Option<&'static str>,
    /// The shard that its iterator belongs to, or behind which the listing begins.
    shard: Option<String>,
    /// The shard whose children are listed.
    parent: Option<String>,
    /// Where that reads.
    position: String,
}

/// The position of an iterator that was taken from a shard's end.
const END: &str = "end";

impl Shards {
    /// The open shard of this number, counted round, ends behind what was passed on; so many children continue it.
    pub(super) fn split(&mut self, which: usize, children: usize) {
        assert!(!self.root.is_empty(), "the stream must have been listed before");
        if self.made.is_empty() {
            let (id, range) = (self.root.clone(), (0, 1 << 64));
            self.made.push(Shard { id, parent: None, range, after: 0, end: None });
        }
        let count = self.made.len();
        let mut open: Vec<&mut Shard> = self.made.iter_mut().filter(|shard| shard.end.is_none()).collect();
        let which = which % open.len();
        let shard = &mut *open[which];
        shard.end = Some(self.seen);
        let (parent, (from, to)) = (shard.id.clone(), shard.range);
        let step = (to - from) / u128::try_from(children).unwrap();
        let child = |child: usize| {
            let begin = from + step * u128::try_from(child).unwrap();
            let end = if child + 1 == children { to } else { begin + step };
            let id = format!("{}-made{:05}", self.root, count + child);
            Shard { id, parent: Some(parent.clone()), range: (begin, end), after: self.seen, end: None }
        };
        let new: Vec<Shard> = (0..children).map(child).collect();
        self.made.extend(new);
    }

    /// All was passed on, up to this record.
    pub(super) fn passed(&mut self, root: String, last: &str) {
        self.root = root;
        self.digits = last.len();
        self.seen = self.seen.max(last.parse().unwrap());
    }

    /// Every iterator that was given out has expired.
    pub(super) fn expire_iterators(&mut self) {
        self.generation += 1;
    }

    /// The first record behind what was passed on is kept no more.
    pub(super) fn trim(&mut self) {
        self.trimmed = self.seen + 1;
    }

    fn shard(&self, id: &str) -> Option<&Shard> {
        self.made.iter().find(|shard| shard.id == id)
    }

    pub(super) fn question(&mut self, operation: &str, plan: &Plan, bytes: Bytes) -> Asked {
        if !["GetShardIterator", "GetRecords", "DescribeStream"].contains(&operation) {
            return Asked { bytes, refused: None, shard: None, parent: None, position: String::new() };
        }
        let mut body: Value = serde_json::from_slice(&bytes).unwrap();
        let (mut refused, mut position, mut parent) = (None, String::new(), None);
        let shard;
        match operation {
            "DescribeStream" => {
                // Pages are made from the whole.
                shard = body["ExclusiveStartShardId"].as_str().map(str::to_owned);
                body.as_object_mut().unwrap().remove("ExclusiveStartShardId");
                body.as_object_mut().unwrap().remove("Limit");
                let filter = body.as_object_mut().unwrap().remove("ShardFilter");
                parent = filter.and_then(|filter| filter["ShardId"].as_str().map(str::to_owned));
            }
            "GetRecords" => {
                if let Some(limit) = plan.page_records {
                    body["Limit"] = json!(body["Limit"].as_u64().map_or(limit.into(), |asked| asked.min(limit.into())));
                }
                let iterator = body["ShardIterator"].as_str().unwrap_or_default().to_owned();
                let mut parts = iterator.strip_prefix(MADE).unwrap_or_default().splitn(4, '/');
                let mut part = || parts.next().unwrap_or_default().to_owned();
                let (made, generation) = (part(), part());
                position = part();
                if generation != self.generation.to_string() {
                    self.expired += 1;
                    refused = Some("ExpiredIteratorException");
                } else if position.parse().is_ok_and(|position: u128| position < self.trimmed) {
                    refused = Some("TrimmedDataAccessException");
                }
                shard = Some(made);
                body["ShardIterator"] = json!(part());
            }
            _ => {
                let name = body["ShardId"].as_str().unwrap_or_default().to_owned();
                (refused, position) = self.begin(&name, &mut body);
                body["ShardId"] = json!(self.root);
                shard = Some(name);
            }
        }
        Asked { bytes: Bytes::from(body.to_string()), refused, shard, parent, position }
    }

    /// Where an iterator of this shard shall begin, or why there is none.
    fn begin(&self, shard: &str, body: &mut Value) -> (Option<&'static str>, String) {
        let (after, end) = self.shard(shard).map_or((0, None), |shard| (shard.after, shard.end));
        match body["ShardIteratorType"].as_str().unwrap_or_default() {
            "TRIM_HORIZON" => {
                // Nothing says that records are missing.
                let begin = after.max(self.trimmed);
                if begin > 0 {
                    body["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                    body["SequenceNumber"] = self.written(begin);
                }
                (None, begin.to_string())
            }
            "AFTER_SEQUENCE_NUMBER" => {
                let behind = number(&body["SequenceNumber"]);
                let refused = if behind < self.trimmed {
                    Some("TrimmedDataAccessException")
                } else if behind <= after || end.is_some_and(|end| behind > end) {
                    // It is no record of this shard.
                    Some("ValidationException")
                } else {
                    None
                };
                (refused, behind.to_string())
            }
            _ => (None, END.to_owned()),
        }
    }

    pub(super) fn reply(
        &mut self,
        operation: &str,
        asked: &Asked,
        plan: &Plan,
        status: StatusCode,
        bytes: Bytes,
    ) -> Bytes {
        if status != StatusCode::OK || !["GetShardIterator", "GetRecords", "DescribeStream"].contains(&operation) {
            return bytes;
        }
        let mut body: Value = serde_json::from_slice(&bytes).unwrap();
        let shard = asked.shard.clone().unwrap_or_default();
        match operation {
            "DescribeStream" => self.list(&shard, asked.parent.as_deref(), &mut body),
            "GetShardIterator" => self.give(&shard, &asked.position, &mut body["ShardIterator"]),
            _ => {
                let last = body["Records"].as_array().and_then(|records| records.last());
                let position = last.map_or(asked.position.clone(), |record| sequence(record).to_string());
                self.records(&shard, &mut body);
                floor(&mut body["Records"], plan.floor_seconds);
                self.give(&shard, &position, &mut body["NextShardIterator"]);
            }
        }
        Bytes::from(body.to_string())
    }

    /// The endpoint's iterator as one of this shard.
    fn give(&self, shard: &str, position: &str, iterator: &mut Value) {
        if let Some(real) = iterator.as_str() {
            *iterator = json!(format!("{MADE}{shard}/{}/{position}/{real}", self.generation));
        }
    }

    /// A page of the listing, behind this shard; or the children of one.
    fn list(&mut self, behind: &str, parent: Option<&str>, body: &mut Value) {
        let stream = &mut body["StreamDescription"];
        let shards = stream["Shards"].as_array().cloned().unwrap_or_default();
        assert_eq!(shards.len(), 1, "the endpoint's own stream has one shard");
        shards[0]["ShardId"].as_str().unwrap().clone_into(&mut self.root);
        if let Some(parent) = parent {
            let children = self.made.iter().filter(|shard| !self.hidden && shard.parent.as_deref() == Some(parent));
            stream["Shards"] = children.map(|shard| self.described(shard)).collect();
            return;
        }
        if self.made.is_empty() {
            return;
        }
        let before = self.made.iter().position(|shard| shard.id == behind).map_or(0, |at| at + 1);
        let shown = self.made[before..].iter().filter(|shard| !self.hidden || shard.parent.is_none());
        let mut page: Vec<&Shard> = shown.collect();
        let more = page.len() > LISTED;
        page.truncate(LISTED);
        stream["LastEvaluatedShardId"] = if more { json!(page[LISTED - 1].id) } else { Value::Null };
        stream["Shards"] = page.into_iter().map(|shard| self.described(shard)).collect();
    }

    fn described(&self, shard: &Shard) -> Value {
        let mut described = json!({
            "ShardId": shard.id,
            "SequenceNumberRange": { "StartingSequenceNumber": self.written(shard.after + 1) },
        });
        if let Some(parent) = &shard.parent {
            described["ParentShardId"] = json!(parent);
        }
        if let Some(end) = shard.end {
            described["SequenceNumberRange"]["EndingSequenceNumber"] = self.written(end);
        }
        described
    }

    /// A sequence number as the endpoint writes it.
    fn written(&self, sequence: u128) -> Value {
        json!(format!("{sequence:0digits$}", digits = self.digits))
    }

    /// Leaves what belongs to the shard, and ends it behind its last record.
    fn records(&mut self, shard: &str, body: &mut Value) {
        let mut records: Vec<Value> = body["Records"].as_array().cloned().unwrap_or_default();
        if let Some(record) = records.last() {
            self.digits = record["dynamodb"]["SequenceNumber"].as_str().unwrap().len();
        }
        let last = records.last().map(sequence);
        if let Some(made) = self.shard(shard) {
            if made.end.is_some_and(|end| last.is_none_or(|last| last > end)) {
                body["NextShardIterator"] = Value::Null;
            }
            records.retain(|record| made.holds(record));
        }
        let passed = records.last().map(sequence);
        self.seen = self.seen.max(passed.unwrap_or(0));
        body["Records"] = json!(records);
    }
}

fn floor(records: &mut Value, seconds: u64) {
    for record in records.as_array_mut().into_iter().flatten().filter(|_| seconds > 0) {
        let time = &mut record["dynamodb"]["ApproximateCreationDateTime"];
        // Whole seconds, though some endpoints write a fraction of zero.
        let whole: u64 = time.to_string().split('.').next().unwrap().parse().unwrap();
        *time = json!(whole / seconds * seconds);
    }
}

fn sequence(record: &Value) -> u128 {
    number(&record["dynamodb"]["SequenceNumber"])
}

fn number(sequence: &Value) -> u128 {
    sequence.as_str().unwrap().parse().unwrap()
}

fn hash(key: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.to_string().hash(&mut hasher);
    hasher.finish()
}
