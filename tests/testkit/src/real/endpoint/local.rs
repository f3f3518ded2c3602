//! DynamoDB Local: one process for all tests of a run, a namespace for each test (it keeps one per access key and
//! region).
//!
//! `cargo xtask dynamodb-local` fetches it; there is no test without it, and no silent skip.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::real::clock;
use crate::real::endpoint::{Endpoint, Place, REGIONS};
use crate::real::watched::Watched;

const FOLDER_VARIABLE: &str = "DYNAMODB_LOCAL_DIR";

const HOW_TO: &str = "\
run it with
    DYNAMODB_LOCAL_DIR=$(cargo xtask dynamodb-local) ENDPOINT=dynamodb-local cargo test --test e2e
(it fetches it from Maven Central; it needs Java 17 or later, and Maven)";

struct Server {
    _java: Watched,
    address: SocketAddr,
}

struct Shared(Arc<Server>);

/// Joins the server that runs, or starts it.
pub fn start() -> Box<dyn Endpoint> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    // A test that failed in here has left nothing half done.
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let server = running.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *running = Arc::downgrade(&server);
        server
    });
    Box::new(Shared(server))
}

impl Endpoint for Shared {
    /// It writes `{}` where `{"M": {}}` belongs, and only in streams.
    fn streams_empty_maps(&self) -> bool {
        false
    }

    fn places(&self, namespace: &str) -> [Place; 2] {
        REGIONS.map(|region| Place {
            url: format!("http://{}", self.0.address),
            region,
            access_key: namespace.to_owned(),
        })
    }
}

impl Server {
    fn start() -> Self {
        let jars = folder().join("lib");
        assert!(jars.is_dir(), "{} holds no DynamoDB Local; {HOW_TO}", jars.display());
        // Another process may take the port in between; then ours ends, and another port is tried.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let jars = jars.join("*");
            let java = Watched::start(
                "java",
                [
                    "-XX:+UseSerialGC".as_ref(),
                    "-XX:TieredStopAtLevel=1".as_ref(),
                    "-Xmx1g".as_ref(),
                    "-cp".as_ref(),
                    jars.as_os_str(),
                    "software.amazon.dynamodb.services.local.main.ServerRunner".as_ref(),
                    "-inMemory".as_ref(),
                    "-port".as_ref(),
                    address.port().to_string().as_ref(),
                ],
            );
            let server = Self { _java: java, address };
            let start = clock::now();
            while start.elapsed() < Duration::from_secs(30) {
                if server.answers() {
                    return server;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        panic!("DynamoDB Local does not answer; is `java` (17 or later) there? {HOW_TO}");
    }

    /// Ready when a bare GET is answered, with 400: it carries no operation.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let mut head = [0_u8; 12];
        write!(stream, "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).is_ok()
            && stream.read_exact(&mut head).is_ok()
            && head == *b"HTTP/1.1 400"
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own setting, not the program's")]
fn folder() -> PathBuf {
    match std::env::var_os(FOLDER_VARIABLE) {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => panic!("{FOLDER_VARIABLE} is not set: it names the folder with DynamoDB Local's jars; {HOW_TO}"),
    }
}
