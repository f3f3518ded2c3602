//! A DynamoDB that costs next to nothing: canned Scan pages and stream pages, writes that vanish.
//!
//! It is there to measure the program in front of it, so it runs as a process of its own, whose CPU time is not
//! counted, and does no more than copy a prepared page and write keys over the places left for them. One table is the
//! source, the one that was created with a stream: it has as many items as [`Options`] says. Its stream is silent
//! until `NullEndpoint.Append` is called. Every other table is empty and stays so, but what is put into it is counted:
//! a benchmark that loses items is faster, and must not pass.
//!
//! It is no DynamoDB to test against: it checks nothing, and knows only what a migration asks.

mod control;
mod http;
mod pages;
mod tables;
mod written;

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::control::Seen;
use self::http::{Connection, Request};
use self::pages::{RecordPage, ScanPage};
use self::tables::Tables;
use self::written::Written;
use crate::child::{self, Child};

/// The argument with which the benchmark starts itself as the endpoint.
pub(crate) const ARGUMENT: &str = "null-endpoint";

/// What the source holds, and how the endpoint behaves.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Items in the source.
    pub(crate) items: u64,
    /// Items among which the stream's records go round.
    pub(crate) changed_items: u64,
    /// Open shards of the stream, each of which has its part of the changed items; 0 is 1.
    pub(crate) shards: u64,
    /// Some items change more often than others: see [`pages::skewed`].
    pub(crate) skewed: bool,
    /// Records carry the old image too.
    pub(crate) old_images: bool,
    /// How long a `BatchWriteItem` takes.
    pub(crate) write_millis: u64,
}

/// The endpoint as its parent sees it.
pub(crate) struct NullEndpoint {
    shards: u64,
    child: Child,
}

impl NullEndpoint {
    pub(crate) fn start(options: Options) -> io::Result<Self> {
        let shards = options.shards.max(1);
        let options = serde_json::to_string(&options)?;
        Ok(Self { child: Child::start(&[ARGUMENT, &options])?, shards })
    }

    pub(crate) fn shards(&self) -> u64 {
        self.shards
    }

    pub(crate) fn url(&self) -> &str {
        &self.child.url
    }
}

/// Serves until standard input is closed. `arguments` are those behind [`ARGUMENT`].
pub(crate) fn serve(arguments: &[String]) -> io::Result<()> {
    let options: Options = serde_json::from_str(arguments.first().ok_or(io::ErrorKind::InvalidInput)?)?;
    let listener = child::listen()?;
    let endpoint = Arc::new(Endpoint {
        scan_page: ScanPage::new(),
        record_page: RecordPage::new(options),
        options,
        shared: Mutex::default(),
        written: Mutex::default(),
    });
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let endpoint = Arc::clone(&endpoint);
            // A connection that breaks is its client's business.
            thread::spawn(move || endpoint.serve(stream));
        }
    });
    child::wait_for_parent()
}

struct Endpoint {
    options: Options,
    scan_page: ScanPage,
    record_page: RecordPage,
    shared: Mutex<Shared>,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Shared {
    tables: Tables,
    /// Records appended to the source's stream so far.
    records: u64,
    /// Of each shard, the records from which on anybody has read on: all before them were taken.
    taken: BTreeMap<u64, u64>,
    /// Requests by operation.
    requests: BTreeMap<String, u64>,
}

/// A refusal: its code, as the SDK reads it.
struct Refusal(&'static str);

impl Endpoint {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream)?;
        let mut page = Vec::new();
        while let Some(request) = connection.read()? {
            page.clear();
            match self.answer(&request, &mut page) {
                Ok(()) => connection.write(200, &page)?,
                Err(Refusal(code)) => {
                    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": code });
                    connection.write(400, body.to_string().as_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request<'_>, page: &mut Vec<u8>) -> Result<(), Refusal> {
        let operation = request.operation;
        *self.lock().requests.entry(operation.to_owned()).or_default() += 1;
        match operation {
            "BatchWriteItem" => {
                let keys = written::keys_of(request.body);
                locked(&self.written).add(&keys);
                if self.options.write_millis > 0 {
                    thread::sleep(Duration::from_millis(self.options.write_millis));
                }
                page.extend_from_slice(br#"{"UnprocessedItems":{}}"#);
            }
            "PutItem" | "DeleteItem" | "UpdateItem" | "GetItem" => page.extend_from_slice(b"{}"),
            "Scan" => self.scan(&body_of(request)?, page)?,
            "GetRecords" => self.records(&body_of(request)?, page)?,
            _ => {
                let reply = self.control(operation, &body_of(request)?)?;
                page.extend_from_slice(reply.to_string().as_bytes());
            }
        }
        Ok(())
    }

    fn scan(&self, request: &Value, page: &mut Vec<u8>) -> Result<(), Refusal> {
        let source = request["TableName"].as_str().is_some_and(|name| self.lock().tables.is_source(name));
        if !source {
            page.extend_from_slice(br#"{"Count":0,"Items":[],"ScannedCount":0}"#);
            return Ok(());
        }
        let segments = request["TotalSegments"].as_u64().unwrap_or(1);
        let segment = request["Segment"].as_u64().unwrap_or(0);
        let first = self.options.items * segment / segments;
        let end = self.options.items * (segment + 1) / segments;
        let from = match &request["ExclusiveStartKey"] {
            Value::Null => first,
            key => pages::number_of(&key["id"]["S"]).ok_or(Refusal("ValidationException"))? + 1,
        };
        let most = request["Limit"].as_u64().unwrap_or(u64::MAX);
        self.scan_page.fill(from, end, most, page);
        Ok(())
    }

    /// An iterator is the shard's number and that of the next record.
    fn records(&self, request: &Value, page: &mut Vec<u8>) -> Result<(), Refusal> {
        let (shard, next): (u64, u64) = request["ShardIterator"]
            .as_str()
            .and_then(|text| text.split_once(':'))
            .and_then(|(shard, next)| Some((shard.parse().ok()?, next.parse().ok()?)))
            .ok_or(Refusal("ExpiredIteratorException"))?;
        let end = {
            let mut seen = self.lock();
            let taken = seen.taken.entry(shard).or_default();
            *taken = (*taken).max(next - self.first_of(shard));
            self.end_of(shard, seen.records)
        };
        self.record_page.fill(shard, next, end, request["Limit"].as_u64().unwrap_or(u64::MAX), page);
        Ok(())
    }

    fn shards(&self) -> u64 {
        self.options.shards.max(1)
    }

    /// The number of a shard's first record.
    fn first_of(&self, shard: u64) -> u64 {
        shard * (self.options.changed_items / self.shards())
    }

    /// The number behind a shard's last record, when so many were appended to all.
    fn end_of(&self, shard: u64, records: u64) -> u64 {
        self.first_of(shard) + records / self.shards()
    }

    fn control(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let mut seen = self.lock();
        match operation {
            "CreateTable" => seen.tables.create(request),
            "UpdateTable" | "DescribeTable" => seen.tables.describe(request),
            "DeleteTable" => seen.tables.delete(request),
            "DescribeStream" => Ok(tables::describe_stream(request, self.shards())),
            "GetShardIterator" => {
                let shard = request["ShardId"].as_str().and_then(tables::shard_of);
                let shard = shard.ok_or(Refusal("ResourceNotFoundException"))?;
                let next = match request["ShardIteratorType"].as_str() {
                    Some("TRIM_HORIZON") => self.first_of(shard),
                    Some("AFTER_SEQUENCE_NUMBER") => {
                        pages::record_of(&request["SequenceNumber"]).ok_or(Refusal("ValidationException"))? + 1
                    }
                    _ => self.end_of(shard, seen.records),
                };
                Ok(json!({ "ShardIterator": format!("{shard}:{next}") }))
            }
            "Append" => {
                seen.records += request["records"].as_u64().unwrap_or(0);
                Ok(json!({ "records": seen.records }))
            }
            "Seen" => Ok(json!(locked(&self.written).seen(seen.taken.values().sum(), &seen.requests))),
            _ => Err(Refusal("UnknownOperationException")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        locked(&self.shared)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn body_of(request: &Request<'_>) -> Result<Value, Refusal> {
    serde_json::from_slice(request.body).map_err(|_| Refusal("SerializationException"))
}
