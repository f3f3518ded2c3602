//! What may happen in a state, and what it does.

use super::action::Action;
use super::state::{
    ABSENT, Abandoned, Op, Page, Process, RECORDS, REFUSED, Record, SHARDS, Shard, Slot, Stage, State, bit, page_ticket,
};
use super::{FIRST_WRITE, Replication};
use crate::model::few::byte;
use crate::model::rules::{Invariant, Rule};

impl Replication {
    /// What the application and the service may do.
    pub(super) fn outside(self, state: &State, actions: &mut Vec<Action>) {
        if state.writes_left > 0 && state.log.len() < RECORDS {
            let version = FIRST_WRITE + self.bounds.writes - state.writes_left;
            for key in 0..self.bounds.keys {
                actions.push(Action::Write { key, image: version });
                if state.refusals_left > 0 {
                    actions.push(Action::Write { key, image: version | REFUSED });
                }
                if state.source[usize::from(key)] != ABSENT {
                    actions.push(Action::Write { key, image: ABSENT });
                }
            }
        }
        for (shard, this) in (0..).zip(state.shards.all()) {
            let open = !this.closed && state.rolls_left > 0;
            if open && state.shards.len() < SHARDS {
                actions.push(Action::Roll { shard });
            }
            if open && this.keys.count_ones() == 2 && state.shards.len() + 1 < SHARDS {
                actions.push(Action::Split { shard });
            }
        }
        if state.trims_left > 0 && usize::from(state.trimmed) < state.log.len() {
            actions.push(Action::Trim { record: state.trimmed });
        }
        for (index, request) in (0..).zip(state.abandoned.all()) {
            if !request.landed {
                actions.push(Action::Land { index, key: request.key, image: request.image });
            }
        }
        // Time passes for all of them alike: the oldest is old enough first.
        if let Some(oldest) = state.abandoned.all().first() {
            actions.push(Action::Elapse { key: oldest.key, image: oldest.image });
        }
    }

    /// What the process may do, and what may happen to it.
    pub(super) fn inside(self, state: &State, process: &Process, actions: &mut Vec<Action>) {
        for (key, slot) in (0..self.bounds.keys).zip(&process.slots) {
            let image = slot.current.image;
            match slot.stage {
                Stage::Sent => {
                    actions.push(Action::Answer { key, image });
                    if state.faults_left > 0 {
                        actions.push(Action::Abandon { key, image });
                    }
                }
                Stage::Setting => actions.push(Action::Record { key, set: true }),
                Stage::Clearing => actions.push(Action::Record { key, set: false }),
                Stage::Free | Stage::Fenced => {}
            }
            if process.unrecorded & bit(key) != 0 {
                actions.push(Action::Record { key, set: true });
            }
        }
        let page = process.next_page;
        match process.page {
            Page::Idle if page < self.bounds.keys => actions.push(Action::BeginPage { page }),
            Page::Idle => {}
            Page::Begun => actions.push(Action::ReadPage { page }),
            Page::Read(_) => actions.push(Action::OfferPage { page }),
        }
        for (shard, this) in (0..).zip(state.shards.all()) {
            let index = usize::from(shard);
            if !self.is_readable(state, process, index) {
                continue;
            }
            match self.next_record(state, process, index) {
                Some(record) if record < usize::from(state.trimmed) => actions.push(Action::FindLoss { shard }),
                Some(record) => actions.push(Action::Offer { shard, record: byte(record) }),
                None => {}
            }
            let (passed, finished) = self.progress(state, process, index);
            if passed > this.passed || finished {
                actions.push(Action::SaveShard { shard, passed, finished });
            }
        }
        let cursor = self.pages_done(state, process);
        if cursor > state.cursor {
            actions.push(Action::SaveCursor { cursor });
        }
        if state.crashes_left > 0 {
            actions.push(Action::Crash);
        }
    }

    /// The state after an action.
    pub(super) fn step(self, mut state: State, action: Action) -> State {
        match action {
            Action::Write { key, image } => {
                state.writes_left -= 1;
                state.refusals_left -= u8::from(image & REFUSED != 0);
                state.source[usize::from(key)] = image;
                let leaf = |shard: &&Shard| !shard.closed && shard.keys & bit(key) != 0;
                let shard = state.shards.all().iter().position(|shard| leaf(&shard)).unwrap_or_default();
                let shard = byte(shard);
                state.log.push(Record { shard, key, image });
            }
            Action::Roll { shard } => Self::continue_shard(&mut state, shard, false),
            Action::Split { shard } => Self::continue_shard(&mut state, shard, true),
            Action::Trim { .. } => {
                state.trims_left -= 1;
                state.trimmed += 1;
            }
            Action::Land { index, key, image } => {
                state.abandoned.at(usize::from(index)).landed = true;
                if image & REFUSED == 0 {
                    state.shadow[usize::from(key)] = image;
                }
            }
            Action::Elapse { key, .. } => {
                state.abandoned.remove(0);
                let waits = |process: &Process| process.slots[usize::from(key)].stage == Stage::Fenced;
                if state.process.as_ref().is_some_and(waits) {
                    self.start(&mut state, key);
                }
            }
            Action::FindLoss { .. } => (state.lost, state.process) = (true, None),
            Action::Offer { shard, record } => self.offer_change(&mut state, shard, usize::from(record)),
            Action::Answer { key, .. } => self.answer(&mut state, key),
            Action::Abandon { key, image } => {
                state.faults_left -= 1;
                state.abandoned.push(Abandoned { key, image, landed: false });
            }
            Action::Record { key, set } => self.record(&mut state, key, set),
            Action::BeginPage { .. } | Action::ReadPage { .. } | Action::OfferPage { .. } => {
                self.copy(&mut state, action);
            }
            Action::SaveShard { shard, passed, finished } => {
                let stored = state.shards.at(usize::from(shard));
                (stored.passed, stored.finished) = (passed, finished);
            }
            Action::SaveCursor { cursor } => state.cursor = cursor,
            Action::Crash => {
                state.crashes_left -= 1;
                let slots = state.process.take().map(|process| process.slots).unwrap_or_default();
                for (key, slot) in (0..).zip(slots) {
                    if slot.stage == Stage::Sent {
                        state.abandoned.push(Abandoned { key, image: slot.current.image, landed: false });
                    }
                }
            }
            Action::Restart => {
                let mut process = Process { next_page: state.cursor, ..Process::default() };
                for (reader, shard) in process.readers.iter_mut().zip(state.shards.all()) {
                    *reader = shard.passed;
                }
                state.process = Some(process);
            }
        }
        state
    }

    fn continue_shard(state: &mut State, parent: u8, split: bool) {
        state.rolls_left -= 1;
        let keys = state.shards.all()[usize::from(parent)].keys;
        state.shards.at(usize::from(parent)).closed = true;
        let low = keys & keys.wrapping_neg();
        let parts = if split { [low, keys & !low] } else { [keys, 0] };
        for keys in parts.into_iter().filter(|keys| *keys != 0) {
            state.shards.push(Shard { parent, keys, ..Shard::default() });
        }
    }

    fn record(self, state: &mut State, key: u8, set: bool) {
        state.quarantine = if set { state.quarantine | bit(key) } else { state.quarantine & !bit(key) };
        let Some(process) = &mut state.process else { return };
        process.unrecorded &= !bit(key);
        let Slot { stage, .. } = process.slots[usize::from(key)];
        if matches!(stage, Stage::Setting | Stage::Clearing) {
            self.finish(state, key);
        }
    }

    fn copy(self, state: &mut State, action: Action) {
        let Some(process) = &mut state.process else { return };
        match (action, process.page) {
            (Action::BeginPage { .. }, _) => process.page = Page::Begun,
            (Action::ReadPage { page }, _) => process.page = Page::Read(state.source[usize::from(page)]),
            (Action::OfferPage { page }, Page::Read(image)) => {
                let overtaken = process.overtaken & bit(page) != 0;
                (process.page, process.overtaken) = (Page::Idle, 0);
                process.next_page += 1;
                let dropped = overtaken && self.guards.hold(Rule::Whole(Invariant::Two));
                if image == ABSENT || dropped {
                    process.settled |= page_ticket(page);
                    state.ever_settled |= page_ticket(page);
                } else {
                    self.offer(state, page, Op { image, tickets: page_ticket(page) });
                }
            }
            _ => {}
        }
    }
}
