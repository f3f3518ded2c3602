//! The embedded DynamoDB: in this process, and yet reached over HTTP like any other endpoint.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::aws::{Connection, ServiceSkew, Timeouts};
use crate::engine::EngineError;

/// How long a connection may take to be made, and a read to be answered.
const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(30);

/// A running emulator; it ends when dropped, and what it held is gone.
///
/// It has a runtime of its own: each of its requests blocks its thread until the answer is there, and would hold up the
/// migration's tasks.
#[derive(Debug)]
pub(super) struct Embedded {
    url: String,
    runtime: Option<Runtime>,
}

impl Embedded {
    /// Starts it on a free port of the loopback interface.
    pub(super) fn start() -> Result<Self, EngineError> {
        let database = dynoxide::Database::memory().map_err(cannot_start)?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot_start)?;
        listener.set_nonblocking(true).map_err(cannot_start)?;
        let url = format!("http://{}", listener.local_addr().map_err(cannot_start)?);
        // One thread: the database behind it takes one request at a time.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("embedded-dynamodb")
            .enable_all()
            .build()
            .map_err(cannot_start)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(cannot_start)?
        };
        runtime.spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        Ok(Self { url, runtime: Some(runtime) })
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The way to it. `write`: how long a write may take.
    pub(super) fn connect(&self, write: Duration, skew: Arc<ServiceSkew>) -> Connection {
        Connection::to_emulator(&self.url, &Timeouts { connect: CONNECT, read: READ, write }, skew)
    }
}

impl Drop for Embedded {
    /// Without waiting: an asynchronous context must not block, and nothing of it is wanted any more.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn cannot_start(error: impl Display) -> EngineError {
    EngineError::refused(
        format!("the embedded DynamoDB cannot start: {error}"),
        "it needs a free port on 127.0.0.1, a thread and some memory",
    )
}
