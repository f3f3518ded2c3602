//! What may happen in a state, and what it does.

use super::Ownership;
use super::action::Action;
use super::state::{
    Abandoned, CHANGES, Change, ITEMS, Item, PLACES, Process, Read, Stage, State, Why, bit, change_tickets, page_ticket,
};
use crate::model::few::byte;
use crate::model::rules::Rule;

/// The number of the application's first write.
const FIRST_WRITE: u8 = 3;

impl Ownership {
    /// What the application and the service may do.
    pub(super) fn outside(self, state: &State, actions: &mut Vec<Action>) {
        if state.writes_left > 0 && state.log.len() < CHANGES {
            let image = FIRST_WRITE + self.bounds.writes - state.writes_left;
            for source in 0..byte(ITEMS) {
                actions.extend((0..byte(PLACES)).map(|place| Action::Put { source, place, image }));
                if state.source[usize::from(source)].image != 0 {
                    actions.push(Action::Delete { source });
                }
            }
        }
        for (index, request) in (0..).zip(state.abandoned.all()) {
            if !request.landed {
                actions.push(Action::Land { index, place: request.place, op: request.op });
            }
        }
        if let Some(oldest) = state.abandoned.all().first() {
            actions.push(Action::Elapse { place: oldest.place, op: oldest.op });
        }
    }

    /// What the process may do, and what may happen to it.
    pub(super) fn inside(state: &State, process: &Process, actions: &mut Vec<Action>) {
        for (place, slot) in (0..).zip(&process.slots) {
            let op = slot.current;
            match slot.stage {
                Stage::Sent => {
                    actions.push(Action::Answer { place, op });
                    if state.faults_left > 0 {
                        actions.push(Action::Abandon { place, op });
                    }
                }
                Stage::Setting => actions.push(Action::Record { place, source: op.source, set: true }),
                Stage::Clearing => actions.push(Action::Record { place, source: op.source, set: false }),
                Stage::Free | Stage::Fenced => {}
            }
        }
        for source in 0..byte(ITEMS) {
            let index = usize::from(source);
            let mine = |(_, change): &(usize, &Change)| change.source == source;
            let mut changes = state.log.all().iter().enumerate().filter(mine);
            let read = usize::from(process.readers[index]);
            if let Some((change, _)) = changes.clone().find(|(change, _)| *change >= read) {
                actions.push(Action::Offer { source, change: byte(change) });
            }
            let settled = |change: usize| process.settled & change_tickets(change) == change_tickets(change);
            let from = usize::from(state.passed[index]);
            let open = changes.find(|(change, _)| *change >= from && (*change >= read || !settled(*change)));
            let passed = open.map_or(read, |(change, _)| change).min(read);
            let passed = byte(passed);
            if passed > state.passed[index] {
                actions.push(Action::Save { source, passed });
            }
            if process.settled & page_ticket(source) != 0 && state.copied & bit(source) == 0 {
                actions.push(Action::SavePage { source });
            }
            match process.read {
                None if process.copied & bit(source) == 0 => actions.push(Action::Begin { source, why: Why::Copied }),
                None if process.wanted & bit(source) != 0 => actions.push(Action::Begin { source, why: Why::Again }),
                Some(Read { source: of, found: None, .. }) if of == source => actions.push(Action::Answered { source }),
                Some(Read { source: of, found: Some(_), .. }) if of == source => actions.push(Action::Use { source }),
                _ => {}
            }
        }
        if state.crashes_left > 0 {
            actions.push(Action::Crash);
        }
    }

    /// The state after an action.
    pub(super) fn step(self, mut state: State, action: Action) -> State {
        match action {
            Action::Put { source, place, image } => write(&mut state, source, Item { image, place }),
            Action::Delete { source } => write(&mut state, source, Item::default()),
            Action::Offer { source, change } => self.offer_change(&mut state, source, usize::from(change)),
            Action::Begin { .. } | Action::Answered { .. } | Action::Use { .. } => self.read(&mut state, action),
            Action::Answer { place, op } => self.answer(&mut state, place, op),
            Action::Abandon { place, op } => {
                state.faults_left -= 1;
                state.abandoned.push(Abandoned { place, op, landed: false });
            }
            Action::Land { index, place, op } => {
                state.abandoned.at(usize::from(index)).landed = true;
                self.arrives(&mut state, place, op);
            }
            Action::Elapse { place, .. } => {
                state.abandoned.remove(0);
                Self::release(&mut state, place);
            }
            Action::Record { place, source, set } => Self::record(&mut state, place, source, set),
            Action::Save { source, passed } => state.passed[usize::from(source)] = passed,
            Action::SavePage { source } => state.copied |= bit(source),
            Action::Crash => {
                state.crashes_left -= 1;
                let slots = state.process.take().map(|process| process.slots).unwrap_or_default();
                for (place, slot) in (0..).zip(slots).filter(|(_, slot)| slot.stage == Stage::Sent) {
                    state.abandoned.push(Abandoned { place, op: slot.current, landed: false });
                }
            }
            Action::Restart => {
                let again = self.guards.hold(Rule::CollisionsReread);
                let wanted = if again { state.collisions.iter().fold(0, |wanted, shown| wanted | shown) } else { 0 };
                let (readers, copied) = (state.passed, state.copied);
                state.process = Some(Process { readers, wanted, copied, ..Process::default() });
            }
        }
        state
    }

    fn read(self, state: &mut State, action: Action) {
        let Some(process) = &mut state.process else { return };
        match (action, process.read) {
            (Action::Begin { source, why }, _) => {
                process.read = Some(Read { source, why, found: None, overtaken: false });
            }
            (Action::Answered { source }, Some(read)) => {
                process.read = Some(Read { found: Some(state.source[usize::from(source)]), ..read });
            }
            (Action::Use { .. }, Some(Read { source, why, found: Some(found), overtaken })) => {
                process.read = None;
                let (dropped, kept) = match why {
                    Why::Copied => {
                        process.copied |= bit(source);
                        (overtaken, false)
                    }
                    Why::Again => {
                        let dropped = overtaken && self.guards.hold(Rule::RereadDropped);
                        (dropped, dropped && self.guards.hold(Rule::RereadKept))
                    }
                };
                let tickets = if why == Why::Copied { page_ticket(source) } else { 0 };
                if why == Why::Again && !kept {
                    process.wanted &= !bit(source);
                }
                if dropped {
                    process.settled |= tickets;
                } else {
                    self.offer_item(state, source, found, tickets);
                }
            }
            _ => {}
        }
    }
}

fn write(state: &mut State, source: u8, new: Item) {
    state.writes_left -= 1;
    let old = std::mem::replace(&mut state.source[usize::from(source)], new);
    state.log.push(Change { source, old, new });
}
