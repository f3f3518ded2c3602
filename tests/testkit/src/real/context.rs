//! One test's surroundings: an endpoint, two places in it, a runtime, a seed.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use tokio::runtime::{Builder, Handle, Runtime};

use super::endpoint::{self, Endpoint, Place};
use super::layout::Layout;
use super::table::Table;

pub struct Ctx {
    /// The runtime comes first: its tasks end before the endpoint does.
    runtime: Runtime,
    home: (Place, Client),
    abroad: (Place, Client),
    seed: u64,
    names: AtomicU32,
    namespace: String,
    endpoint: Box<dyn Endpoint>,
    program: &'static Path,
}

impl Ctx {
    /// With this program, on the endpoint that `ENDPOINT` names. The seed is printed; `SEED=… cargo test …` runs with it again.
    pub fn new(program: &'static str) -> Self {
        let seed = seed();
        println!("SEED={seed}");
        let namespace = namespace();
        let endpoint = endpoint::chosen();
        let [home, abroad] = endpoint.places(&namespace).map(|place| {
            let client = place.client();
            (place, client)
        });
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let program = program.as_ref();
        Self { runtime, home, abroad, seed, names: AtomicU32::new(1), namespace, endpoint, program }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The program under test.
    pub fn program(&self) -> &'static Path {
        self.program
    }

    /// See [`Endpoint::streams_empty_maps`].
    pub fn streams_empty_maps(&self) -> bool {
        self.endpoint.streams_empty_maps()
    }

    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// A handle on a table in the first place, under a name not used before. The table is not created.
    pub fn table(&self, role: &str, layout: Layout) -> Table {
        let (place, client) = &self.home;
        Table::new(self.name(role), place.clone(), client.clone(), layout, self.handle().clone())
    }

    /// The same in the second place: another region.
    pub fn table_abroad(&self, role: &str, layout: Layout) -> Table {
        let (place, client) = &self.abroad;
        Table::new(self.name(role), place.clone(), client.clone(), layout, self.handle().clone())
    }

    /// At least eleven characters: shard ids are then as long as the SDKs demand on every endpoint.
    pub fn name(&self, role: &str) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("e2e-{role}-{}-{number}", self.namespace)
    }
}

/// Letters and digits only, as an access key must be; the process id keeps two runs apart on one server.
fn namespace() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(1);
    format!("e2e{}x{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

#[expect(clippy::disallowed_methods, reason = "a fresh seed unless one is asked for; tests have no clock port")]
fn seed() -> u64 {
    match std::env::var("SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("SEED is not a number: {text:?}")),
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()),
    }
}
