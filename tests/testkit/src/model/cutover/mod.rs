//! Fence, drain, switch and the way back: invariants 6 and 7, and the steps of a cutover.
//!
//! One item is written at the source. A process that holds the lease walks through the phases; it may crash or stop at any
//! point and is succeeded by another. Writes of the phase and moves of the pointer may arrive long after they were sent. Steps
//! fail, operators decide, and the fence does not hold everybody.
//!
//! What is left out:
//!
//! - How changes are applied: a change that is offered is applied at once and in order. What that rests on: `replication`.
//! - A holder past its lease that does not know it: it sends nothing (`takeover`). Its messages stay on their way.
//! - Everything before `tailing`, `finish`, `abort` and `reseed`.
//! - Fence, unfence and switch are one request each, which acts once or not at all, and can act no more when the bound is over
//!   ([`Rule::StepsOutlasted`] and its like say who waits for that). An operator's program is such a request as well.
//! - `quiet` is an instant at which everything written so far was read: the model's drain is never longer than it must be, and
//!   stragglers may write at any time after it.
//! - The operator tells the truth: he vouches for what holds at that moment, and only where the switch is known to have failed.
//! - The recheck finds nothing: it would only give a cutover up that goes on here.

mod action;
mod state;
mod step;
mod steps;

use stateright::{Model, Property};

pub use self::action::Action;
use self::state::{Deed, Entry, Intake, Phase, Stage, State};
use crate::model::check::{Story, rests};
use crate::model::rules::Guards;
#[cfg(doc)]
use crate::model::rules::Rule;

/// What must never be.
pub const BOTH_OPEN: &str = "never are both tables open";

/// How much may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Writes of the application, while nothing keeps it from the source.
    pub writes: u8,
    /// Writes that the fence does not hold.
    pub stragglers: u8,
    /// Cutovers.
    pub cutovers: u8,
    /// Steps that fail, moves and writes of the phase that are given up.
    pub faults: u8,
    /// Crashes and stops together.
    pub ends: u8,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Cutover {
    pub bounds: Bounds,
    pub guards: Guards,
}

impl Story for Cutover {
    fn title(&self) -> String {
        let Bounds { writes, stragglers, cutovers, faults, ends } = self.bounds;
        format!(
            "cutover ({writes} writes, {stragglers} past the fence, {cutovers} cutovers, {faults} faults, {ends} crashes or \
             stops)"
        )
    }
}

impl Model for Cutover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { writes, stragglers, cutovers, faults, ends } = self.bounds;
        vec![State {
            writes_left: writes,
            stragglers_left: stragglers,
            cutovers_left: cutovers,
            faults_left: faults,
            ends_left: ends,
            quiet: true,
            entry: Entry { version: 1, ..Entry::default() },
            ..State::default()
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        Self::outside(state, actions);
        match &state.holder {
            Some(holder) => self.inside(state, holder, actions),
            None => actions.push(Action::Take { epoch: state.epoch + 1 }),
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(BOTH_OPEN, |_: &Self, state: &State| state.fenced || !state.moved),
            Property::always("the shadow opens with every acknowledged write", |_: &Self, state: &State| {
                !state.moved || state.shadow >= state.acknowledged
            }),
            Property::always(
                "nothing is applied to a shadow that the application may use",
                |_: &Self, state: &State| !state.overwritten,
            ),
            Property::always("what was switched is equal, or told to be late", |_: &Self, state: &State| {
                !is_switched(state) || state.shadow == state.written || state.late
            }),
            Property::always("what is told to be late is not in the shadow", |_: &Self, state: &State| {
                !state.late || state.shadow < state.written
            }),
            Property::always("while it tails, the source is open", |_: &Self, state: &State| {
                !knows(state, Phase::Tailing)
                    || state.holder.is_some_and(|holder| holder.asking.is_some())
                    || !state.fenced
            }),
            Property::always(
                "while it tails, what was read is applied and nothing is late",
                |_: &Self, state: &State| !tails(state) || (state.shadow == state.written && !state.late),
            ),
        ];
        // Without a rule, what is lost by it is the better story.
        if self.guards.without.is_none() {
            let name = "what comes to rest tails with the source open, or is switched";
            properties.push(Property::always(name, |model: &Self, state: &State| {
                !rests(model, state) || tails(state) || is_switched(state)
            }));
            self.seen(&mut properties);
        }
        properties
    }
}

/// Whether its holder works, and has read all there is.
fn has_read_all(state: &State) -> bool {
    state.holder.is_some_and(|holder| holder.stage == Stage::Working && holder.read == state.written)
}

/// Whether the holder and the state table agree on this phase.
fn knows(state: &State, phase: Phase) -> bool {
    let known = |holder: state::Holder| holder.stage == Stage::Working && holder.meta.phase == phase;
    state.holder.is_some_and(known) && state.entry.meta.phase == phase
}

/// Whether it tails, and the source is open.
fn tails(state: &State) -> bool {
    has_read_all(state) && knows(state, Phase::Tailing) && state.entry.meta.phase == Phase::Tailing && !state.fenced
}

/// Whether the application uses the shadow, and all that came to the source was looked at.
fn is_switched(state: &State) -> bool {
    let closed = state.holder.is_some_and(|holder| holder.intake == Intake::Closed);
    has_read_all(state) && closed && state.entry.meta.phase == Phase::Switched && state.moved
}

impl Cutover {
    fn seen(self, properties: &mut Vec<Property<Self>>) {
        let Bounds { writes, stragglers, cutovers, faults, ends } = self.bounds;
        properties.push(Property::sometimes("all is written, switched and equal", |_: &Self, state: &State| {
            is_switched(state) && state.writes_left == 0 && !state.late
        }));
        if stragglers > 0 {
            properties
                .push(Property::sometimes("a change comes after the switch and is told", |_: &Self, state: &State| {
                    is_switched(state) && state.late
                }));
        }
        if faults > 0 {
            properties.push(Property::sometimes(
                "a cutover is given up, and all is drained",
                |model: &Self, state: &State| {
                    tails(state) && state.cutovers_left < model.bounds.cutovers && state.shadow == state.written
                },
            ));
            properties.push(Property::sometimes("a switch that was given up acts late", |_: &Self, state: &State| {
                state.abandoned.all().iter().any(|abandoned| abandoned.landed && abandoned.deed == Deed::Switch)
            }));
            properties.push(Property::sometimes("a switch waits for the operator", |_: &Self, state: &State| {
                state.entry.meta.trouble
            }));
            properties.push(Property::sometimes(
                "a switch that was never started is undone",
                |_: &Self, state: &State| {
                    state.holder.is_some_and(|holder| {
                        holder.fresh && holder.asking.is_some_and(|meta| meta.phase == Phase::Unfencing)
                    })
                },
            ));
        }
        if faults > 0 && stragglers > 0 && writes > 0 {
            properties.push(Property::sometimes(
                "a change past the fence is applied after the cutover was given up",
                |_: &Self, state: &State| tails(state) && state.stragglers_left == 0 && state.shadow == state.written,
            ));
        }
        if faults > 0 && cutovers > 1 {
            properties.push(Property::sometimes("a second cutover switches", |_: &Self, state: &State| {
                is_switched(state) && state.cutovers_left == 0
            }));
        }
        if ends > 0 {
            properties.push(Property::sometimes("a successor switches", |_: &Self, state: &State| {
                is_switched(state) && state.epoch > 1 && state.holder.is_some_and(|holder| holder.epoch == state.epoch)
            }));
            properties.push(Property::sometimes("a dead holder's phase is under way", |_: &Self, state: &State| {
                state.messages.all().iter().any(|message| message.epoch < state.entry.epoch)
            }));
        }
    }
}
