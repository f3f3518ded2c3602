//! Who is served when.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use super::{Lane, Place};

/// What may be sent now, in the order in which it is served: changes first, and what was sent before first among them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    tail: Line,
    copy: Line,
}

/// One lane.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// To be sent again.
    pub(super) again: VecDeque<Group>,
    /// Not sent yet. A place that was served in the other lane, or went with another, is passed over.
    pub(super) fresh: Turns,
}

/// Places by the reader that offered them, who take turns: what one page brings lies side by side in the key space, and often in
/// one partition, while what many bring spreads over all.
#[derive(Debug, Default)]
pub(super) struct Turns {
    by_reader: BTreeMap<u32, VecDeque<Place>>,
    /// Who was served last.
    last: u32,
}

/// Places that are sent again together, and with nothing else. One that got another number meanwhile has left the group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) places: Vec<Place>,
}

impl Lines {
    pub(super) fn of(&mut self, lane: Lane) -> &mut Line {
        match lane {
            Lane::Tail => &mut self.tail,
            Lane::Copy => &mut self.copy,
        }
    }
}

impl Turns {
    pub(super) fn push_back(&mut self, reader: u32, place: Place) {
        self.by_reader.entry(reader).or_default().push_back(place);
    }

    pub(super) fn front(&self) -> Option<&Place> {
        self.turn().and_then(|(_, places)| places.front())
    }

    pub(super) fn pop_front(&mut self) {
        let Some(reader) = self.turn().map(|(reader, _)| *reader) else { return };
        self.last = reader;
        if let Some(places) = self.by_reader.get_mut(&reader) {
            places.pop_front();
            if places.is_empty() {
                self.by_reader.remove(&reader);
            }
        }
    }

    /// Whose turn it is.
    fn turn(&self) -> Option<(&u32, &VecDeque<Place>)> {
        self.by_reader.range((Excluded(self.last), Unbounded)).next().or_else(|| self.by_reader.first_key_value())
    }
}
