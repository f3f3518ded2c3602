//! One leg of replication: the copy, the tail, and the applier that both offer to.
//!
//! | file | does |
//! |---|---|
//! | `apply/` | the one applier: everything that is written to a table goes through it |
//! | `copy/` | reads the source by segments and offers pages |
//! | `tail/` | reads a table's stream by shards and offers changes |
//!
//! `copy` and `tail` never import each other: they meet in `apply`. Which table is read and which is written is the [`Leg`]'s
//! to say. What is stored lies under the leg, but for the copy's cursors, which belong to the
//! generation.

pub mod apply;
pub mod copy;
pub mod tail;

use std::sync::Arc;

use super::state::store::Store;
use crate::ports::Ports;
use crate::protocol::leg::Leg;
use crate::telemetry::Meters;

/// A leg, and what all that works for it shares.
pub struct Replication<P> {
    /// The direction.
    pub leg: Leg,
    /// The ports of both tables.
    pub ports: Arc<P>,
    /// The migration's state.
    pub store: Arc<Store<P>>,
    /// What is counted.
    pub meters: Arc<Meters>,
}

impl<P> Clone for Replication<P> {
    fn clone(&self) -> Self {
        Self {
            leg: self.leg,
            ports: Arc::clone(&self.ports),
            store: Arc::clone(&self.store),
            meters: Arc::clone(&self.meters),
        }
    }
}

impl<P: Ports> Replication<P> {
    /// Reads the table whose changes are read.
    fn reader(&self) -> &P::Reader {
        self.ports.reader(self.leg.from)
    }

    /// Reads its stream.
    fn feed(&self) -> &P::Feed {
        self.ports.feed(self.leg.from)
    }

    /// Writes the other table.
    fn writer(&self) -> &P::Writer {
        self.ports.writer(self.leg.to())
    }

    fn clock(&self) -> &P::Clock {
        self.ports.clock()
    }
}
