//! The way to stderr for what a running process says: it never blocks, never panics, and counts what it lost.
//!
//! Whoever reads the log may go away, stop reading, or fill the disk. None of that may end or delay replication, least of
//! all while the source is fenced. So lines wait in a short queue for a thread of their own, and those that find it full,
//! or that cannot be written, are dropped and counted.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait for a reader of stderr that is slow; about a megabyte.
const QUEUED_LINES: usize = 4_096;
/// How often, and how many times, an ending process looks whether its last lines were written: for a second.
const FLUSH_LOOK: Duration = Duration::from_millis(5);
const FLUSH_LOOKS: u32 = 200;

static QUEUE: OnceLock<SyncSender<Vec<u8>>> = OnceLock::new();
static WAITING: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static MUTE: AtomicBool = AtomicBool::new(false);

/// Lines that were dropped since the process began.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Relaxed)
}

/// Nothing is said from now on, or it is again: a screen that is drawn on the terminal shall not be written over.
pub fn mute(mute: bool) {
    MUTE.store(mute, Relaxed);
}

/// Starts the thread that writes. Without it, lines are written by whoever says them.
pub(super) fn start() {
    let (sender, lines) = sync_channel(QUEUED_LINES);
    if QUEUE.set(sender).is_ok() && thread::Builder::new().name("stderr".into()).spawn(|| write_all(lines)).is_err() {
        // The receiver is gone with the thread: every line is written directly from now on.
        tracing::debug!("there is no thread for the log");
    }
}

/// Writes a whole line, now or soon.
pub(super) fn say(line: &[u8]) {
    if MUTE.load(Relaxed) {
        return;
    }
    let Some(queue) = QUEUE.get() else { return write(line) };
    WAITING.fetch_add(1, Relaxed);
    match queue.try_send(line.to_vec()) {
        Ok(()) => {}
        Err(std::sync::mpsc::TrySendError::Full(_)) => {
            WAITING.fetch_sub(1, Relaxed);
            DROPPED.fetch_add(1, Relaxed);
        }
        Err(std::sync::mpsc::TrySendError::Disconnected(line)) => {
            WAITING.fetch_sub(1, Relaxed);
            write(&line);
        }
    }
}

/// Waits until what was said is written, for a second at most.
pub fn flush() {
    for _ in 0..FLUSH_LOOKS {
        if WAITING.load(Relaxed) == 0 {
            return;
        }
        thread::sleep(FLUSH_LOOK);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the thread owns its end of the queue")]
fn write_all(lines: Receiver<Vec<u8>>) {
    while let Ok(line) = lines.recv() {
        write(&line);
        WAITING.fetch_sub(1, Relaxed);
    }
}

fn write(line: &[u8]) {
    if io::stderr().lock().write_all(line).is_err() {
        DROPPED.fetch_add(1, Relaxed);
    }
}

/// Takes log lines, each in one piece. It never fails: `tracing` would print the error to stderr and panic there.
pub(super) struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
