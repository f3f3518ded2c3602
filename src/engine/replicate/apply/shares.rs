//! Who holds how much memory, and who waits for some. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::model::Timestamp;
use crate::protocol::room::{Ask, Holding, Room, Short};
use crate::protocol::slots::{Lane, Slots};

/// What a reader wants to read a page for.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// How much.
    pub ask: Ask,
    /// Up to when the reader has read: whoever is furthest behind goes first in its lane.
    pub read_through: Timestamp,
}

/// Changes first; then who is furthest behind; then who asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    lane: Lane,
    read_through: Timestamp,
    number: u64,
}

#[derive(Debug)]
struct Waiting {
    reader: u32,
    ask: Ask,
    served: Arc<Notify>,
}

/// What was given to a reader and is not given back.
#[derive(Debug)]
struct Given {
    reader: u32,
    bytes: usize,
}

/// The memory as it is shared.
#[derive(Debug)]
pub(super) struct Shares {
    room: Room,
    next: u64,
    waiting: BTreeMap<Turn, Waiting>,
    given: BTreeMap<Turn, Given>,
    /// Bytes given, in all, for copied items, and by reader.
    all: usize,
    copied: usize,
    by_reader: HashMap<u32, usize>,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            room: Room::new(limit),
            next: 0,
            waiting: BTreeMap::new(),
            given: BTreeMap::new(),
            all: 0,
            copied: 0,
            by_reader: HashMap::new(),
        }
    }

    /// Takes a place among those who wait. `served` is told when it was given something.
    pub(super) fn wait(&mut self, reader: u32, Want { ask, read_through }: Want, served: Arc<Notify>) -> Turn {
        self.next += 1;
        let turn = Turn { lane: ask.lane, read_through, number: self.next };
        self.waiting.insert(turn, Waiting { reader, ask, served });
        turn
    }

    /// What was given, once it was.
    pub(super) fn given(&self, turn: Turn) -> Option<usize> {
        self.given.get(&turn).map(|given| given.bytes)
    }

    /// Nobody waits there any more, and what was given comes back.
    pub(super) fn end(&mut self, turn: Turn) {
        self.waiting.remove(&turn);
        let Some(Given { reader, bytes }) = self.given.remove(&turn) else { return };
        self.all -= bytes;
        if turn.lane == Lane::Copy {
            self.copied -= bytes;
        }
        if let Some(held) = self.by_reader.get_mut(&reader) {
            *held -= bytes;
            if *held == 0 {
                self.by_reader.remove(&reader);
            }
        }
    }

    /// Gives what there is to those who wait, in their order. Who has its share is passed over.
    pub(super) fn serve(&mut self, slots: &Slots) {
        let counts = slots.counts();
        let mut served = Vec::new();
        for (turn, Waiting { reader, ask, .. }) in &self.waiting {
            let holding = Holding {
                all: self.all + counts.held_bytes,
                copied: self.copied + counts.copied_bytes,
                own: self.by_reader.get(reader).copied().unwrap_or_default() + slots.held_by(*reader),
            };
            match self.room.give(*ask, holding) {
                Ok(bytes) => {
                    self.all += bytes;
                    if turn.lane == Lane::Copy {
                        self.copied += bytes;
                    }
                    *self.by_reader.entry(*reader).or_default() += bytes;
                    served.push((*turn, bytes));
                }
                Err(Short::Share) => {}
                Err(Short::Room) => break,
            }
        }
        for (turn, bytes) in served {
            if let Some(Waiting { reader, served, .. }) = self.waiting.remove(&turn) {
                self.given.insert(turn, Given { reader, bytes });
                served.notify_one();
            }
        }
    }

    /// Bytes given for pages that are being read.
    pub(super) fn reading(&self) -> usize {
        self.all
    }
}
