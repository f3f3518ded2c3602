//! A proxy in front of an endpoint that does what no emulator does: it hangs, loses replies, lets writes land late, throttles,
//! does batches in part, refuses by a policy, trims, lets iterators expire, and shows a stream of one shard as many that
//! roll and split. Reads that are not consistent it refuses always.
//!
//! Faults are rules: the first that fits a request decides. Changing them takes effect with the next request; requests that
//! hang are let go then.

mod batch;
mod rules;
mod shards;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use self::rules::refusal;
pub use self::rules::{Deny, Effect, Rule};
use self::shards::Shards;
use super::endpoint::Place;
use super::table::Table;

/// What a request passes through.
#[derive(Clone, Default)]
struct Plan {
    rules: Vec<Rule>,
    /// What comes before the rules.
    policy: Vec<Deny>,
    /// How many records a page has at most.
    page_records: Option<u32>,
    /// How far the replies' clock is ahead, in seconds: records are so much older then.
    ahead_seconds: i64,
    /// Records' times are floored to so many seconds; to whole ones, by the service itself, where it is zero.
    floor_seconds: u64,
}

struct Shared {
    upstream: SocketAddr,
    /// Whoever asks, requests are passed on with this one: emulators keep tables apart by it.
    access_key: String,
    plan: Mutex<Plan>,
    changed: watch::Sender<u64>,
    shards: Mutex<Shards>,
    chance: Mutex<fastrand::Rng>,
    /// Writes that nobody waits for any more.
    landing: TaskTracker,
}

/// The proxy, as long as it is held.
pub struct Chaos {
    shared: Arc<Shared>,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Chaos {
    /// Before the endpoint of this place, with chance from the seed.
    pub fn before(place: &Place, handle: &Handle, seed: u64) -> Self {
        let upstream = place.url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = handle.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            access_key: place.access_key.clone(),
            plan: Mutex::default(),
            changed: watch::channel(0).0,
            shards: Mutex::default(),
            chance: Mutex::new(fastrand::Rng::with_seed(seed)),
            landing: TaskTracker::new(),
        });
        let mut serving = JoinSet::new();
        serving.spawn_on(serve(listener, Arc::clone(&shared)), handle);
        Self { shared, address, _serving: serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// These faults from now on, and no others.
    pub fn set(&self, rules: impl Into<Vec<Rule>>) {
        lock(&self.shared.plan).rules = rules.into();
        self.shared.changed.send_modify(|version| *version += 1);
    }

    /// These statements from now on, and no others.
    pub fn deny(&self, policy: impl Into<Vec<Deny>>) {
        lock(&self.shared.plan).policy = policy.into();
    }

    /// Records' times are floored to so many seconds.
    pub fn floor_times(&self, seconds: u64) {
        lock(&self.shared.plan).floor_seconds = seconds;
    }

    /// The replies' clock is so far ahead, as if that time had passed, and pages have so many records at most.
    pub fn pass(&self, seconds: i64, page_records: u32) {
        let mut plan = lock(&self.shared.plan);
        (plan.ahead_seconds, plan.page_records) = (seconds, Some(page_records));
    }

    /// An open shard of the stream, by number, ends behind the last record that was passed on; so many children continue
    /// it.
    pub fn split(&self, which: usize, children: usize) {
        lock(&self.shared.shards).split(which, children);
    }

    /// Every iterator that was given out has expired.
    pub fn expire_iterators(&self) {
        lock(&self.shared.shards).expire_iterators();
    }

    /// How many requests came with an iterator that had expired.
    pub fn expired(&self) -> usize {
        lock(&self.shared.shards).expired
    }

    /// Reads this table's stream to its end, as if all of it had been passed on: shards that are split now end there.
    pub fn pass_all(&self, table: &Table) {
        let (root, last) = table.end_of_stream();
        lock(&self.shared.shards).passed(root, &last);
    }

    /// The first record behind those that were passed on is trimmed.
    pub fn trim(&self) {
        lock(&self.shared.shards).trim();
    }

    /// Whether listings leave the children out.
    pub fn hide_children(&self, hidden: bool) {
        lock(&self.shared.shards).hidden = hidden;
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
    if is_stale(&operation, &body) {
        return Ok(refusal("ValidationException", &operation));
    }
    let denied = |deny: &Deny| deny.refusal(access_key(&parts), &operation, &body);
    if let Some(refusal) = plan.policy.iter().find_map(denied) {
        return Ok(refusal);
    }
    let rule = plan.rules.iter().find(|rule| rule.fits(&operation, &mut lock(&shared.chance)));
    let effect = rule.map(|rule| rule.effect.clone());
    match &effect {
        Some(Effect::Reset) => return Err(Closed),
        Some(Effect::Refuse(code)) => return Ok(refusal(code, &operation)),
        Some(Effect::Delay(span)) => tokio::time::sleep(*span).await,
        Some(Effect::Late(span)) => {
            shared.landing.spawn(land(Arc::clone(&shared), parts, body, *span));
            // Whatever asked gives up before.
            tokio::time::sleep(*span).await;
            return Err(Closed);
        }
        Some(Effect::Hang) => {
            // Whatever asked gives up, or the rules change.
            let _ = changed.changed().await;
            return Err(Closed);
        }
        Some(Effect::LoseReply | Effect::Rewrite(..) | Effect::Unprocessed) | None => {}
    }
    let asked = lock(&shared.shards).question(&operation, &plan, body);
    if let Some(code) = asked.refused {
        return Ok(refusal(code, &operation));
    }
    let (bytes, left) = match effect {
        Some(Effect::Unprocessed) if operation == "BatchWriteItem" => {
            batch::part(&asked.bytes, &mut lock(&shared.chance))
        }
        _ => (asked.bytes.clone(), Value::Null),
    };
    let (status, reply) = forward(&shared, parts, bytes).await.map_err(|_| Closed)?;
    if effect == Some(Effect::LoseReply) {
        return Err(Closed);
    }
    let reply = match effect {
        Some(Effect::Rewrite(from, to)) => Bytes::from(String::from_utf8_lossy(&reply).replace(from, to)),
        _ => reply,
    };
    let reply = batch::with_unprocessed(status, reply, &left);
    let reply = lock(&shared.shards).reply(&operation, &asked, &plan, status, reply);
    let mut response = json(status, reply);
    response.headers_mut().insert(header::DATE, date(plan.ahead_seconds));
    Ok(response)
}

/// Whether a read may show what was: no emulator answers such a one with anything old, and the protocol rests on none.
fn is_stale(operation: &str, body: &[u8]) -> bool {
    let asked = || serde_json::from_slice::<Value>(body).unwrap_or_default();
    matches!(operation, "GetItem" | "Query" | "Scan") && asked()["ConsistentRead"] != true
}

/// Who signed the request.
fn access_key(parts: &Parts) -> &str {
    let signed = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (_, credential) = signed.split_once("Credential=").unwrap_or_default();
    credential.split('/').next().unwrap_or_default()
}

/// Passes a write on when nobody expects it any more.
async fn land(shared: Arc<Shared>, parts: Parts, body: Bytes, after: Duration) {
    tokio::time::sleep(after).await;
    // The endpoint may be gone by then; its refusals are nobody's.
    let _ = forward(&shared, parts, body).await;
}

/// Passes a request on, over a connection of its own.
async fn forward(
    shared: &Shared,
    parts: Parts,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let key = access_key(&parts).to_owned();
    let stream = TcpStream::connect(shared.upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::from_parts(parts, Full::new(body));
    if let Some(signed) = request.headers_mut().get_mut(header::AUTHORIZATION) {
        let own =
            signed.to_str()?.replace(&format!("Credential={key}/"), &format!("Credential={}/", shared.access_key));
        *signed = own.parse()?;
    }
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

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
