//! A proxy before an endpoint that does what no emulator does: it hangs, loses replies, throttles, refuses, and shows a
//! stream of one shard as one that rolled and split.
//!
//! Faults are rules: the first that fits a request decides. Changing them takes effect with the next request. Requests
//! that hang are let go when the rules change.

mod split;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use self::split::Split;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// It is passed on, and nothing comes back until the rules change.
    Hang,
    /// It waits before it is passed on.
    Delay(Duration),
    /// It takes effect, and its reply is lost: the connection is closed.
    LoseReply,
    /// The connection is closed at once.
    Reset,
    /// It is passed on, and in its reply the first text is replaced by the second.
    Rewrite(&'static str, &'static str),
    /// It is refused with this code, as the service says it: HTTP 400, or 500 for `InternalServerError`.
    Refuse(&'static str),
}

/// A fault for some requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// The operation; every one where none is given.
    pub(crate) operation: Option<&'static str>,
    pub(crate) effect: Effect,
}

/// What a request passes through.
#[derive(Clone, Default)]
struct Plan {
    rules: Vec<Rule>,
    /// How many records a page has at most.
    page_records: Option<u32>,
    /// How far the replies' clock is ahead, in seconds: records are so much older then.
    ahead_seconds: i64,
}

struct Shared {
    upstream: SocketAddr,
    plan: Mutex<Plan>,
    changed: watch::Sender<u64>,
    split: Mutex<Split>,
}

/// The proxy, as long as it is held.
pub(crate) struct Chaos {
    shared: Arc<Shared>,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Chaos {
    /// Before the endpoint at `url`.
    pub(crate) fn before(url: &str, handle: &Handle) -> Self {
        let upstream = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = handle.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            plan: Mutex::default(),
            changed: watch::channel(0).0,
            split: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn_on(serve(listener, Arc::clone(&shared)), handle);
        Self { shared, address, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// These faults from now on, and no others.
    pub(crate) fn set(&self, rules: impl Into<Vec<Rule>>) {
        lock(&self.shared.plan).rules = rules.into();
        self.shared.changed.send_modify(|version| *version += 1);
    }

    /// The replies' clock is so far ahead, as if that time had passed, and pages have so many records at most.
    pub(crate) fn pass(&self, seconds: i64, page_records: u32) {
        let mut plan = lock(&self.shared.plan);
        (plan.ahead_seconds, plan.page_records) = (seconds, Some(page_records));
    }

    /// The stream's open shard ends behind the last record that was passed on; so many children continue it.
    pub(crate) fn split(&self, children: usize) {
        lock(&self.shared.split).split(children);
    }

    /// Whether listings leave the children out.
    pub(crate) fn hide_children(&self, hidden: bool) {
        lock(&self.shared.split).hidden = hidden;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let answer = service_fn(|request| answer(request, Arc::clone(&shared)));
                    // A connection that is closed on purpose ends with an error.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closed> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let mut changed = shared.changed.subscribe();
    changed.mark_unchanged();
    let plan = lock(&shared.plan).clone();
    let rule = plan.rules.iter().find(|rule| rule.operation.is_none_or(|wanted| wanted == operation));
    let effect = rule.map(|rule| rule.effect.clone());
    match &effect {
        Some(Effect::Reset) => return Err(Closed),
        Some(Effect::Refuse(code)) => return Ok(refusal(code)),
        Some(Effect::Delay(span)) => tokio::time::sleep(*span).await,
        Some(Effect::Hang) => {
            // Whatever asked gives up, or the rules change.
            let _ = changed.changed().await;
            return Err(Closed);
        }
        Some(Effect::LoseReply | Effect::Rewrite(..)) | None => {}
    }
    let asked = lock(&shared.split).question(&operation, &plan, body);
    let (status, reply) = forward(shared.upstream, parts, asked.bytes.clone()).await.map_err(|_| Closed)?;
    if effect == Some(Effect::LoseReply) {
        return Err(Closed);
    }
    let reply = match effect {
        Some(Effect::Rewrite(from, to)) => Bytes::from(String::from_utf8_lossy(&reply).replace(from, to)),
        _ => reply,
    };
    let reply = lock(&shared.split).reply(&operation, &asked, status, reply);
    let mut response = Response::new(Full::new(reply));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-amz-json-1.0"));
    response.headers_mut().insert(header::DATE, date(plan.ahead_seconds));
    Ok(response)
}

/// Passes a request on, over a connection of its own.
async fn forward(
    upstream: SocketAddr,
    parts: hyper::http::request::Parts,
    body: Bytes,
) -> Result<(hyper::StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::from_parts(parts, Full::new(body));
    request.headers_mut().remove(header::CONTENT_LENGTH);
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    };
    tokio::select! {
        biased;
        exchanged = exchange => Ok(exchanged?),
        ended = connection => Err(format!("the endpoint closed the connection: {ended:?}").into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the proxy is an endpoint, and has a clock of its own")]
fn date(ahead_seconds: i64) -> header::HeaderValue {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let date = aws_smithy_types::DateTime::from_secs(i64::try_from(now).unwrap() + ahead_seconds);
    date.fmt(aws_smithy_types::date_time::Format::HttpDate).unwrap().parse().unwrap()
}

fn refusal(code: &str) -> Response<Full<Bytes>> {
    let status = if code == "InternalServerError" { 500 } else { 400 };
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "said by the proxy" });
    json_reply(status, &body)
}

fn json_reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
