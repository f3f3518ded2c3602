//! What the lease holder shows of the migration, computed at the moment when somebody asks: no task that is stuck can leave it
//! stale.

use std::sync::Arc;

use parking_lot::Mutex;

use super::history::Chronicle;
use super::monitor::{Observer, Snapshot};
use super::parts::Parts;
use super::status::{LeaseStatus, MirrorStatus, status};
use crate::engine::CutoverSettings;
use crate::engine::state::entities::Meta;
use crate::engine::state::lease::Lease;
use crate::ports::{Clock, Ports};

/// What is observed of a process that holds the lease.
pub(super) struct Observed<P> {
    ports: Arc<P>,
    lease: Arc<Lease<P>>,
    chronicle: Arc<Chronicle>,
    settings: CutoverSettings,
    shown: Mutex<Option<Shown<P>>>,
}

/// The migration as it was stored last, and the mirror where there is one.
struct Shown<P> {
    meta: Meta,
    mirror: Option<Parts<P>>,
}

impl<P: Ports> Observed<P> {
    /// Nothing of the migration is known yet.
    pub(super) fn new(
        ports: Arc<P>,
        lease: Arc<Lease<P>>,
        chronicle: Arc<Chronicle>,
        settings: CutoverSettings,
    ) -> Self {
        Self { ports, lease, chronicle, settings, shown: Mutex::new(None) }
    }

    /// From now on, this is seen.
    pub(super) fn show(&self, meta: &Meta, mirror: Option<&Parts<P>>) {
        *self.shown.lock() = Some(Shown { meta: meta.clone(), mirror: mirror.cloned() });
    }

    /// The mirror's figures, with the gates of a cutover that may come.
    fn mirror(&self, meta: &Meta, parts: &Parts<P>) -> MirrorStatus {
        let status = parts.status(meta.standing(), &*self.ports);
        if meta.phase.is_past_cutovers() {
            return status;
        }
        let outside = parts.outside.lock().clone();
        let mut gates = status.gates(meta, &self.settings, outside);
        for gate in gates.iter_mut().filter(|gate| gate.holds) {
            gate.remedy.clear();
        }
        MirrorStatus { gates, ..status }
    }
}

impl<P: Ports> Observer for Observed<P> {
    fn observe(&self) -> Option<Snapshot> {
        let shown = self.shown.lock();
        let Shown { meta, mirror } = shown.as_ref()?;
        let mirror = mirror.as_ref().map(|parts| self.mirror(meta, parts)).unwrap_or_default();
        let memory = self.chronicle.memory(self.ports.clock().now());
        Some(Snapshot {
            totals: mirror.totals,
            credentials: self.ports.credentials(),
            status: status(meta, LeaseStatus::of(&self.lease), mirror, memory, &*self.ports),
        })
    }
}
