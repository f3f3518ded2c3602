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
    Again,
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
    pub(super) memory_bytes: usize,
    pub(super) stored_bytes: usize,
    /// When the oldest change in it was offered.
    pub(super) offered: Moment,
}

/// The tickets of an operation: nearly always one.
#[derive(Debug)]
pub(super) struct Tickets {
    first: Ticket,
    more: Vec<Ticket>,
}

/// What an operation costs beyond its image: slot, key and queue entries.
const OPERATION_OVERHEAD_BYTES: usize = 400;

impl Slot {
    pub(super) fn new(current: Op) -> Self {
        Self { current, stage: Stage::Ready, behind: VecDeque::new() }
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
