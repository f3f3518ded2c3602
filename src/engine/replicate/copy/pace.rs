//! How fast the source is read.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::engine::settings::CopySettings;
use crate::model::Moment;
use crate::ports::{Clock, Fault, PortError, ScanPage};
use crate::protocol::budget::Budget;
use crate::protocol::latency::{Latency, Speed};
use crate::protocol::window::Window;

/// A page of 512 KiB, read consistently: 128 units of 4 KB. Charged until the reply tells.
const PAGE_UNITS: f64 = 128.0;

/// Admits Scan requests within a budget, and within a window that finds out what the source bears.
pub(super) struct Pace {
    state: Mutex<State>,
    answered: Notify,
}

struct State {
    window: Window,
    budget: Budget,
    latency: Latency,
    in_flight: usize,
}

/// One admitted request. It must be given back with its reply.
pub(super) struct Turn {
    sent: Moment,
}

impl Pace {
    pub(super) fn new(settings: &CopySettings, now: Moment) -> Self {
        let state = State {
            window: Window::new(settings.concurrency),
            budget: Budget::new(settings.read_units_per_second, now),
            latency: Latency::default(),
            in_flight: 0,
        };
        Self { state: Mutex::new(state), answered: Notify::new() }
    }

    /// Waits for a turn.
    pub(super) async fn admit(&self, clock: &impl Clock) -> Turn {
        loop {
            let answered = self.answered.notified();
            let wait = {
                let mut state = self.state();
                let now = clock.now();
                let wait = state.budget.wait(0.0, now);
                if wait.is_zero() && state.in_flight < state.window.size() {
                    state.in_flight += 1;
                    state.budget.charge(PAGE_UNITS, now);
                    return Turn { sent: now };
                }
                (!wait.is_zero()).then_some(wait)
            };
            match wait {
                // A reply may give back most of what its page was charged.
                Some(wait) => tokio::select! {
                    biased;
                    () = clock.sleep(wait) => {}
                    () = answered => {}
                },
                None => answered.await,
            }
        }
    }

    /// Gives a turn back without a request.
    pub(super) fn withdraw(&self, Turn { .. }: Turn, now: Moment) {
        {
            let mut state = self.state();
            state.in_flight -= 1;
            state.budget.charge(-PAGE_UNITS, now);
        }
        self.answered.notify_waiters();
    }

    /// Gives a turn back and learns from the reply.
    pub(super) fn answered(&self, Turn { sent }: Turn, reply: &Result<ScanPage, PortError>, now: Moment) {
        {
            let mut state = self.state();
            state.in_flight -= 1;
            match reply {
                Ok(page) => {
                    state.budget.charge(page.read_units.map_or(0.0, |units| units - PAGE_UNITS), now);
                    match state.latency.saw(now.since(sent)) {
                        Speed::Usual => state.window.succeeded(),
                        Speed::Slower => {}
                        Speed::Slow => state.window.throttled(sent, now),
                    }
                }
                Err(error) => {
                    state.budget.charge(-PAGE_UNITS, now);
                    if matches!(error.fault, Fault::Throttled | Fault::PartitionThrottled | Fault::Abandoned) {
                        state.window.throttled(sent, now);
                    }
                }
            }
        }
        self.answered.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
