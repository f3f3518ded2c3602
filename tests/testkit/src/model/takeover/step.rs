//! What may happen in a state, and what it does.

use super::Takeover;
use super::action::Action;
use super::state::{Abandoned, Holder, Save, Slot, Stage, State};
use crate::model::rules::Rule;

impl Takeover {
    /// What the application, the service and time may do.
    pub(super) fn outside(state: &State, actions: &mut Vec<Action>) {
        if state.writes_left > 0 {
            actions.push(Action::Write { image: state.written + 1 });
        }
        for (index, request) in (0..).zip(state.abandoned.all()) {
            if !request.landed {
                actions.push(Action::Land { index, epoch: request.epoch, image: request.image });
            }
        }
        if let Some(oldest) = state.abandoned.all().first() {
            actions.push(Action::Elapse { epoch: oldest.epoch, image: oldest.image });
        }
        for (index, save) in (0..).zip(state.saves.all()) {
            actions.push(Action::Arrive { index, epoch: save.epoch, passed: save.passed });
            if !state.processes.iter().flatten().any(|holder| holder.epoch == save.epoch) {
                actions.push(Action::Vanish { index, epoch: save.epoch });
            }
        }
        let held = state.processes.iter().flatten().any(|holder| holder.epoch == state.lease.epoch);
        if !state.lease.free && !held {
            actions.push(Action::RunOut);
        }
    }

    /// What a holder may do, and what may happen to it.
    pub(super) fn inside(self, state: &State, process: u8, holder: &Holder, actions: &mut Vec<Action>) {
        if state.ends_left > 0 && holder.in_time {
            actions.extend([Action::Crash { process }, Action::Pause { process }]);
            if !holder.saving && !matches!(holder.slot, Slot::Sent(_)) {
                let own = state.abandoned.all().iter().any(|request| request.epoch == holder.epoch);
                // While it waits for others, it does not know what can land.
                let quiet = !own && holder.stage != Stage::Settling;
                actions.push(Action::Stop { process, quiet: quiet || !self.guards.hold(Rule::QuietTold) });
            }
        }
        if !holder.in_time {
            actions.push(Action::Notice { process });
            // It had looked at its deadline, and was stopped before it sent.
            if let (Slot::Waiting(image), Stage::Working, false) =
                (holder.slot, holder.stage, self.guards.hold(Rule::SentWhenChecked))
            {
                actions.push(Action::Send { process, image });
            }
            if self.guards.hold(Rule::DeadlineHeld) {
                return;
            }
        }
        match holder.stage {
            Stage::Settling => {
                let others = state.abandoned.all().iter().any(|request| request.epoch < holder.epoch);
                if !others || state.lease.quiet || !self.guards.hold(Rule::SettledFirst) {
                    actions.push(Action::Settle { process });
                }
            }
            Stage::Preparing { claimed, read } => {
                let read_first = !self.guards.hold(Rule::ClaimedBeforeRead);
                if !claimed && read.is_some() == read_first {
                    actions.push(Action::Claim { process });
                }
                if read.is_none() && claimed != read_first {
                    actions.push(Action::Read { process, passed: state.entry.passed });
                }
            }
            Stage::Working => Self::working(state, process, holder, actions),
        }
    }

    fn working(state: &State, process: u8, holder: &Holder, actions: &mut Vec<Action>) {
        if holder.offered < state.written {
            actions.push(Action::Offer { process, record: holder.offered + 1 });
        }
        match holder.slot {
            Slot::Free => {}
            Slot::Waiting(image) => {
                if !state.abandoned.all().iter().any(|request| request.epoch == holder.epoch) {
                    actions.push(Action::Send { process, image });
                }
            }
            Slot::Sent(image) => {
                actions.push(Action::Answer { process, image });
                if state.faults_left > 0 {
                    actions.push(Action::Abandon { process, image });
                }
            }
        }
        if holder.settled > holder.saved && !holder.saving {
            actions.push(Action::Save { process, passed: holder.settled });
        }
    }

    /// The state after an action.
    pub(super) fn step(self, mut state: State, action: Action) -> State {
        match action {
            Action::Write { image } => {
                state.writes_left -= 1;
                state.written = image;
            }
            Action::Take { process, epoch } => {
                (state.lease.epoch, state.lease.free) = (epoch, false);
                let holder = Holder {
                    epoch,
                    in_time: true,
                    stage: Stage::Settling,
                    version: 0,
                    offered: 0,
                    settled: 0,
                    slot: Slot::Free,
                    saved: 0,
                    saving: false,
                };
                state.processes[usize::from(process)] = Some(holder);
            }
            Action::Land { index, image, .. } => {
                state.abandoned.at(usize::from(index)).landed = true;
                state.shadow = image;
            }
            Action::Elapse { .. } => {
                state.abandoned.remove(0);
            }
            Action::Arrive { index, .. } => arrive(self, &mut state, usize::from(index)),
            Action::Vanish { index, .. } => {
                state.saves.remove(usize::from(index));
            }
            Action::RunOut => (state.lease.free, state.lease.quiet) = (true, false),
            Action::Crash { process } => {
                state.ends_left -= 1;
                leave(&mut state, process);
            }
            Action::Pause { process } => {
                state.ends_left -= 1;
                (state.lease.free, state.lease.quiet) = (true, false);
                if let Some(holder) = &mut state.processes[usize::from(process)] {
                    holder.in_time = false;
                    // Requests end before the lease does.
                    if let (Slot::Sent(image), epoch) = (holder.slot, holder.epoch) {
                        holder.slot = Slot::Waiting(image);
                        state.abandoned.push(Abandoned { epoch, image, landed: false });
                    }
                }
            }
            Action::Notice { process } => leave(&mut state, process),
            Action::Stop { process, quiet } => {
                state.ends_left -= 1;
                leave(&mut state, process);
                (state.lease.free, state.lease.quiet) = (true, quiet);
            }
            Action::Settle { process }
            | Action::Claim { process }
            | Action::Read { process, .. }
            | Action::Offer { process, .. }
            | Action::Send { process, .. }
            | Action::Answer { process, .. }
            | Action::Abandon { process, .. }
            | Action::Save { process, .. } => holder_acts(&mut state, process, action),
        }
        state
    }
}

/// What a holder does by itself.
fn holder_acts(state: &mut State, process: u8, action: Action) {
    let Some(holder) = &mut state.processes[usize::from(process)] else { return };
    match action {
        Action::Settle { .. } => holder.stage = Stage::Preparing { claimed: false, read: None },
        Action::Claim { .. } => {
            state.entry.epoch = holder.epoch.max(state.entry.epoch);
            state.entry.version += 1;
            holder.version = state.entry.version;
            if let Stage::Preparing { read, .. } = holder.stage {
                prepare(holder, true, read);
            }
        }
        Action::Read { passed, .. } => {
            if let Stage::Preparing { claimed, .. } = holder.stage {
                prepare(holder, claimed, Some(passed));
            }
        }
        Action::Offer { record, .. } => {
            holder.offered = record;
            // What waits is replaced; behind what was sent, the newest record waits as `offered`.
            if !matches!(holder.slot, Slot::Sent(_)) {
                holder.slot = Slot::Waiting(record);
            }
        }
        Action::Send { image, .. } => holder.slot = Slot::Sent(image),
        Action::Answer { image, .. } => {
            state.shadow = image;
            holder.settled = image;
            holder.slot = if holder.offered > image { Slot::Waiting(holder.offered) } else { Slot::Free };
        }
        Action::Abandon { image, .. } => {
            state.faults_left -= 1;
            state.abandoned.push(Abandoned { epoch: holder.epoch, image, landed: false });
        }
        Action::Save { passed, .. } => {
            holder.saving = true;
            state.saves.push(Save { epoch: holder.epoch, version: holder.version, passed });
        }
        _ => {}
    }
}

/// Both done: it works on from what it read.
fn prepare(holder: &mut Holder, claimed: bool, read: Option<u8>) {
    holder.stage = Stage::Preparing { claimed, read };
    if let (true, Some(passed)) = (claimed, read) {
        holder.stage = Stage::Working;
        (holder.offered, holder.settled, holder.saved) = (passed, passed, passed);
    }
}

/// A checkpoint arrives. One that fails its condition tells its sender that it was replaced.
fn arrive(model: Takeover, state: &mut State, index: usize) {
    let save = state.saves.remove(index);
    let found = save.version == state.entry.version && save.epoch == state.entry.epoch;
    let stored = found || !model.guards.hold(Rule::EpochChecked);
    if stored {
        state.entry.passed = save.passed;
        state.entry.version += 1;
    }
    let sender =
        (0..).zip(&state.processes).find(|(_, holder)| holder.is_some_and(|holder| holder.epoch == save.epoch));
    let Some((process, _)) = sender else { return };
    if !stored {
        leave(state, process);
        return;
    }
    if let Some(holder) = &mut state.processes[usize::from(process)] {
        holder.version = state.entry.version;
        (holder.saving, holder.saved) = (false, save.passed);
    }
}

/// The process forgets everything. What it had in flight may still take effect.
fn leave(state: &mut State, process: u8) {
    if let Some(Holder { epoch, slot: Slot::Sent(image), .. }) = state.processes[usize::from(process)].take() {
        state.abandoned.push(Abandoned { epoch, image, landed: false });
    }
}
