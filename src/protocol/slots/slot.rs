//! What one place holds.

use std::collections::VecDeque;

use super::{Effect, Lane, Offer, Ticket};
use crate::model::{Key, Moment};

/// A place with something to do.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) current: Op,
    pub(super) stage: Stage,
    /// At most one where not owned: later images coalesce with it.
    pub(super) behind: VecDeque<Op>,
    /// How often in a row the service did not take the current operation.
    pub(super) throttles: u32,
}

/// Where the current operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// In its lane; may still be replaced by a later image.
    Ready,
    /// Waits until an abandoned request is old enough; may still be replaced.
    Fenced,
    /// In a request.
    Sent,
    /// To be sent again as it is: it was not processed, throttled, or its request was given up.
    Again {
        /// With the others of this group, and with nothing else.
        group: u64,
        /// Not before this.
        at: Moment,
    },
    /// Its quarantine entry is being stored.
    Recording,
}

/// One operation and what waits for it.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) effect: Effect,
    pub(super) source: Key,
    pub(super) tickets: Tickets,
    pub(super) lane: Lane,
    /// Who offered the image that is held.
    pub(super) reader: u32,
    memory_bytes: usize,
    pub(super) stored_bytes: usize,
    /// When the oldest change in it was offered.
    pub(super) offered: Moment,
}

/// What an operation holds of the memory, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) reader: u32,
    pub(super) lane: Lane,
    pub(super) bytes: usize,
}

impl Load {
    pub(super) fn of(op: &Op) -> Self {
        Self { reader: op.reader, lane: op.lane, bytes: op.memory_bytes + op.tickets.more.len() * TICKET_BYTES }
    }
}

/// The tickets of an operation: nearly always one.
#[derive(Debug)]
pub(super) struct Tickets {
    first: Ticket,
    more: Vec<Ticket>,
}

/// What an operation costs beyond its image: slot, key and queue entries.
const OPERATION_OVERHEAD_BYTES: usize = 400;
/// What each further ticket costs: itself, and its unit in a ledger.
const TICKET_BYTES: usize = 150;

impl Slot {
    pub(super) fn new(current: Op) -> Self {
        Self { current, stage: Stage::Ready, behind: VecDeque::new(), throttles: 0 }
    }

    /// Among whom it is served: what a change waits behind is as urgent as the change.
    pub(super) fn lane(&self) -> Lane {
        let changes = std::iter::once(&self.current).chain(&self.behind).any(|op| op.lane == Lane::Tail);
        if changes { Lane::Tail } else { Lane::Copy }
    }

    /// The operation offered last, while a later image may still take its place.
    pub(super) fn last_unsent(&mut self) -> Option<&mut Op> {
        match self.behind.back_mut() {
            Some(last) => Some(last),
            None if matches!(self.stage, Stage::Ready | Stage::Fenced) => Some(&mut self.current),
            None => None,
        }
    }
}

impl Op {
    pub(super) fn new(offer: &Offer, now: Moment) -> Self {
        Self {
            effect: offer.effect.clone(),
            source: offer.source.clone(),
            tickets: Tickets { first: offer.ticket, more: Vec::new() },
            lane: offer.lane,
            reader: offer.ticket.reader,
            memory_bytes: offer.memory_bytes + OPERATION_OVERHEAD_BYTES,
            stored_bytes: offer.stored_bytes,
            offered: now,
        }
    }

    /// A later operation takes this one's place and answers for its tickets.
    pub(super) fn replace(&mut self, later: Self) {
        self.tickets.more.extend(later.tickets);
        self.effect = later.effect;
        self.source = later.source;
        self.reader = later.reader;
        self.memory_bytes = later.memory_bytes;
        self.stored_bytes = later.stored_bytes;
        if self.lane == Lane::Copy {
            self.lane = later.lane;
            self.offered = later.offered;
        }
    }
}

impl IntoIterator for Tickets {
    type Item = Ticket;
    type IntoIter = std::iter::Chain<std::iter::Once<Ticket>, std::vec::IntoIter<Ticket>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.more)
    }
}
