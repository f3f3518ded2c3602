//! What a benchmark asks of the endpoint beyond DynamoDB's own operations.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::NullEndpoint;

/// What the endpoint has seen.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Puts.
    pub(crate) writes: u64,
    /// Distinct items put.
    pub(crate) items: u64,
    /// From the first `BatchWriteItem` to the last.
    pub(crate) writing_seconds: f64,
    /// Records before the place from which the stream was read on: all of them were taken.
    pub(crate) taken: u64,
    /// `BatchWriteItem` requests.
    pub(crate) requests: u64,
}

impl NullEndpoint {
    /// So many changes happen to the source.
    pub(crate) fn append(&self, records: u64) -> io::Result<()> {
        self.ask::<Value>("Append", &json!({ "records": records })).map(drop)
    }

    pub(crate) fn seen(&self) -> io::Result<Seen> {
        self.ask("Seen", &json!({}))
    }

    /// A request without the SDK, which would count as the program's CPU.
    fn ask<T: DeserializeOwned>(&self, operation: &str, request: &Value) -> io::Result<T> {
        let address = self.url().strip_prefix("http://").ok_or(io::ErrorKind::InvalidInput)?;
        let mut stream = TcpStream::connect(address)?;
        let body = request.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: NullEndpoint.{operation}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut reply = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while reply.read_line(&mut line)? > 0 && line.trim() != "" {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reply.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}
