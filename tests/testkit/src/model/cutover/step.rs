//! What may happen in a state, and what it does.

use super::Cutover;
use super::action::Action;
use super::state::{Abandoned, Deed, Holder, Intake, Message, Meta, Phase, Side, Stage, State, Step};
use crate::model::rules::{Invariant, Rule};

impl Cutover {
    /// What the application, the service and time may do.
    pub(super) fn outside(self, state: &State, actions: &mut Vec<Action>) {
        // What is written to the shadow matters only to a walk back.
        let matters = state.pointer == Side::Source || self.bounds.rollbacks > 0;
        if state.writes_left > 0 && matters && !state.closed[state.pointer] {
            actions.push(Action::Write { to: state.pointer });
        }
        if state.stragglers_left > 0 && state.closed[Side::Source] {
            actions.push(Action::Straggle);
        }
        for (index, abandoned) in (0..).zip(state.abandoned.all()) {
            if !abandoned.landed {
                actions.push(Action::Land { index, deed: abandoned.deed });
            }
        }
        if let Some(oldest) = state.abandoned.all().first() {
            actions.push(Action::Elapse { deed: oldest.deed });
        }
        for (index, message) in (0..).zip(state.messages.all()) {
            actions.push(Action::Arrive { index, meta: message.meta });
            if !waits_for(state, *message) {
                actions.push(Action::Vanish { index });
            }
        }
    }

    /// The state after an action.
    pub(super) fn step(self, mut state: State, action: Action) -> State {
        match action {
            Action::Write { to } => {
                state.writes_left -= 1;
                state.written[to] += 1;
                state.acknowledged[to] = state.written[to];
            }
            Action::Straggle => {
                state.stragglers_left -= 1;
                state.written[Side::Source] += 1;
            }
            Action::Take { epoch } => {
                state.epoch = epoch;
                state.holder = Some(Holder {
                    epoch,
                    stage: Stage::Settling,
                    meta: Meta::default(),
                    version: 0,
                    asking: None,
                    read: state.passed,
                    intake: Intake::Open,
                    step: Step::Due,
                    undisturbed: false,
                    fresh: false,
                });
            }
            Action::Land { index, deed } => {
                let abandoned = state.abandoned.at(usize::from(index));
                abandoned.landed = true;
                let leader = abandoned.leader;
                act(&mut state, deed, leader);
            }
            Action::Elapse { .. } => {
                state.abandoned.remove(0);
            }
            Action::Arrive { index, .. } => self.arrive(&mut state, usize::from(index)),
            Action::Vanish { index } => {
                state.messages.remove(usize::from(index));
            }
            Action::Crash => {
                state.ends_left -= 1;
                leave(&mut state);
                state.quiet = false;
            }
            Action::Stop { quiet } => {
                state.ends_left -= 1;
                leave(&mut state);
                state.quiet = quiet;
            }
            Action::Resend { meta } => {
                state.faults_left -= 1;
                send(&mut state, meta);
            }
            Action::Ask { meta } => {
                if let Some(holder) = &mut state.holder {
                    holder.asking = Some(meta);
                }
                send(&mut state, meta);
            }
            Action::Poll { from, change } => self.poll(&mut state, from, change),
            Action::Save { from, passed } => state.passed[from] = passed,
            Action::Settle | Action::Claim | Action::Read { .. } => self.takes_over(&mut state, action),
            _ => self.holder_acts(&mut state, action),
        }
        state
    }

    /// A change is offered.
    fn poll(self, state: &mut State, from: Side, change: u8) {
        let Some(holder) = &mut state.holder else { return };
        let leads = from == holder.meta.leader;
        holder.read[from] = change;
        holder.undisturbed = false;
        if leads && holder.intake == Intake::Open {
            state.applied[from] = change;
            state.late[from] = false;
            state.overwritten |= state.pointer != from;
        } else {
            state.late[from] = true;
            if leads && !self.guards.hold(Rule::HeldNotPassed) {
                state.passed[from] = change;
            }
        }
    }

    /// A write of the entry arrives. One that fails its condition tells its sender, if it waits, that it was replaced.
    fn arrive(self, state: &mut State, index: usize) {
        let message = state.messages.remove(index);
        let version = message.version == state.entry.version || !self.guards.hold(Rule::Whole(Invariant::Seven));
        let epoch = message.epoch == state.entry.epoch || !self.guards.hold(Rule::EpochChecked);
        let waited_for = waits_for(state, message);
        if version && epoch {
            state.entry.meta = message.meta;
            state.entry.version += 1;
            if waited_for {
                Self::adopt(state, message.meta);
            }
        } else if waited_for {
            leave(state);
        }
    }

    /// The holder knows the entry to say this.
    fn adopt(state: &mut State, meta: Meta) {
        let passed = state.passed;
        let Some(holder) = &mut state.holder else { return };
        let before = holder.meta.phase;
        (holder.meta, holder.version, holder.asking, holder.step) = (meta, state.entry.version, None, Step::Due);
        holder.fresh = meta.phase == Phase::Switching && before == Phase::Drained;
        match meta.phase {
            // A mirror ends with the cutover that is given up; the next one begins from the checkpoints.
            Phase::Unfencing if before != Phase::Unfencing => (holder.read, holder.intake) = (passed, Intake::Open),
            // The other table leads: its changes are applied.
            Phase::Tailing | Phase::Switched => holder.intake = Intake::Open,
            _ => {}
        }
    }
}

/// Whether the holder waits for this message.
fn waits_for(state: &State, message: Message) -> bool {
    let waits = |holder: Holder| {
        holder.epoch == message.epoch && holder.version == message.version && holder.asking == Some(message.meta)
    };
    state.holder.is_some_and(waits)
}

fn send(state: &mut State, meta: Meta) {
    let Some(Holder { epoch, version, .. }) = state.holder else { return };
    state.messages.push(Message { meta, version, epoch });
}

/// A deed is done.
pub(super) fn act(state: &mut State, deed: Deed, leader: Side) {
    match deed {
        Deed::Fence => state.closed[leader] = true,
        Deed::Unfence => state.closed[leader] = false,
        Deed::Switch => (state.closed[leader.other()], state.pointer) = (false, leader.other()),
    }
}

/// The process forgets everything. What was under way may still act.
fn leave(state: &mut State) {
    let Some(Holder { epoch, step: Step::Running, meta, .. }) = state.holder.take() else { return };
    if let Some(deed) = Deed::of(meta.phase) {
        state.abandoned.push(Abandoned { epoch, deed, leader: meta.leader, landed: false });
    }
}
