//! As much of HTTP/1.1 as the SDK's client speaks: keep-alive, `Content-Length`, nothing else.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::{Instant, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

pub(super) struct Connection {
    stream: TcpStream,
    /// What has been read and not yet answered.
    input: Vec<u8>,
    /// Bytes at the beginning of `input` that belong to the request answered last.
    answered: usize,
    head: Vec<u8>,
}

pub(super) struct Request<'a> {
    /// What follows the dot in `X-Amz-Target`.
    pub(super) operation: &'a str,
    pub(super) body: &'a [u8],
}

/// Where the parts of a request lie in the input.
struct Head {
    operation: std::ops::Range<usize>,
    body: std::ops::Range<usize>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: Vec::with_capacity(64 * 1024), answered: 0, head: Vec::new() })
    }

    /// The next request; `None` when the client has closed the connection.
    pub(super) fn read(&mut self) -> io::Result<Option<Request<'_>>> {
        self.input.drain(..self.answered);
        self.answered = 0;
        let end = loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                break end;
            }
            if !self.read_more(0)? {
                return Ok(None);
            }
        };
        let head = parse(&self.input, end).ok_or(io::ErrorKind::InvalidData)?;
        while self.input.len() < head.body.end {
            let missing = head.body.end - self.input.len();
            if !self.read_more(missing)? {
                return Ok(None);
            }
        }
        self.answered = head.body.end;
        let operation = self.input.get(head.operation).and_then(|name| std::str::from_utf8(name).ok());
        let body = self.input.get(head.body).unwrap_or_default();
        Ok(operation.map(|operation| Request { operation, body }))
    }

    /// Whether there was anything left to read.
    fn read_more(&mut self, expected: usize) -> io::Result<bool> {
        const LEAST: usize = 16 * 1024;
        let before = self.input.len();
        self.input.resize(before + expected.max(LEAST), 0);
        let read = self.stream.read(self.input.get_mut(before..).unwrap_or_default())?;
        self.input.truncate(before + read);
        Ok(read > 0)
    }

    pub(super) fn write(&mut self, status: u16, body: &[u8]) -> io::Result<()> {
        self.head.clear();
        write!(
            self.head,
            "HTTP/1.1 {status} OK\r\nContent-Type: application/x-amz-json-1.0\r\nDate: {}\r\nContent-Length: {}\r\n\r\n",
            date(),
            body.len()
        )?;
        let mut parts = [IoSlice::new(&self.head), IoSlice::new(body)];
        let mut left = parts.as_mut_slice();
        while !left.is_empty() {
            let written = self.stream.write_vectored(left)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }
}

/// The program reads the service's time from it.
fn date() -> String {
    DateTime::from(now()).fmt(Format::HttpDate).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the endpoint is the service, whose clock is its own")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "the endpoint is the service, whose clock is its own")]
pub(super) fn now_instant() -> Instant {
    Instant::now()
}

fn parse(input: &[u8], end: usize) -> Option<Head> {
    let text = std::str::from_utf8(input.get(..end)?).ok()?;
    let (mut operation, mut length) = (None, 0);
    let mut start = 0;
    for line in text.split("\r\n") {
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("x-amz-target") {
                operation = Some(start + line.rfind('.')? + 1..start + line.len());
            }
        }
        start += line.len() + 2;
    }
    let body = end + 4;
    Some(Head { operation: operation?, body: body..body + length })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
