//! The process that holds the lease: what it has, and what it shows.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::acting::Acting;
use super::history::{Chronicle, EventLine};
use super::monitor::Observer;
use super::observed::Observed;
use super::parts::Parts;
use super::{Job, Monitor};
use crate::engine::EngineError;
use crate::engine::replicate::Replication;
use crate::engine::replicate::apply::recent::Recent;
use crate::engine::state::entities::{Live, Meta};
use crate::engine::state::entry::LIVE;
use crate::engine::state::journal::{Listener, Trail};
use crate::engine::state::store::Store;
use crate::model::Moment;
use crate::ports::Ports;
use crate::protocol::leg::Leg;
use crate::telemetry::Meters;

/// A process that holds the lease.
pub(super) struct Active<P> {
    pub(super) ports: Arc<P>,
    pub(super) job: Job,
    pub(super) store: Arc<Store<P>>,
    pub(super) trail: Trail<P>,
    pub(super) meters: Arc<Meters>,
    pub(super) chronicle: Arc<Chronicle>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) observed: Arc<Observed<P>>,
    pub(super) stop: CancellationToken,
    /// The source keys that changed last, for the next mirror: a cutover that was given up must not forget what differed.
    pub(super) recent: Mutex<Option<Recent>>,
    /// Requests of a mirror that ended may land until then: the next one waits for it.
    pub(super) landing: Mutex<Option<Moment>>,
    /// What steps of a cutover do outside, here or under a predecessor that did not end well.
    pub(super) acting: Acting<P>,
}

/// A clean end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// No request of ours can still land.
    pub(super) quiet: bool,
}

impl<P: Ports> Active<P> {
    /// One that holds the lease of `store`.
    pub(super) fn new(
        ports: &Arc<P>,
        store: &Arc<Store<P>>,
        meters: &Arc<Meters>,
        monitor: &Arc<Monitor>,
        job: Job,
        stop: CancellationToken,
    ) -> Self {
        let (lease, engine) = (store.lease(), &job.engine);
        let chronicle = Arc::new(Chronicle::new(Arc::clone(meters)));
        let observed =
            Observed::new(Arc::clone(ports), Arc::clone(lease), Arc::clone(&chronicle), engine.cutover.clone());
        Self {
            ports: Arc::clone(ports),
            store: Arc::clone(store),
            trail: Trail::new(Arc::clone(store), listener(meters, &chronicle)),
            meters: Arc::clone(meters),
            chronicle,
            monitor: Arc::clone(monitor),
            observed: Arc::new(observed),
            stop,
            recent: Mutex::default(),
            landing: Mutex::default(),
            acting: Acting::new(Arc::clone(ports), Arc::clone(lease), engine.apply.abandon),
            job,
        }
    }

    /// What all that works for a leg shares.
    pub(super) fn replication(&self, leg: Leg) -> Replication<P> {
        let (ports, store, meters) = (Arc::clone(&self.ports), Arc::clone(&self.store), Arc::clone(&self.meters));
        Replication { leg, ports, store, meters }
    }

    /// Requests of the mirror that ended may land until `moment`.
    pub(super) fn may_land_until(&self, moment: Moment) {
        *self.landing.lock() = Some(moment);
    }

    /// Stores the figures that `status` shows elsewhere.
    pub(super) async fn refresh_live(&self) -> Result<(), EngineError> {
        let Some(status) = self.monitor.status() else { return Ok(()) };
        let at = status.at;
        let status = serde_json::to_value(status)
            .map_err(|error| EngineError::State { entry: LIVE.into(), problem: error.to_string() })?;
        self.store.replace(LIVE, &Live { at, status }).await
    }

    /// Lets status and metrics see the migration, and the mirror where there is one.
    pub(super) fn show(&self, meta: &Meta, mirror: Option<&Parts<P>>) {
        self.observed.show(meta, mirror);
        self.monitor.active(Arc::clone(&self.observed) as Arc<dyn Observer>);
    }

    /// Adds a line to the audit trail.
    pub(super) async fn audit(&self, what: &str) -> Result<(), EngineError> {
        self.trail.add(what).await
    }
}

/// Counts the lines of the audit trail, and shows the last of them.
fn listener(meters: &Arc<Meters>, chronicle: &Arc<Chronicle>) -> Listener {
    let (meters, chronicle) = (Arc::clone(meters), Arc::clone(chronicle));
    Arc::new(move |line| {
        meters.audited();
        chronicle.tell([EventLine { at: line.at, what: line.what.clone() }]);
    })
}
