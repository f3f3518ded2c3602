//! Which requests meet with what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// How long after it was put up a statement of a policy holds.
const POLICY_LAG: Duration = Duration::from_millis(150);

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It is not passed on, and nothing comes back; the connection is closed when the rules change.
    Hang,
    /// It waits before it is passed on; not at all, if whoever asked gives up meanwhile.
    Delay(Duration),
    /// It takes effect so much later, whether or not somebody still waits for it. Nothing comes back.
    Late(Duration),
    /// It takes effect, and its reply is lost: the connection is closed.
    LoseReply,
    /// The connection is closed at once.
    Reset,
    /// It is passed on, and in its reply the first text is replaced by the second.
    Rewrite(&'static str, &'static str),
    /// It is refused with this code, as the service says it: HTTP 400, or 500 for `InternalServerError`.
    Refuse(&'static str),
    /// Some writes of a batch are not done.
    Unprocessed,
}

/// A fault for some requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The operation; every one where none is given.
    operation: Option<&'static str>,
    pub(super) effect: Effect,
    /// It happens to so many of a hundred such requests.
    percent: u8,
}

impl Rule {
    /// What happens to every request.
    pub const fn always(effect: Effect) -> Self {
        Self { operation: None, effect, percent: 100 }
    }

    /// What happens to every such request.
    pub const fn on(operation: &'static str, effect: Effect) -> Self {
        Self { operation: Some(operation), effect, percent: 100 }
    }

    /// What happens to some of such requests.
    pub const fn sometimes(percent: u8, operation: &'static str, effect: Effect) -> Self {
        Self { operation: Some(operation), effect, percent }
    }

    pub(super) fn fits(&self, operation: &str, chance: &mut fastrand::Rng) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation) && chance.u8(0..100) < self.percent
    }
}

/// A statement of a policy: who may not do what.
#[derive(Clone, Debug)]
pub struct Deny {
    /// Whoever signs with this access key.
    pub access_key: String,
    pub operations: &'static [&'static str],
    /// On this table; on any where none is given.
    pub table: Option<String>,
    /// As long as this file is there, so that a program can put the statement up and take it down; always where none is
    /// given.
    pub file: Option<PathBuf>,
}

impl Deny {
    /// The refusal in the service's words, if the statement holds for such a request.
    pub(super) fn refusal(&self, access_key: &str, operation: &str, body: &Bytes) -> Option<Response<Full<Bytes>>> {
        let meant = self.access_key == access_key
            && self.operations.contains(&operation)
            && self.table.as_deref().is_none_or(|table| names(body, table))
            && self.file.as_ref().is_none_or(|file| stands(file));
        meant.then(|| {
            let table = self.table.as_deref().unwrap_or("*");
            let message = format!(
                "User: arn:aws:iam::000000000000:user/{access_key} is not authorized to perform: dynamodb:{operation} on \
                 resource: arn:aws:dynamodb:us-east-1:000000000000:table/{table} with an explicit deny in a \
                 resource-based policy"
            );
            let code = "com.amazonaws.dynamodb.v20120810#AccessDeniedException";
            reply(400, &json!({ "__type": code, "message": message }))
        })
    }
}

/// Whether a file has been there for long enough: a policy does not hold at once.
fn stands(file: &Path) -> bool {
    let since = file.metadata().and_then(|file| file.modified());
    since.is_ok_and(|since| since.elapsed().is_ok_and(|stood| stood >= POLICY_LAG))
}

/// Whether a request is about this table.
fn names(body: &Bytes, table: &str) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["TableName"] == table || body["RequestItems"].get(table).is_some()
}

/// A refusal with this code; a throttle says its reasons.
pub(super) fn refusal(code: &str, operation: &str) -> Response<Full<Bytes>> {
    let status = if code == "InternalServerError" { 500 } else { 400 };
    let mut body =
        json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "said by the proxy" });
    if code.contains("Throughput") || code.contains("Throttl") {
        let resource = "arn:aws:dynamodb:us-east-1:000000000000:table/chaos";
        let writes = operation.contains("Write") || operation.ends_with("Item") && operation != "GetItem";
        let way = if writes { "Write" } else { "Read" };
        let reason = format!("Table{way}ProvisionedThroughputExceeded");
        body["ThrottlingReasons"] = json!([{ "reason": reason, "resource": resource }]);
    }
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    super::json(hyper::StatusCode::from_u16(status).unwrap(), Bytes::from(body.to_string()))
}
