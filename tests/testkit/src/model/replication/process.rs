//! The slots and ledgers of the process: what `protocol::slots` and `protocol::ledger` do.

use super::Replication;
use super::state::{Abandoned, Op, Page, Process, Slot, Stage, State, bit, is_refused, record_ticket};
use crate::model::few::byte;
use crate::model::rules::{Invariant, Rule};

impl Replication {
    /// Offers an operation to its slot. What waits there is replaced, and its tickets are answered for.
    pub(super) fn offer(self, state: &mut State, key: u8, mut op: Op) {
        let Some(process) = &mut state.process else { return };
        let slot = &mut process.slots[usize::from(key)];
        match slot.stage {
            Stage::Free => {
                slot.current = op;
                self.start(state, key);
            }
            Stage::Fenced => {
                op.tickets |= slot.current.tickets;
                slot.current = op;
            }
            Stage::Sent if !self.guards.hold(Rule::Whole(Invariant::One)) => {
                // Without invariant 1, the next image does not wait for the one in flight.
                op.tickets |= slot.current.tickets;
                state.abandoned.push(Abandoned { key, image: slot.current.image, landed: false });
                slot.current = op;
            }
            Stage::Sent | Stage::Setting | Stage::Clearing => {
                op.tickets |= slot.pending.map_or(0, |pending| pending.tickets);
                slot.pending = Some(op);
            }
        }
    }

    /// The slot's current operation is sent, or waits for the bound.
    pub(super) fn start(self, state: &mut State, key: u8) {
        let young = state.abandoned.all().iter().any(|request| request.key == key);
        let fenced = young && self.guards.hold(Rule::BoundBeforeAnother);
        if let Some(process) = &mut state.process {
            process.slots[usize::from(key)].stage = if fenced { Stage::Fenced } else { Stage::Sent };
        }
    }

    /// The slot's current operation is settled; the next one starts.
    pub(super) fn finish(self, state: &mut State, key: u8) {
        let Some(process) = &mut state.process else { return };
        let slot = &mut process.slots[usize::from(key)];
        let (tickets, next) = (slot.current.tickets, slot.pending);
        process.settled |= tickets;
        state.ever_settled |= tickets;
        *slot = Slot { current: next.unwrap_or_default(), ..Slot::default() };
        if next.is_some() {
            self.start(state, key);
        }
    }

    /// The request in flight has a definite outcome: done, or refused for good.
    pub(super) fn answer(self, state: &mut State, key: u8) {
        let Some(process) = &mut state.process else { return };
        let slot = &mut process.slots[usize::from(key)];
        let image = slot.current.image;
        if is_refused(image) {
            if self.guards.hold(Rule::QuarantineFirst) {
                slot.stage = Stage::Setting;
            } else {
                process.unrecorded |= bit(key);
                self.finish(state, key);
            }
            return;
        }
        state.shadow[usize::from(key)] = image;
        if state.quarantine & bit(key) != 0 {
            slot.stage = Stage::Clearing;
        } else {
            process.unrecorded &= !bit(key);
            self.finish(state, key);
        }
    }

    /// A change is offered: remembered while a page is read, then put into its slot.
    pub(super) fn offer_change(self, state: &mut State, shard: u8, index: usize) {
        let record = state.log.all()[index];
        let Some(process) = &mut state.process else { return };
        let before = std::mem::replace(&mut process.readers[usize::from(shard)], byte(index) + 1);
        // What was trimmed on the way was read over.
        let over = state.log.all().iter().enumerate().take(index).skip(usize::from(before));
        let over = over.filter(|(_, record)| record.shard == shard).map(|(over, _)| record_ticket(over));
        process.settled |= over.sum::<u16>();
        if process.page != Page::Idle {
            process.overtaken |= bit(record.key);
            if process.overtaken.count_ones() > u32::from(self.bounds.overtaken) {
                if self.guards.hold(Rule::PageGivenUpAtCap) {
                    (process.page, process.overtaken) = (Page::Idle, 0);
                } else {
                    process.overtaken = bit(record.key);
                }
            }
        }
        self.offer(state, record.key, Op { image: record.image, tickets: record_ticket(index) });
    }

    /// Where this process began, or would begin, to read a shard.
    fn start_of(self, state: &State, process: &Process, shard: usize) -> u8 {
        let pin = if shard == 0 && process.pinned { self.bounds.history } else { 0 };
        state.shards.all()[shard].passed.max(pin)
    }

    /// The next record of a shard to be offered. What was trimmed before it is read over at the beginning of the pinned
    /// shard, where the copy shows it, and by a process that does not look for lost history.
    pub(super) fn next_record(self, state: &State, process: &Process, shard: usize) -> Option<usize> {
        let from = usize::from(process.readers[shard]);
        let records = state.log.all().iter().enumerate().skip(from);
        let left = records.filter(|(_, record)| usize::from(record.shard) == shard);
        let (shown, trimmed) = (usize::from(self.bounds.history), usize::from(state.trimmed));
        let looks = self.guards.hold(Rule::Whole(Invariant::Eight));
        left.map(|(index, _)| index).find(|&index| index >= trimmed || (looks && (index >= shown || from > 0)))
    }

    /// Whether a record counts as done: it is settled, or without invariant 3, it was offered.
    fn counts(self, process: &Process, index: usize) -> bool {
        process.settled & record_ticket(index) != 0 || !self.guards.hold(Rule::Whole(Invariant::Three))
    }

    /// Up to where a shard's checkpoint may say, and whether its end may be said.
    pub(super) fn progress(self, state: &State, process: &Process, shard: usize) -> (u8, bool) {
        let read = usize::from(process.readers[shard]);
        let mut passed = self.start_of(state, process, shard);
        for (index, record) in state.log.all().iter().enumerate().take(read).skip(usize::from(passed)) {
            if usize::from(record.shard) != shard {
                continue;
            }
            if !self.counts(process, index) {
                return (passed, false);
            }
            passed = byte(index) + 1;
        }
        let at_end = state.shards.all()[shard].closed && self.next_record(state, process, shard).is_none();
        // Nothing of the pinned shard is durable until a record of it is: a restart reads it from its beginning.
        let passed =
            if passed == self.start_of(state, process, shard) { state.shards.all()[shard].passed } else { passed };
        (passed, at_end)
    }

    /// Invariant 4: whether a shard may be read.
    pub(super) fn is_readable(self, state: &State, process: &Process, shard: usize) -> bool {
        let this = &state.shards.all()[shard];
        if this.finished {
            return false;
        }
        let Some(parent) = state.shards.all().get(usize::from(this.parent)) else { return true };
        parent.finished
            || !self.guards.hold(Rule::Whole(Invariant::Four))
            || (!self.guards.hold(Rule::ParentStored) && self.progress(state, process, usize::from(this.parent)).1)
    }

    /// How many pages the cursor may pass.
    pub(super) fn pages_done(self, state: &State, process: &Process) -> u8 {
        if !self.guards.hold(Rule::Whole(Invariant::Five)) {
            return process.next_page;
        }
        let done = |page: &u8| process.settled & super::state::page_ticket(*page) != 0;
        state.cursor + (state.cursor..process.next_page).take_while(done).map(|_| 1).sum::<u8>()
    }
}
