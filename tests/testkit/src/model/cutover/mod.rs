//! Fence, drain, switch and the way back: invariants 6 and 7, and the steps of a cutover.
//!
//! One item is written at the table that leads: the source at first, the shadow after a cutover, and the source again after a
//! walk back, which is the same walk with the sides exchanged. Changes of the leader are applied to the other table; those of
//! the other one are late. A process that holds the lease walks through the phases; it may crash or stop at any
//! point and is succeeded by another. Writes of the phase and moves of the pointer may arrive long after they were sent. Steps
//! fail, operators decide, and the fence does not hold everybody.
//!
//! What is left out:
//!
//! - How changes are applied: a change that is offered is applied at once and in order. What that rests on: `replication`.
//! - A holder past its lease that does not know it: it sends nothing (`takeover`). Its messages stay on their way.
//! - Everything before `tailing`, `finish`, `abort` and `reseed`.
//! - What a walk back does to the streams: each table's stream tells what the application did and never what was applied, and
//!   is known from its beginning. Nobody writes past a fence where there are walks back: what becomes of such a change when its
//!   table leads again is not modelled.
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
use self::state::{Deed, Entry, Phase, Side, Sides, Stage, State};
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
    /// Walks back.
    pub rollbacks: u8,
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
        let Bounds { writes, stragglers, cutovers, rollbacks, faults, ends } = self.bounds;
        format!(
            "cutover ({writes} writes, {stragglers} past the fence, {cutovers} cutovers, {rollbacks} walks back, {faults} faults, \
             {ends} crashes or stops)"
        )
    }
}

impl Model for Cutover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { writes, stragglers, cutovers, rollbacks, faults, ends } = self.bounds;
        assert!(
            stragglers == 0 || rollbacks == 0,
            "a change past the fence is not modelled where there are walks back"
        );
        vec![State {
            writes_left: writes,
            stragglers_left: stragglers,
            cutovers_left: cutovers,
            rollbacks_left: rollbacks,
            faults_left: faults,
            ends_left: ends,
            quiet: true,
            closed: Sides([false, true]),
            entry: Entry { version: 1, ..Entry::default() },
            ..State::default()
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.outside(state, actions);
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
            Property::always(BOTH_OPEN, |_: &Self, state: &State| {
                state.closed[state.pointer.other()] || state.closed[state.pointer]
            }),
            Property::always("a table opens with every acknowledged write", |_: &Self, state: &State| {
                let left = state.pointer.other();
                state.applied[left] >= state.acknowledged[left]
            }),
            Property::always(
                "nothing is applied to a table that the application may use",
                |_: &Self, state: &State| !state.overwritten,
            ),
            Property::always("what was switched is equal, or told to be late", |_: &Self, state: &State| {
                !rests_at(state, Side::Shadow) || is_equal(state) || state.late[Side::Source]
            }),
            Property::always("what is told to be late is not in the other table", |_: &Self, state: &State| {
                Side::BOTH.iter().all(|side| !state.late[*side] || state.applied[*side] < state.written[*side])
            }),
            Property::always("at rest, the leader is open", |_: &Self, state: &State| {
                let asks = state.holder.is_some_and(|holder| holder.asking.is_some());
                let leader = state.entry.meta.leader;
                !knows(state, leader.rest()) || asks || !state.closed[leader]
            }),
            Property::always(
                "while it tails, what was read is applied and nothing is late",
                |_: &Self, state: &State| {
                    !rests_at(state, Side::Source) || (is_equal(state) && !state.late[Side::Source])
                },
            ),
        ];
        // Without a rule, what is lost by it is the better story.
        if self.guards.without.is_none() {
            let name = "what comes to rest tails, or is switched, with the leader open";
            properties.push(Property::always(name, |model: &Self, state: &State| {
                !rests(model, state) || Side::BOTH.iter().any(|leader| rests_at(state, *leader))
            }));
            self.seen(&mut properties);
            self.seen_of_walks_back(&mut properties);
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

/// Whether the application writes to this table, which is open, and all that came to either was looked at.
fn rests_at(state: &State, leader: Side) -> bool {
    has_read_all(state) && knows(state, leader.rest()) && !state.closed[leader] && state.pointer == leader
}

/// Whether everything that anybody wrote to either table is in the other.
fn is_equal(state: &State) -> bool {
    state.applied == state.written
}

impl Cutover {
    fn seen(self, properties: &mut Vec<Property<Self>>) {
        let Bounds { writes, stragglers, cutovers, faults, ends, .. } = self.bounds;
        properties.push(Property::sometimes("all is written, switched and equal", |_: &Self, state: &State| {
            rests_at(state, Side::Shadow) && state.writes_left == 0 && !state.late[Side::Source]
        }));
        if stragglers > 0 {
            properties
                .push(Property::sometimes("a change comes after the switch and is told", |_: &Self, state: &State| {
                    rests_at(state, Side::Shadow) && state.late[Side::Source]
                }));
        }
        if faults > 0 {
            properties.push(Property::sometimes(
                "a cutover is given up, and all is drained",
                |model: &Self, state: &State| {
                    rests_at(state, Side::Source) && state.cutovers_left < model.bounds.cutovers && is_equal(state)
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
                |_: &Self, state: &State| {
                    rests_at(state, Side::Source) && state.stragglers_left == 0 && is_equal(state)
                },
            ));
        }
        if faults > 0 && cutovers > 1 {
            properties.push(Property::sometimes("a second cutover switches", |_: &Self, state: &State| {
                rests_at(state, Side::Shadow) && state.cutovers_left == 0
            }));
        }
        if ends > 0 {
            properties.push(Property::sometimes("a successor switches", |_: &Self, state: &State| {
                rests_at(state, Side::Shadow)
                    && state.epoch > 1
                    && state.holder.is_some_and(|holder| holder.epoch == state.epoch)
            }));
            properties.push(Property::sometimes("a dead holder's phase is under way", |_: &Self, state: &State| {
                state.messages.all().iter().any(|message| message.epoch < state.entry.epoch)
            }));
        }
    }

    fn seen_of_walks_back(self, properties: &mut Vec<Property<Self>>) {
        let Bounds { cutovers, rollbacks, faults, .. } = self.bounds;
        if rollbacks > 0 {
            properties.push(Property::sometimes(
                "what was written to the shadow is found at the source",
                |_: &Self, state: &State| {
                    rests_at(state, Side::Source) && is_equal(state) && state.written[Side::Shadow] > 0
                },
            ));
        }
        if rollbacks > 0 && faults > 0 {
            properties.push(Property::sometimes("a walk back is given up", |model: &Self, state: &State| {
                rests_at(state, Side::Shadow) && state.rollbacks_left < model.bounds.rollbacks
            }));
        }
        if rollbacks > 0 && cutovers > 1 {
            properties.push(Property::sometimes(
                "what was rolled back is switched again",
                |_: &Self, state: &State| {
                    rests_at(state, Side::Shadow) && state.rollbacks_left == 0 && state.cutovers_left == 0
                },
            ));
        }
    }
}
