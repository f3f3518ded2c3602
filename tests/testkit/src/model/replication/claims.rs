//! What the protocol claims, and what must be seen for the claims to mean something.

use stateright::Property;

use super::Replication;
use super::state::{ABSENT, KEYS, Page, Process, Stage, State, bit, is_refused, page_ticket, record_ticket};

use crate::model::few::byte;

impl Replication {
    /// Whether the process would say that everything so far is applied: the copy is complete, every shard was read to its
    /// end, no slot holds anything, and nothing can land.
    pub(super) fn is_drained(&self, state: &State) -> bool {
        let Some(process) = &state.process else { return false };
        let at_end = |shard: usize| {
            let this = &state.shards.all()[shard];
            this.finished
                || (!this.closed
                    && self.is_readable(state, process, shard)
                    && self.next_record(state, process, shard).is_none())
        };
        state.cursor == self.bounds.keys
            && state.abandoned.is_empty()
            && process.slots.iter().all(|slot| slot.stage == Stage::Free)
            && process.unrecorded == 0
            && (0..state.shards.len()).all(at_end)
    }

    /// Whether the shadow equals the source, and the quarantine names all exceptions and nothing else.
    pub(super) fn is_equal(&self, state: &State) -> bool {
        (0..self.bounds.keys).all(|key| {
            let (source, shadow) = (state.source[usize::from(key)], state.shadow[usize::from(key)]);
            let quarantined = state.quarantine & bit(key) != 0;
            if is_refused(source) { quarantined } else { source == shadow && !quarantined }
        })
    }

    /// Invariants 3 and 5, judged by all that was ever durable.
    pub(super) fn checkpoints_are_true(&self, state: &State) -> bool {
        let records = state.log.all().iter().enumerate().skip(usize::from(self.bounds.history));
        let passed = |shard: u8| usize::from(state.shards.all()[usize::from(shard)].passed);
        let trimmed = usize::from(state.trimmed);
        let mut unsettled = records.filter(|(index, _)| state.ever_settled & record_ticket(*index) == 0);
        // What invariant 8 lets through is judged by what is drained.
        unsettled.all(|(index, record)| index >= passed(record.shard) || index < trimmed)
            && (0..state.cursor).all(|page| state.ever_settled & page_ticket(page) != 0)
    }

    /// Adds what must be possible under these bounds.
    pub(super) fn seen(&self, properties: &mut Vec<Property<Self>>) {
        let bounds = &self.bounds;
        properties.push(Property::sometimes("all is written and drained", |model: &Self, state: &State| {
            state.writes_left == 0 && model.is_drained(state)
        }));
        if bounds.writes > 0 && bounds.overtaken > 0 {
            properties.push(Property::sometimes(
                "a change overtakes a page that was read",
                |_: &Self, state: &State| {
                    let overtook = |process: &Process| {
                        matches!(process.page, Page::Read(_)) && process.overtaken & bit(process.next_page) != 0
                    };
                    state.process.as_ref().is_some_and(overtook)
                },
            ));
        }
        if bounds.writes > 1 {
            properties.push(Property::sometimes(
                "an item is put again after its deletion, and drained",
                |model: &Self, state: &State| {
                    let put_again = |key: u8| {
                        let mut images =
                            state.log.all().iter().filter(|record| record.key == key).map(|record| record.image);
                        images.any(|image| image == ABSENT) && images.any(|image| image != ABSENT)
                    };
                    model.is_drained(state) && (0..byte(KEYS)).any(put_again)
                },
            ));
        }
        if bounds.refusals > 0 {
            properties.push(Property::sometimes(
                "an item is in quarantine, and the rest is drained",
                |model: &Self, state: &State| state.quarantine != 0 && model.is_drained(state),
            ));
        }
        if bounds.refusals > 0 && bounds.writes > 1 {
            properties.push(Property::sometimes("an item leaves quarantine", |_: &Self, state: &State| {
                let leaves = |process: &Process| process.slots.iter().any(|slot| slot.stage == Stage::Clearing);
                state.process.as_ref().is_some_and(leaves)
            }));
        }
        if bounds.rolls > 0 && bounds.writes > 0 {
            properties.push(Property::sometimes(
                "a child shard's records are read, and all is drained",
                |model: &Self, state: &State| {
                    model.is_drained(state) && state.shards.all().iter().skip(1).any(|shard| shard.passed > 0)
                },
            ));
        }
        if bounds.faults > 0 {
            properties.push(Property::sometimes(
                "a request is given up, and all is drained",
                |model: &Self, state: &State| state.faults_left < model.bounds.faults && model.is_drained(state),
            ));
            properties.push(Property::sometimes("a different image waits for the bound", |_: &Self, state: &State| {
                let waits = |process: &Process| process.slots.iter().any(|slot| slot.stage == Stage::Fenced);
                state.process.as_ref().is_some_and(waits) && state.abandoned.all().iter().any(|request| request.landed)
            }));
        }
        if bounds.crashes > 0 {
            properties.push(Property::sometimes("after all crashes, all is drained", |model: &Self, state: &State| {
                state.crashes_left == 0 && model.is_drained(state)
            }));
        }
        if bounds.trims > bounds.history && bounds.writes > 0 {
            properties.push(Property::sometimes("lost history is found out", |_: &Self, state: &State| state.lost));
        }
    }
}
