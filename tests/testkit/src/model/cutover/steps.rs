//! What the holder of the lease does in each phase.

use super::Cutover;
use super::action::Action;
use super::state::{Abandoned, Deed, Holder, Intake, Meta, Phase, Side, Stage, State, Step};
use super::step::act;
use crate::model::rules::Rule;

impl Cutover {
    /// What the holder may do, and what may happen to it.
    pub(super) fn inside(self, state: &State, holder: &Holder, actions: &mut Vec<Action>) {
        if state.ends_left > 0 {
            let mine = holder.step == Step::Running || gave_up(state, holder, None);
            let quiet = holder.stage != Stage::Settling && !(mine && self.guards.hold(Rule::StepsCountAsLoud));
            actions.extend([Action::Crash, Action::Stop { quiet }]);
        }
        match holder.stage {
            Stage::Settling => {
                let others = state.abandoned.all().iter().any(|abandoned| abandoned.epoch < holder.epoch);
                if !others || state.quiet || !self.guards.hold(Rule::StepsOutlasted) {
                    actions.push(Action::Settle);
                }
            }
            Stage::Claiming => actions.push(Action::Claim),
            Stage::Reading => actions.push(Action::Read { phase: state.entry.meta.phase }),
            Stage::Working => {
                self.mirror(state, holder, actions);
                match holder.asking {
                    Some(meta) if state.faults_left > 0 => actions.push(Action::Resend { meta }),
                    Some(_) => {}
                    None => self.go_on(state, holder, actions),
                }
            }
        }
    }

    /// Reading and saving goes on beside every step, but for while the fence is undone.
    fn mirror(self, state: &State, holder: &Holder, actions: &mut Vec<Action>) {
        if holder.meta.phase == Phase::Unfencing {
            return;
        }
        for from in Side::BOTH {
            let read = holder.read[from];
            let about_to_lead = from != holder.meta.leader && holder.meta.phase == Phase::Switching;
            let is_read = !about_to_lead || !self.guards.hold(Rule::ReadOnceItLeads);
            if is_read && read < state.written[from] {
                actions.push(Action::Poll { from, change: read + 1 });
            }
            if read > state.passed[from] && (from != holder.meta.leader || holder.intake != Intake::Held) {
                actions.push(Action::Save { from, passed: read });
            }
        }
    }

    /// The step of the present phase.
    fn go_on(self, state: &State, holder: &Holder, actions: &mut Vec<Action>) {
        let Meta { phase, leader, trouble } = holder.meta;
        if trouble {
            let moved = state.pointer != leader;
            actions.extend([Action::Again, if moved { Action::Declare } else { Action::GiveUp }]);
            return;
        }
        let before_intent = matches!(phase, Phase::Fencing | Phase::Fenced | Phase::Drained);
        if state.faults_left > 0 && before_intent && holder.step == Step::Due {
            actions.push(Action::Fail { phase });
        }
        match phase {
            Phase::Tailing if state.cutovers_left > 0 => actions.push(Action::Cutover),
            Phase::Switched if state.rollbacks_left > 0 => actions.push(Action::Rollback),
            Phase::Tailing | Phase::Switched => {}
            Phase::Fenced => {
                if holder.read[leader] == state.written[leader] || !self.guards.hold(Rule::DrainProven) {
                    actions.push(Action::Drain);
                }
            }
            Phase::Drained => actions.push(if holder.undisturbed { Action::Intend } else { Action::Stir }),
            Phase::Fencing => self.act(state, holder, Deed::Fence, actions),
            Phase::Unfencing => self.act(state, holder, Deed::Unfence, actions),
            Phase::Switching => self.act(state, holder, Deed::Switch, actions),
        }
    }

    /// A step that does something to the outside.
    fn act(self, state: &State, holder: &Holder, deed: Deed, actions: &mut Vec<Action>) {
        let leader = holder.meta.leader;
        let outlasts = self.guards.hold(Rule::OwnStepsOutlasted);
        match holder.step {
            // An unfence must be the last to act.
            Step::Due if deed == Deed::Unfence && outlasts && gave_up(state, holder, Some(Deed::Fence)) => {}
            Step::Due => {
                actions.push(Action::Begin { deed });
                if state.faults_left > 0 && deed == Deed::Switch {
                    actions.push(Action::NotBegun);
                }
            }
            Step::Running => {
                actions.push(Action::End { deed });
                if state.faults_left > 0 {
                    actions.push(Action::Lose { deed });
                }
                if state.faults_left > 0 && deed == Deed::Switch {
                    actions.extend([Action::Refuse, Action::HalfSwitch]);
                }
            }
            Step::Lost => {
                if !gave_up(state, holder, Some(deed)) || !self.guards.hold(Rule::SwitchSettled) {
                    actions.push(Action::EndSwitch { moved: state.pointer != leader });
                }
            }
            Step::Failed => actions.push(Action::EndSwitch { moved: false }),
            // Nor may it act upon the fence of a later cutover.
            Step::Done if deed == Deed::Unfence && outlasts && gave_up(state, holder, Some(Deed::Unfence)) => {}
            Step::Done => {
                let (phase, leader) = match deed {
                    Deed::Fence => (Phase::Fenced, leader),
                    Deed::Unfence => (leader.rest(), leader),
                    Deed::Switch => (leader.other().rest(), leader.other()),
                };
                actions.push(Action::Ask { meta: Meta { phase, leader, trouble: false } });
            }
        }
    }

    /// What a new holder does before it works.
    pub(super) fn takes_over(self, state: &mut State, action: Action) {
        let (version, epoch, found) = (state.entry.version, state.entry.epoch, state.entry.meta);
        let Some(holder) = &mut state.holder else { return };
        match action {
            Action::Settle => holder.stage = if self.claims_first() { Stage::Claiming } else { Stage::Reading },
            Action::Claim => {
                (state.entry.version, state.entry.epoch) = (version + 1, epoch.max(holder.epoch));
                holder.version = state.entry.version;
                holder.stage = if self.claims_first() { Stage::Reading } else { Stage::Working };
            }
            Action::Read { .. } => {
                (holder.meta, holder.version) = (found, version);
                (holder.intake, holder.undisturbed) = (intake_of(found.phase), !self.guards.hold(Rule::DrainedAgain));
                holder.stage = if self.claims_first() { Stage::Working } else { Stage::Claiming };
            }
            _ => {}
        }
    }

    /// What the holder, or an operator through it, does by itself.
    pub(super) fn holder_acts(self, state: &mut State, action: Action) {
        let Some(holder) = &mut state.holder else { return };
        let mut leader = holder.meta.leader;
        let mut ask = None;
        match action {
            Action::Cutover => {
                state.cutovers_left -= 1;
                ask = Some((Phase::Fencing, false));
            }
            Action::Rollback => {
                state.rollbacks_left -= 1;
                ask = Some((Phase::Fencing, false));
            }
            Action::Drain => {
                holder.undisturbed = true;
                ask = Some((Phase::Drained, false));
            }
            Action::Stir => ask = Some((Phase::Fenced, false)),
            Action::Intend => {
                // What is durable is saved first: a restart must not take it for late.
                state.passed[leader] = state.passed[leader].max(holder.read[leader]);
                if self.guards.hold(Rule::IntakeHeld) {
                    holder.intake = Intake::Held;
                }
                ask = Some((Phase::Switching, false));
            }
            Action::Begin { .. } => (holder.step, holder.fresh) = (Step::Running, false),
            Action::NotBegun => {
                state.faults_left -= 1;
                let nothing_was_done = holder.fresh || !self.guards.hold(Rule::FirstAttemptOnly);
                ask = Some(if nothing_was_done { (Phase::Unfencing, false) } else { (Phase::Switching, true) });
            }
            Action::End { deed } => {
                holder.step = Step::Done;
                act(state, deed, leader);
            }
            Action::Lose { deed } => {
                state.faults_left -= 1;
                state.abandoned.push(Abandoned { epoch: holder.epoch, deed, leader, landed: false });
                holder.step = if deed == Deed::Switch { Step::Lost } else { Step::Due };
                // A fence that fails is undone, an unfence tried again, a switch looked after.
                ask = (deed == Deed::Fence).then_some((Phase::Unfencing, false));
            }
            Action::Refuse | Action::HalfSwitch => {
                (state.faults_left, holder.step) = (state.faults_left - 1, Step::Failed);
                if action == Action::HalfSwitch {
                    act(state, Deed::Switch, leader);
                }
            }
            Action::EndSwitch { moved: true } => holder.step = Step::Done,
            Action::EndSwitch { moved: false } => {
                let kept = self.guards.hold(Rule::IntentKept);
                ask = Some(if kept { (Phase::Switching, true) } else { (Phase::Unfencing, false) });
            }
            Action::Fail { .. } => {
                state.faults_left -= 1;
                ask = Some((Phase::Unfencing, false));
            }
            Action::Again => ask = Some((Phase::Switching, false)),
            Action::Declare => {
                leader = leader.other();
                ask = Some((leader.rest(), false));
            }
            Action::GiveUp => ask = Some((Phase::Unfencing, false)),
            _ => {}
        }
        if let Some((phase, trouble)) = ask {
            *state = self.step(*state, Action::Ask { meta: Meta { phase, leader, trouble } });
        }
    }

    /// Whether the entry is claimed before it is read.
    fn claims_first(self) -> bool {
        self.guards.hold(Rule::ClaimedBeforeRead)
    }
}

/// What a mirror that begins in this phase does with changes.
const fn intake_of(phase: Phase) -> Intake {
    match phase {
        Phase::Switching => Intake::Held,
        _ => Intake::Open,
    }
}

/// Whether the holder gave up something that can still act: this deed, or any.
fn gave_up(state: &State, holder: &Holder, deed: Option<Deed>) -> bool {
    let mut own = state.abandoned.all().iter().filter(|abandoned| abandoned.epoch == holder.epoch);
    own.any(|abandoned| deed.is_none_or(|deed| deed == abandoned.deed))
}
