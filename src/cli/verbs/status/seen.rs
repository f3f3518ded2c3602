//! What one look at the state table told.

use serde_json::{Value, json};

use crate::cli::table::span;
use crate::model::{Side, Timestamp};
use crate::operator::Overview;
use crate::runtime::{STATUS_SCHEMA, Status, phases};

/// How old the holder's figures may be, in seconds, until they are called old.
pub(super) const FRESH_SECONDS: f64 = 15.0;

/// What one look told.
pub(super) struct Seen {
    /// What is durable.
    pub(super) found: Overview,
    /// Whether somebody works.
    pub(super) holding: Holding,
    /// When it was looked, on the service's clock.
    pub(super) now: Timestamp,
}

/// Who holds the lease.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Holding {
    /// A process that is alive, as far as this look tells.
    Held {
        /// A name unique to the process.
        owner: String,
        /// Its machine.
        host: String,
        /// For how long, in seconds.
        seconds: f64,
    },
    /// A process that did not give it back, and shows no life.
    Silent {
        /// A name unique to the process.
        owner: String,
        /// Its machine.
        host: String,
        /// For how long nothing was seen of it, in seconds.
        seconds: f64,
    },
    /// Nobody.
    Nobody,
}

impl Holding {
    /// From one look: the holder counts as alive while its figures are fresh, or its lease is.
    pub(super) fn at_one_look(found: &Overview, now: Timestamp) -> Self {
        let Some(lease) = found.lease.as_ref().filter(|lease| !lease.released) else { return Self::Nobody };
        let last = found.live.as_ref().map_or(lease.since, |(at, _)| lease.since.max(*at));
        let silent = now.since(last).as_secs_f64();
        let patience = FRESH_SECONDS + std::time::Duration::from_millis(lease.duration_millis).as_secs_f64();
        Self::of(found, now, found.live.is_none() || silent <= patience, silent)
    }

    /// As it is known whether the holder is alive.
    pub(super) fn of(found: &Overview, now: Timestamp, alive: bool, silent_seconds: f64) -> Self {
        let Some(lease) = found.lease.as_ref().filter(|lease| !lease.released) else { return Self::Nobody };
        let (owner, host) = (lease.owner.clone(), lease.host.clone());
        if alive {
            Self::Held { owner, host, seconds: now.since(lease.since).as_secs_f64() }
        } else {
            Self::Silent { owner, host, seconds: silent_seconds }
        }
    }

    /// Whether somebody works.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    fn document(&self) -> Value {
        match self {
            Self::Held { owner, host, seconds } => {
                json!({ "state": "held", "owner": owner, "host": host, "seconds": seconds })
            }
            Self::Silent { owner, host, seconds } => {
                json!({ "state": "silent", "owner": owner, "host": host, "seconds": seconds })
            }
            Self::Nobody => json!({ "state": "nobody" }),
        }
    }
}

impl Seen {
    /// The figures that the holder stored last, made as old as they are unless they are fresh.
    pub(super) fn figures(&self) -> Option<Status> {
        let (_, status) = self.found.live.as_ref()?;
        if self.is_fresh() {
            return Some(status.clone());
        }
        let mut aged = status.aged(self.age_seconds().unwrap_or_default());
        let ended = self.found.meta.phase.is_final();
        for leg in &mut aged.legs {
            // Somebody works and does not tell: how far behind it is now nobody knows.
            if ended || self.holding.is_held() {
                (leg.lag_seconds, leg.since_poll_seconds) = (None, None);
            }
            if ended {
                leg.headroom_seconds = None;
            }
        }
        Some(aged)
    }

    /// How old they are, in seconds.
    pub(super) fn age_seconds(&self) -> Option<f64> {
        self.found.live.as_ref().map(|(at, _)| self.now.since(*at).as_secs_f64())
    }

    /// Whether somebody refreshes them, and did so lately.
    pub(super) fn is_fresh(&self) -> bool {
        self.holding.is_held() && self.age_seconds().is_some_and(|age| age <= FRESH_SECONDS)
    }

    /// Who runs it; what to do where nobody does.
    pub(super) fn run_by(&self) -> String {
        let phase = self.found.meta.phase;
        match &self.holding {
            Holding::Held { owner, host, seconds } => format!("{host} ({owner}), for {}", span(*seconds)),
            _ if phase.is_final() => format!("nobody; {}", phase.advice()),
            Holding::Nobody => format!("NOBODY: {}", phase.advice()),
            Holding::Silent { host, owner, seconds } => {
                format!("NOBODY, {host} ({owner}) being silent for {}: {}", span(*seconds), phase.advice())
            }
        }
    }

    /// What shall be seen first, if anything.
    pub(super) fn alarm(&self) -> Option<String> {
        let meta = &self.found.meta;
        let trouble = meta.cutover.as_ref().and_then(|cutover| cutover.trouble.as_deref());
        if meta.phase.is_of_a_cutover() {
            let why = trouble.unwrap_or("a cutover is under way");
            return Some(format!("THE SOURCE MAY BE FENCED: {why}"));
        }
        if let Some(reason) = &meta.reason {
            return Some(format!("{}: {reason}", meta.phase));
        }
        let late = self.figures().map_or(0, |status| status.totals.late_changes);
        (late > 0).then(|| {
            format!("{late} CHANGES ARRIVED AT THE SOURCE AFTER THE SWITCH: see `shadowtable quarantine list`")
        })
    }

    /// The document of `status --json`: what the holder stored last, with what is durable laid over it.
    pub(super) fn document(&self) -> Value {
        let meta = &self.found.meta;
        let mut document = match self.figures() {
            Some(status) => serde_json::to_value(&status).unwrap_or_default(),
            None => json!({ "schema": STATUS_SCHEMA }),
        };
        if let Some(object) = document.as_object_mut() {
            let durable = [
                ("migration", json!(meta.migration)),
                ("phase", json!(meta.phase)),
                ("phase_since", json!(meta.phase_since)),
                ("phases", json!(phases(meta.standing()))),
                ("reason", json!(meta.reason)),
                ("source_table", json!(meta.name(Side::Source))),
                ("shadow_table", json!(meta.name(Side::Shadow))),
                ("paused", json!(meta.paused)),
                ("postponed", json!(meta.postponed)),
                ("cutover", json!(meta.cutover)),
                ("age_seconds", json!(self.age_seconds())),
                ("fresh", json!(self.is_fresh())),
                ("holder", self.holding.document()),
            ];
            object.extend(durable.map(|(name, value)| (name.to_owned(), value)));
        }
        document
    }
}
