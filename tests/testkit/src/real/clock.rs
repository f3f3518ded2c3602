//! Real time: a process and an endpoint outside take as long as they take.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Generous: the machine may be busy, and no test measures time. A process whose
/// lease lasts a second gets nowhere while requests take half of it.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(30);

#[expect(clippy::disallowed_methods, reason = "what is waited for happens outside this process, in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until there is an answer; fails with the last reason why there was none.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = now();
    loop {
        match look() {
            Ok(answer) => return answer,
            Err(reason) if start.elapsed() > DEADLINE => panic!("waited {DEADLINE:?} for {what}: {reason}"),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
