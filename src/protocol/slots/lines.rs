//! Who is served when.

use std::collections::VecDeque;

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
    pub(super) fresh: VecDeque<Place>,
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
