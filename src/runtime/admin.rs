//! The admin port: metrics, health and status over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::monitor::{Monitor, Readiness};
use crate::telemetry::Meters;

/// What the port serves from.
#[derive(Clone)]
pub struct Admin {
    /// What the process can say of itself.
    pub monitor: Arc<Monitor>,
    /// Counters kept elsewhere.
    pub meters: Arc<Meters>,
    /// Renders all metrics.
    pub prometheus: PrometheusHandle,
}

/// Opens the port. Port 0 takes a free one.
pub async fn bind(listen: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "admin listening");
    Ok((listener, address))
}

/// Serves until cancelled.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .with_state(admin);
    axum::serve(listener, routes).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.monitor.publish(&admin.meters);
    admin.prometheus.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.prometheus.render()).into_response()
}

/// A standby is ready: it does what it should.
async fn ready(State(admin): State<Admin>) -> Response {
    match admin.monitor.readiness() {
        Readiness::Active => (StatusCode::OK, "active\n").into_response(),
        Readiness::Standby => (StatusCode::OK, "standby\n").into_response(),
        Readiness::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Readiness::Ended => (StatusCode::SERVICE_UNAVAILABLE, "ended\n").into_response(),
    }
}

async fn status(State(admin): State<Admin>) -> Response {
    let body = if let Some(status) = admin.monitor.status() {
        serde_json::to_value(status).unwrap_or_default()
    } else if let Some((migration, standby)) = admin.monitor.waiting_for() {
        json!({
            "schema": super::STATUS_SCHEMA,
            "migration": migration,
            "phase": null,
            "standby": true,
            "lease": { "held": false, "owner": standby.owner, "host": standby.host },
        })
    } else {
        json!({ "schema": super::STATUS_SCHEMA, "phase": null, "standby": false, "lease": { "held": false } })
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
