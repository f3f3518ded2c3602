//! The admin port: the status page, metrics, health and status over HTTP.
//!
//! | file | does |
//! |---|---|
//! | this | the routes, and the bounds of requests and connections |
//! | `hosts` | which names the port answers to |
//! | `page/` | the page at `/`: one document, made of what `/status` says |
//!
//! It knows no authentication and changes nothing. No answer holds an item's values, a key or a credential; the last lines of
//! the audit trail quote what an operator's programs said. Requests are bounded in size and time, connections in number and life, and only names that an operator knows are answered.

mod hosts;
mod page;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::hosts::AllowedHosts;
use self::page::PAGE;
use crate::runtime::{Monitor, Readiness, STATUS_SCHEMA};
use crate::telemetry::Meters;

/// Connections at the same time; more wait until one of these ends.
const CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(15);
/// The largest head of a request, in bytes. Nothing here reads a body.
const HEAD_BYTES: usize = 16 * 1024;
/// How long a connection lives, whatever comes over it: whoever needs longer connects again.
const LIFE: Duration = Duration::from_mins(5);
/// How long answers in hand may take when the port closes.
const CLOSING: Duration = Duration::from_secs(2);
/// How long to wait when a connection cannot be accepted: too many files are open, say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What every answer carries besides its own headers.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// What the port serves from.
#[derive(Clone)]
pub struct Admin {
    /// What the process can say of itself.
    pub monitor: Arc<Monitor>,
    /// Counters kept elsewhere.
    pub meters: Arc<Meters>,
    /// Renders all metrics.
    pub prometheus: PrometheusHandle,
    /// Host names that are answered, besides IP literals and `localhost`.
    pub allowed_hosts: Vec<String>,
}

/// Opens the port. Port 0 takes a free one.
pub async fn bind(listen: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "admin listening");
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the admin port can be reached from other machines, and knows no authentication");
    }
    Ok((listener, address))
}

/// Serves until cancelled.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> std::io::Result<()> {
    let hosts = Arc::new(AllowedHosts::new(&admin.allowed_hosts));
    let routes = Router::new()
        .route("/", get(show_page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .with_state(admin)
        .layer(from_fn_with_state(hosts, only_known_hosts))
        .layer(from_fn(with_headers));
    let (room, mut connections) = (Arc::new(Semaphore::new(CONNECTIONS)), JoinSet::new());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener, &room) => {
                let Some((stream, permit)) = accepted else { continue };
                let (routes, stop) = (routes.clone(), stop.clone());
                connections.spawn(async move {
                    converse(stream, routes, stop).await;
                    drop(permit);
                });
            }
        }
    }
    // Whoever does not take its answer in time goes without.
    let _ = timeout(CLOSING, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::debug!(%error, "a connection to the admin port could not be accepted");
            sleep(ACCEPT_AGAIN).await;
            None
        }
    }
}

/// One connection, until it ends, its time is up or the port closes.
async fn converse(stream: TcpStream, routes: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let over = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LIFE) => {}
        }
    };
    // What a client does wrong on its connection concerns nobody else.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = over => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(CLOSING, connection).await;
        }
    }
}

/// Refuses names that nobody configured: see [`hosts`].
async fn only_known_hosts(State(hosts): State<Arc<AllowedHosts>>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let in_target = request.uri().authority().map(axum::http::uri::Authority::as_str);
    // Old health checks name no host. A page from elsewhere cannot ask so, and learns nothing from these.
    let old = named.is_none() && request.version() == Version::HTTP_10;
    let nameless = old && matches!(request.uri().path(), "/healthz" | "/readyz");
    let named = nameless || named.is_some_and(|host| hosts.allow(host));
    let known = named && in_target.is_none_or(|host| hosts.allow(host));
    if known {
        return next.run(request).await;
    }
    let told = "this port answers to IP addresses, to localhost, and to the names in admin.allowed_hosts\n";
    (StatusCode::MISDIRECTED_REQUEST, told).into_response()
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

async fn show_page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, PAGE.policy.as_str())], Html(PAGE.html.as_str())).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.monitor.publish(&admin.meters);
    admin.prometheus.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.prometheus.render()).into_response()
}

/// A standby that is configured as the migration is ready: it does what it should.
async fn ready(State(admin): State<Admin>) -> Response {
    match admin.monitor.readiness() {
        Readiness::Active => (StatusCode::OK, "active\n").into_response(),
        Readiness::Standby => {
            let differs = admin.monitor.differing().lines;
            let told: String = differs.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
            (StatusCode::OK, format!("standby\n{told}")).into_response()
        }
        Readiness::Unfit(differs) => {
            let told = format!("standby, not ready: configured otherwise than the migration\n{}\n", differs.join("\n"));
            (StatusCode::SERVICE_UNAVAILABLE, told).into_response()
        }
        Readiness::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Readiness::Ended => (StatusCode::SERVICE_UNAVAILABLE, "ended\n").into_response(),
    }
}

async fn status(State(admin): State<Admin>) -> Response {
    let body = if let Some(status) = admin.monitor.status() {
        serde_json::to_value(status).unwrap_or_default()
    } else if let Some((migration, standby)) = admin.monitor.waiting_for() {
        json!({
            "schema": STATUS_SCHEMA,
            "migration": migration,
            "phase": null,
            "standby": true,
            "differs": admin.monitor.differing().lines,
            "lease": { "held": false, "owner": standby.owner, "host": standby.host },
        })
    } else {
        json!({ "schema": STATUS_SCHEMA, "phase": null, "standby": false, "lease": { "held": false } })
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
