//! What is measured. Each measurement is a process of its own, so that none profits from another's warm caches, and so
//! that its peak memory is its own.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::bare_loop;
use crate::mirror::Mirror;
use crate::null_endpoint::{NullEndpoint, Options};

/// The argument with which the benchmark starts itself to measure something.
pub(crate) const ARGUMENT: &str = "measure";

/// What is measured, with `count` items or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scenario {
    /// Scan and `BatchWriteItem` with the typed SDK, and nothing in between.
    Bare,
    /// The copy, with a silent stream.
    Copy,
    /// The replay of changes to distinct keys.
    Replay,
    /// The same, of records that carry the old image too.
    ReplayOldImages,
    /// The replay of changes of which some keys get far more than others.
    ReplaySkewed,
    /// The replay of so many changes a second: how long each takes.
    Latency {
        /// Changes a second.
        rate: u64,
    },
    /// Copy and replay of as many, into a shadow so slow that everything that may be held is held.
    SlowShadow,
    /// The replay of skewed changes, into a shadow that takes a second for each request.
    StalledShadow,
    /// A restart that finds as many changes in each of many shards.
    ManyShards {
        /// Shards.
        shards: u64,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Items or changes.
    pub(crate) count: u64,
    /// CPU of this process, all threads, in user and in kernel mode.
    pub(crate) cpu_micros: f64,
    /// Writes that the shadow took.
    pub(crate) writes: u64,
    /// `BatchWriteItem` requests.
    pub(crate) requests: u64,
    /// From the first request to the last.
    pub(crate) writing_seconds: f64,
    /// The most memory that was resident at once.
    pub(crate) peak_bytes: u64,
    /// From offered to durable: half and 99 of 100 changes are below these.
    pub(crate) latency_seconds: [f64; 2],
}

impl Measured {
    /// CPU of one item or change, in microseconds.
    pub(crate) fn micros(&self) -> f64 {
        self.cpu_micros / as_f64(self.count)
    }
}

impl Scenario {
    /// Measures in a fresh process.
    pub(crate) fn measure(self, count: u64) -> io::Result<Measured> {
        let arguments = [ARGUMENT.to_owned(), serde_json::to_string(&self)?, count.to_string()];
        let output = Command::new(std::env::current_exe()?).args(arguments).stderr(Stdio::inherit()).output()?;
        assert!(output.status.success(), "measuring {self:?} failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// In the fresh process. Panics when items or changes were lost.
    pub(crate) async fn run(self, count: u64) -> io::Result<Measured> {
        let endpoint = NullEndpoint::start(self.options(count))?;
        let measured = match self {
            Self::Bare => {
                let cpu = cpu_time();
                let read = bare_loop::run(&endpoint).await;
                assert_eq!(read, count, "every item was read once");
                Measured { cpu_micros: micros_since(cpu), ..Measured::default() }
            }
            Self::Copy => copy(&endpoint).await,
            Self::Replay | Self::ReplayOldImages | Self::ReplaySkewed | Self::StalledShadow => {
                replay(&endpoint, &[count], Duration::ZERO).await
            }
            Self::Latency { rate } => {
                const TICK: Duration = Duration::from_millis(10);
                let each = rate / 100;
                let ticks = vec![each; usize::try_from(count / each).unwrap_or(0)];
                replay(&endpoint, &ticks, TICK).await
            }
            Self::SlowShadow => copy_and_replay(&endpoint, count).await,
            Self::ManyShards { .. } => replay_after_restart(&endpoint, count).await,
        };
        let seen = endpoint.seen()?;
        let count = if self == Self::SlowShadow { 2 * count } else { count };
        let measured = Measured {
            count: if matches!(self, Self::Latency { .. }) { seen.taken } else { count },
            writes: seen.writes,
            requests: seen.requests,
            writing_seconds: seen.writing_seconds,
            peak_bytes: peak_bytes()?,
            ..measured
        };
        self.check(&measured, seen.items);
        Ok(measured)
    }

    fn options(self, count: u64) -> Options {
        let plain = Options { items: 0, changed_items: count, ..Options::default() };
        match self {
            Self::Bare | Self::Copy => Options { items: count, ..plain },
            Self::Replay | Self::Latency { .. } => plain,
            Self::ReplayOldImages => Options { old_images: true, ..plain },
            Self::ReplaySkewed => Options { skewed: true, ..plain },
            Self::SlowShadow => Options { items: count, write_millis: 50, ..plain },
            Self::StalledShadow => Options { skewed: true, write_millis: 1_000, ..plain },
            Self::ManyShards { shards } => Options { shards, ..plain },
        }
    }

    /// Every item and every change of its own key must have reached the shadow.
    fn check(self, measured: &Measured, items: u64) {
        let Measured { count, writes, requests, .. } = *measured;
        match self {
            Self::Bare
            | Self::Copy
            | Self::Replay
            | Self::ReplayOldImages
            | Self::Latency { .. }
            | Self::ManyShards { .. } => {
                assert_eq!((writes, items), (count, count), "{self:?}: each was written once");
            }
            Self::SlowShadow => {
                assert!(writes <= count && items == count / 2, "{self:?}: {items} items, {writes} writes");
            }
            Self::ReplaySkewed | Self::StalledShadow => {
                assert!(items > 0 && items <= writes && writes <= count, "{self:?}: {items} items, {writes} writes");
            }
        }
        assert!(requests * 25 >= writes, "{self:?}: no request is too large");
    }
}

async fn copy(endpoint: &NullEndpoint) -> Measured {
    let cpu = cpu_time();
    let mut mirror = Mirror::start(endpoint).await;
    mirror.until_tailing().await;
    let measured = Measured { cpu_micros: micros_since(cpu), ..Measured::default() };
    mirror.finish().await;
    measured
}

/// Changes come in these portions, so far apart.
async fn replay(endpoint: &NullEndpoint, portions: &[u64], apart: Duration) -> Measured {
    let mut mirror = Mirror::start(endpoint).await;
    mirror.until_tailing().await;
    mirror.until(|status| status.leg().is_some_and(|leg| leg.tail.caught_up)).await;
    let cpu = cpu_time();
    for &records in portions {
        endpoint.append(records).expect("the endpoint answers");
        mirror.run_for(apart).await;
    }
    mirror.until_replayed(endpoint, portions.iter().sum()).await;
    let cpu_micros = micros_since(cpu);
    let measured = Measured { cpu_micros, latency_seconds: mirror.latency_seconds([0.5, 0.99]), ..Measured::default() };
    mirror.finish().await;
    measured
}

async fn copy_and_replay(endpoint: &NullEndpoint, changes: u64) -> Measured {
    let cpu = cpu_time();
    let mut mirror = Mirror::start(endpoint).await;
    mirror.until_copying().await;
    endpoint.append(changes).expect("the endpoint answers");
    mirror.until_tailing().await;
    mirror.until_replayed(endpoint, changes).await;
    let measured = Measured { cpu_micros: micros_since(cpu), ..Measured::default() };
    mirror.finish().await;
    measured
}

async fn replay_after_restart(endpoint: &NullEndpoint, changes: u64) -> Measured {
    let mut mirror = Mirror::start(endpoint).await;
    mirror.until_tailing().await;
    let mut mirror = mirror.restart(endpoint, || endpoint.append(changes).expect("the endpoint answers")).await;
    let cpu = cpu_time();
    mirror.until_replayed(endpoint, changes).await;
    let measured = Measured { cpu_micros: micros_since(cpu), ..Measured::default() };
    mirror.finish().await;
    measured
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("CPU time does not run backwards")
}

fn micros_since(cpu: Duration) -> f64 {
    cpu_time().saturating_sub(cpu).as_secs_f64() * 1e6
}

/// `VmHWM`.
fn peak_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or(io::ErrorKind::NotFound)?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(kibibytes * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
