//! For tests: an endpoint that answers one thing, whatever it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::http::StatusCode;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Connection, ServiceSkew, Timeouts};

pub(super) const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(5), read: Duration::from_secs(5), write: Duration::from_secs(1) };

/// An endpoint on loopback; it ends when dropped.
pub(super) struct Canned {
    pub(super) url: String,
    pub(super) skew: Arc<ServiceSkew>,
    requests: Arc<AtomicUsize>,
    last_body: Arc<Mutex<Bytes>>,
    _tasks: JoinSet<()>,
}

impl Canned {
    /// Answers with this status and JSON body, and a `Date` an hour ahead of any likely clock.
    pub(super) async fn replies(status: u16, body: &'static str) -> Self {
        let requests = Arc::<AtomicUsize>::default();
        let last_body = Arc::<Mutex<Bytes>>::default();
        let (counter, kept) = (Arc::clone(&requests), Arc::clone(&last_body));
        let handler = move |request: Bytes| async move {
            counter.fetch_add(1, Ordering::Relaxed);
            *kept.lock() = request;
            let headers = [("content-type", "application/x-amz-json-1.0"), ("date", "Fri, 01 Jan 2100 00:00:00 GMT")];
            (StatusCode::from_u16(status).unwrap(), headers, body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
        Self { url, skew: Arc::default(), requests, last_body, _tasks: tasks }
    }

    /// Takes connections, and then closes them at once (`Duration::ZERO`) or after a while, without an answer.
    pub(super) async fn closes_after(span: Duration) -> Self {
        let requests = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&requests);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                connections.spawn(async move {
                    stream.readable().await.unwrap();
                    tokio::time::sleep(span).await;
                    drop(stream);
                });
            }
        });
        Self { url, skew: Arc::default(), requests, last_body: Arc::default(), _tasks: tasks }
    }

    /// How many requests (or connections) came.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The body of the request that came last.
    pub(super) fn last_body(&self) -> Bytes {
        self.last_body.lock().clone()
    }

    pub(super) fn connection(&self) -> Connection {
        Connection::from_config(&config(&self.url, Some(dummy())), &TIMEOUTS, Arc::clone(&self.skew))
    }
}

pub(super) fn dummy() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "tests"))
}

pub(super) fn config(url: &str, credentials: Option<SharedCredentialsProvider>) -> SdkConfig {
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(url);
    builder.set_credentials_provider(credentials);
    builder.build()
}
