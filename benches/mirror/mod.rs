//! The program itself: `runtime::run` on the ports of the SDK, in this process.
//!
//! Source, stream and shadow are a [`NullEndpoint`]; the state table is on an embedded endpoint in a process of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use shadowtable::aws::{AwsAccess, AwsPorts, AwsState, AwsTable, Connection, SystemClock, Timeouts};
use shadowtable::engine::{EngineError, EngineSettings};
use shadowtable::model::{Billing, KeyAttribute, KeySchema, KeyType, Sides, TableLayout};
use shadowtable::protocol::phase::Phase;
use shadowtable::protocol::transform::Transform;
use shadowtable::runtime::{self, Allowed, Job, Monitor, Status};
use shadowtable::telemetry::{Meters, names};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bare_loop;
use crate::child::{self, Child};
use crate::null_endpoint::NullEndpoint;

/// The argument with which the benchmark starts itself as the endpoint of the state table.
pub(crate) const STATE_ARGUMENT: &str = "state-endpoint";

const SOURCE: &str = "orders";
/// How often the benchmark looks whether something is done.
const LOOK: Duration = Duration::from_millis(20);

/// A migration. It runs while one of its methods is awaited.
pub(crate) struct Mirror {
    monitor: Arc<Monitor>,
    prometheus: PrometheusHandle,
    stop: CancellationToken,
    run: Pin<Box<dyn Future<Output = Result<(), EngineError>>>>,
    state: Child,
}

impl Mirror {
    /// Creates the source and runs the migration.
    pub(crate) async fn start(endpoint: &NullEndpoint) -> Self {
        bare_loop::create_source(&bare_loop::client(endpoint.url()), SOURCE).await;
        let state = Child::start(&[STATE_ARGUMENT]).expect("the state table's endpoint starts");
        let prometheus = install_recorder();
        Self::run(endpoint, state, prometheus)
    }

    fn run(endpoint: &NullEndpoint, state: Child, prometheus: PrometheusHandle) -> Self {
        let (monitor, meters) = (Arc::new(Monitor::default()), Arc::new(Meters::default()));
        let stop = CancellationToken::new();
        let run =
            runtime::run(ports(endpoint.url(), &state.url), job(endpoint), meters, Arc::clone(&monitor), stop.clone());
        Self { monitor, prometheus, stop, run: Box::pin(run), state }
    }

    /// Stops it, lets something happen meanwhile, and starts it again.
    pub(crate) async fn restart(self, endpoint: &NullEndpoint, meanwhile: impl FnOnce()) -> Self {
        self.stop.cancel();
        self.run.await.expect("a clean stop");
        meanwhile();
        Self::run(endpoint, self.state, self.prometheus)
    }

    /// Runs for a while. Fails when the migration ends meanwhile.
    pub(crate) async fn run_for(&mut self, span: Duration) {
        tokio::select! {
            ended = &mut self.run => panic!("the migration ended by itself: {ended:?}"),
            () = tokio::time::sleep(span) => {}
        }
    }

    /// Runs until the status is as wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Status) -> bool) {
        while !self.monitor.status().is_some_and(|status| wanted(&status)) {
            self.run_for(LOOK).await;
        }
    }

    pub(crate) async fn until_copying(&mut self) {
        // The tables of the copy are known as soon as it runs.
        self.until(|status| status.phase == Some(Phase::Copying) && status.copy.segments > 0).await;
    }

    pub(crate) async fn until_tailing(&mut self) {
        self.until(|status| status.phase == Some(Phase::Tailing)).await;
    }

    /// Waits until so many records were taken from the stream and everything is durable.
    pub(crate) async fn until_replayed(&mut self, endpoint: &NullEndpoint, records: u64) {
        // The next page is asked for only when all of the page before was offered.
        while endpoint.seen().expect("the endpoint answers").taken < records {
            self.run_for(LOOK).await;
        }
        self.until(|status| status.leg().is_some_and(|leg| leg.apply.pending == 0)).await;
    }

    /// Nothing is refused, and it stops cleanly.
    pub(crate) async fn finish(self) {
        let status = self.monitor.status().expect("the migration is active");
        assert_eq!(status.quarantine(), 0, "nothing is refused");
        self.stop.cancel();
        self.run.await.expect("a clean stop");
    }

    /// From offered to durable, in seconds: the bounds under which this share of the changes lies.
    pub(crate) fn latency_seconds(&self, shares: [f64; 2]) -> [f64; 2] {
        let text = self.prometheus.render();
        let prefix = format!("{}_bucket{{", names::APPLY_LATENCY);
        let buckets: Vec<(f64, f64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix)?.split_once("le=\"")?.1.split_once("\"} "))
            .filter_map(|(bound, count)| Some((bound.parse().ok()?, count.parse().ok()?)))
            .collect();
        let all = buckets.last().map_or(0.0, |&(_, count)| count);
        shares.map(|share| {
            let bound = buckets.iter().find(|(_, count)| *count >= share * all);
            bound.map_or(f64::NAN, |&(bound, _)| bound)
        })
    }
}

/// Like the program's own, with finer buckets.
fn install_recorder() -> PrometheusHandle {
    const STEPS: i32 = 80;
    let bounds: Vec<f64> = (0..STEPS).map(|step| 0.001 * 1.15_f64.powi(step)).collect();
    let latency = Matcher::Full(names::APPLY_LATENCY.to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(latency, &bounds).expect("there are buckets");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("one migration a process");
    handle
}

fn ports(url: &str, state_url: &str) -> Arc<AwsPorts> {
    let open = |url: &str| {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("bench", "secret", None, None, "")))
            .build();
        let [connect, read, write] = [3, 10, 5].map(Duration::from_secs);
        Connection::from_config(&config, &Timeouts { connect, read, write }, Arc::default())
    };
    let tables_at = open(url);
    let [source, shadow] = [SOURCE, "orders-shadow"].map(|table| AwsTable::new(tables_at.clone(), table));
    let state = AwsState::new(AwsTable::new(open(state_url), "state"), SystemClock::new(Arc::default(), 1));
    let access = AwsAccess::new(Sides { source, shadow }, state);
    Arc::new(access.into_ports(Sides::of(|_| key_schema())))
}

/// Defaults, but for the limit that the service puts on reading a shard, which would hide what the program can do.
fn job(endpoint: &NullEndpoint) -> Job {
    let mut engine = EngineSettings::default();
    if endpoint.shards() == 1 {
        // One shard gives what many would.
        engine.tail.busy_poll = Duration::ZERO;
        engine.tail.idle_poll = Duration::from_millis(50);
    }
    Job {
        migration: "bench".into(),
        target: TableLayout {
            partition_key: ("id".into(), KeyType::S),
            sort_key: None,
            global_indexes: [].into(),
            local_indexes: [].into(),
            billing: Billing::OnDemand,
        },
        like_source: false,
        transform: Transform::compile(&[], &key_schema(), &key_schema()).expect("no rules, no mistakes"),
        source_key: key_schema(),
        engine,
        allowed: Allowed::default(),
        host: "bench".into(),
        who: "bench".into(),
    }
}

fn key_schema() -> KeySchema {
    KeySchema { partition: KeyAttribute { name: "id".into(), kind: KeyType::S }, sort: None }
}

/// Serves the state table until standard input is closed.
pub(crate) fn serve_state() -> io::Result<()> {
    let listener = child::listen()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut serving = JoinSet::new();
    serving.spawn_on(
        async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let database = dynoxide::Database::memory().expect("a database");
            dynoxide::server::serve_on(listener, database).await;
        },
        runtime.handle(),
    );
    child::wait_for_parent()
}
