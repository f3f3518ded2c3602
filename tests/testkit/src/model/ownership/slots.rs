//! Owned slots: what `protocol::slots` does where a shadow key can be claimed by two items.

use super::Ownership;
use super::state::{Held, Item, Op, Process, Slot, Stage, State, bit, change_tickets};
use crate::model::few::byte;
use crate::model::rules::Rule;

/// What a conditional write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A put was done.
    Put,
    /// A deletion was done, or found nothing.
    Freed,
    /// The place is another's: nothing was done.
    Anothers,
}

impl Ownership {
    /// Offers an operation to its place. Only what was offered last is replaced, and only by the same item's.
    pub(super) fn offer(self, state: &mut State, place: u8, mut op: Op) {
        let Some(process) = &mut state.process else { return };
        let slot = &mut process.slots[usize::from(place)];
        if slot.stage == Stage::Free {
            slot.current = op;
            Self::start(state, place);
            return;
        }
        let last = match slot.behind.len().checked_sub(1) {
            Some(last) => Some(slot.behind.at(last)),
            None => (slot.stage == Stage::Fenced).then_some(&mut slot.current),
        };
        let owned = self.guards.hold(Rule::OwnersApart);
        match last.filter(|last| last.source == op.source || !owned) {
            Some(last) => {
                op.tickets |= last.tickets;
                *last = op;
            }
            None => slot.behind.push(op),
        }
    }

    fn start(state: &mut State, place: u8) {
        let fenced = state.abandoned.all().iter().any(|request| request.place == place);
        if let Some(process) = &mut state.process {
            process.slots[usize::from(place)].stage = if fenced { Stage::Fenced } else { Stage::Sent };
        }
    }

    /// The bound is over for one abandoned request: what waits for it may go.
    pub(super) fn release(state: &mut State, place: u8) {
        let waits = |process: &Process| process.slots[usize::from(place)].stage == Stage::Fenced;
        if state.process.as_ref().is_some_and(waits) {
            Self::start(state, place);
        }
    }

    /// What a request does when it arrives.
    pub(super) fn arrives(self, state: &mut State, place: u8, op: Op) -> Outcome {
        let held = &mut state.shadow[usize::from(place)];
        let may = held.image == 0 || held.owner == op.source;
        match op.image {
            0 if may || !self.guards.hold(Rule::DeleteConditional) => {
                *held = Held::default();
                Outcome::Freed
            }
            image if image != 0 && (may || !self.guards.hold(Rule::PutConditional)) => {
                *held = Held { image, owner: op.source };
                Outcome::Put
            }
            _ => Outcome::Anothers,
        }
    }

    /// The request in flight has an outcome.
    pub(super) fn answer(self, state: &mut State, place: u8, op: Op) {
        let found = state.shadow[usize::from(place)].image != 0;
        let outcome = self.arrives(state, place, op);
        let colliding = state.collisions[usize::from(place)];
        let Some(process) = &mut state.process else { return };
        if outcome == Outcome::Freed
            && self.guards.hold(Rule::FreedReread)
            && (found || self.guards.hold(Rule::AbsentCountsAsFreed))
        {
            process.wanted |= colliding & !bit(op.source);
        }
        let slot = &mut process.slots[usize::from(place)];
        if outcome == Outcome::Anothers && op.image != 0 {
            slot.stage = Stage::Setting;
        } else if colliding & bit(op.source) != 0 {
            slot.stage = Stage::Clearing;
        } else {
            Self::finish(state, place);
        }
    }

    /// The place's collision is stored or cleared; it goes on.
    pub(super) fn record(state: &mut State, place: u8, source: u8, set: bool) {
        let shown = &mut state.collisions[usize::from(place)];
        *shown = if set { *shown | bit(source) } else { *shown & !bit(source) };
        Self::finish(state, place);
    }

    fn finish(state: &mut State, place: u8) {
        let Some(process) = &mut state.process else { return };
        let slot = &mut process.slots[usize::from(place)];
        process.settled |= slot.current.tickets;
        if slot.behind.is_empty() {
            *slot = Slot::default();
        } else {
            slot.current = slot.behind.remove(0);
            Self::start(state, place);
        }
    }

    /// Offers a change: a deletion where it was, and a put where it is.
    pub(super) fn offer_change(self, state: &mut State, source: u8, index: usize) {
        let change = state.log.all()[index];
        let Some(process) = &mut state.process else { return };
        process.readers[usize::from(source)] = byte(index) + 1;
        if let Some(read) = process.read.as_mut().filter(|read| read.source == source) {
            read.overtaken = true;
        }
        let both = change_tickets(index);
        let (first, second) = (both & (both >> 1), both & (both << 1));
        let (old, new) = (change.old.claims(), change.new.claims());
        process.settled |= both;
        let leaves = old.filter(|old| Some(*old) != new);
        process.settled &= !(if leaves.is_some() { first } else { 0 } | if new.is_some() { second } else { 0 });
        if let Some(place) = leaves {
            self.offer(state, place, Op { source, image: 0, tickets: first });
        }
        self.offer_item(state, source, change.new, second);
    }

    /// Offers an item as it is, where there is one.
    pub(super) fn offer_item(self, state: &mut State, source: u8, item: Item, tickets: u16) {
        match item.claims() {
            Some(place) => self.offer(state, place, Op { source, image: item.image, tickets }),
            None => {
                if let Some(process) = &mut state.process {
                    process.settled |= tickets;
                }
            }
        }
    }
}
