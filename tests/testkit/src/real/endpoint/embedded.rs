//! The embedded endpoint: one server a region, each on a thread and a runtime of its own in this process.
//!
//! Every test starts its own: no other test's load holds it up.

use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::real::endpoint::{Endpoint, Place, REGIONS};

pub struct Embedded {
    servers: [Server; 2],
}

struct Server {
    url: String,
    /// Dropped to stop the server.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An empty database that finds stream records by their numbers.
///
/// As it comes, it looks through every record that it keeps for each write and for each poll: a test whose writers go on
/// meanwhile slows itself down the longer it lasts, and on a slow machine it lasts longer.
fn database() -> dynoxide::Database {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.sqlite");
    let database = dynoxide::Database::memory().unwrap();
    database.vacuum_into(path.to_str().unwrap()).unwrap();
    let indexes = "
        CREATE INDEX stream_of_table ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
        CREATE INDEX stream_of_shard ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));
    ";
    rusqlite::Connection::open(&path).unwrap().execute_batch(indexes).unwrap();
    database.restore_from(path.to_str().unwrap()).unwrap();
    database
}

pub fn start() -> Box<dyn Endpoint> {
    Box::new(Embedded { servers: [Server::start(), Server::start()] })
}

impl Endpoint for Embedded {
    fn places(&self, namespace: &str) -> [Place; 2] {
        [0, 1].map(|number| Place {
            url: self.servers[number].url.clone(),
            region: REGIONS[number],
            access_key: namespace.to_owned(),
        })
    }
}

impl Server {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("embedded endpoint".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                    let database = database();
                    tokio::select! {
                        () = dynoxide::server::serve_on(listener, database) => {}
                        _ = stopped => {}
                    }
                });
            })
            .unwrap();
        Self { url, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; a second one here would abort.
            let _ = thread.join();
        }
    }
}
