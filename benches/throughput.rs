//! CPU per item: `cargo bench --bench throughput`.
//!
//! Everything is measured in one run, on one machine, against one endpoint that costs next to nothing, since only then
//! can figures be compared: the goals are ratios to the *bare loop*, which is what the typed SDK costs by itself. What
//! is counted is the CPU time of this process, all threads; the endpoint is a process of its own.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark reports to a person and stops at a failure; indexing JSON gives null where nothing is"
)]

mod bare_loop;
mod null_endpoint;

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use null_endpoint::{NullEndpoint, Options};

/// Enough for several seconds of CPU: one in a hundred of noise.
const ITEMS: u64 = 400_000;
/// `cargo test --benches` only wants to know that it runs.
const ITEMS_OF_A_TRIAL: u64 = 4_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == null_endpoint::ARGUMENT
    {
        null_endpoint::serve(rest).expect("the endpoint serves");
        return;
    }
    let items = if arguments.iter().any(|argument| argument == "--bench") { ITEMS } else { ITEMS_OF_A_TRIAL };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let bare = runtime.block_on(async {
        // Connections, pools and the allocator settle.
        bare_loop::run(&endpoint(items / 10)).await;
        let endpoint = endpoint(items);
        measure(async || bare_loop::run(&endpoint).await).await
    });
    assert_eq!(bare.items, items, "every item was read once");
    report("bare loop (Scan, BatchWriteItem; typed SDK)", &bare, &bare);

    // ---------------------------------------------------------------------------------------------------------------
    // Here: shadowtable's copy and replay, through `engine` on the `aws` ports, in this same run.
    //
    // Source, feed and shadow are a `NullEndpoint` (create the source there with a stream: that makes it the source);
    // state is an embedded endpoint in this process's child or the same arrangement as in tests/support, so that its
    // CPU is not counted either. Copy: until phase `tailing`, with ITEMS items and no records. Replay: a source of no
    // items, then POST `X-Amz-Target: NullEndpoint.Append` with `{"records":N}`, until `quiet`; `changed_items` says
    // among how many keys the records go round, `NullEndpoint.Requests` how many requests came, by operation.
    //
    // Goals: copy within 1.4 × the bare loop; replay within 2 × the bare loop, with writes ≤ distinct keys per flush.
    // ---------------------------------------------------------------------------------------------------------------
}

fn endpoint(items: u64) -> NullEndpoint {
    NullEndpoint::start(Options { items, changed_items: 10_000 }).expect("the endpoint starts")
}

struct Measured {
    items: u64,
    cpu: Duration,
    wall: Duration,
}

/// Measures something that says how many items it has handled.
async fn measure(work: impl AsyncFnOnce() -> u64) -> Measured {
    let (cpu, wall) = (cpu_time(), now());
    let items = work().await;
    Measured { items, cpu: cpu_time().saturating_sub(cpu), wall: wall.elapsed() }
}

fn report(name: &str, measured: &Measured, bare: &Measured) {
    let per_item = |measured: &Measured| measured.cpu.as_secs_f64() * 1e6 / as_f64(measured.items);
    println!(
        "{name}: {:.2} µs of CPU an item, {:.2} × the bare loop, {:.0} items/s, {} items",
        per_item(measured),
        per_item(measured) / per_item(bare),
        as_f64(measured.items) / measured.wall.as_secs_f64(),
        measured.items,
    );
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Of all threads of this process, in user and in kernel mode.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("CPU time does not run backwards")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
