//! Two processes and one lease: invariant 6, and the bound from one holder to the next.
//!
//! One item is written again and again; a checkpoint says how many of its records are durable. Holders crash, are paused past
//! their lease, or stop; another one takes over. Writes to the shadow and checkpoints may arrive long after they were sent.
//!
//! What is left out:
//!
//! - The copy, lineage and quarantine: `replication`. One shard and one key show what a wrong checkpoint does.
//! - Clocks. A lease runs out for its holder (`in_time`) and for everybody else at one instant: that a standby waits longer
//!   than the holder believes is arithmetic of `engine::state::lease`. What the holder has in flight then is given up: requests end
//!   before the lease does.
//! - A holder looks at its deadline and sends in one step ([`Rule::SentWhenChecked`]). A process that is stopped between the
//!   two for longer than its lease and the bound sends too late in reality. No lease can prevent that.
//! - A lease that ran out is not renewed any more, although nobody took it.
//! - Claiming the checkpoint is one step, and so is reading it. Checkpoints get no bound: one may arrive however late.

mod action;
mod state;
mod step;

use stateright::{Model, Property};

pub use self::action::Action;
use self::state::{Entry, Lease, Slot, Stage, State};
use crate::model::check::{Story, rests};
use crate::model::few::Few;
use crate::model::rules::Guards;
#[cfg(doc)]
use crate::model::rules::Rule;

/// How much may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Writes of the application.
    pub writes: u8,
    /// Requests that are given up, besides those that a dying holder leaves behind.
    pub faults: u8,
    /// Crashes, pauses past the lease, and stops together.
    pub ends: u8,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    pub bounds: Bounds,
    pub guards: Guards,
}

impl Story for Takeover {
    fn title(&self) -> String {
        let Bounds { writes, faults, ends } = self.bounds;
        format!("takeover ({writes} writes, {faults} abandoned, {ends} crashes, pauses or stops)")
    }
}

impl Model for Takeover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { writes, faults, ends } = self.bounds;
        vec![State {
            written: 0,
            shadow: 0,
            lease: Lease { epoch: 0, free: true, quiet: true },
            entry: Entry::default(),
            abandoned: Few::default(),
            saves: Few::default(),
            processes: [None; 2],
            writes_left: writes,
            faults_left: faults,
            ends_left: ends,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        Self::outside(state, actions);
        for (process, holder) in (0..).zip(&state.processes) {
            match holder {
                Some(holder) => self.inside(state, process, holder, actions),
                None if state.lease.free => actions.push(Action::Take { process, epoch: state.lease.epoch + 1 }),
                None => {}
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always("what is drained is equal", |_: &Self, state: &State| {
            drained(state).is_none() || state.shadow == state.written
        })];
        // Without a rule, what is lost by it is the better story.
        if self.guards.without.is_none() {
            properties.push(Property::always("what comes to rest is drained", |model: &Self, state: &State| {
                !rests(model, state) || drained(state).is_some()
            }));
            properties.push(Property::always("one process at most may write", |_: &Self, state: &State| {
                state.processes.iter().flatten().filter(|holder| holder.in_time).count() <= 1
            }));
            seen(&mut properties);
        }
        properties
    }
}

/// The process that would say that everything is applied, as far as it knows.
fn drained(state: &State) -> Option<usize> {
    state.processes.iter().position(|holder| {
        holder.is_some_and(|holder| {
            let own = state.abandoned.all().iter().any(|request| request.epoch == holder.epoch);
            holder.in_time
                && holder.stage == Stage::Working
                && holder.offered == state.written
                && holder.slot == Slot::Free
                && !own
        })
    })
}

fn seen(properties: &mut Vec<Property<Takeover>>) {
    properties
        .push(Property::sometimes("after a takeover, all is written and drained", |_: &Takeover, state: &State| {
            state.lease.epoch > 1 && state.writes_left == 0 && drained(state).is_some()
        }));
    properties.push(Property::sometimes(
        "an earlier holder's request lands during the wait for it",
        |_: &Takeover, state: &State| {
            let settling = |epoch: u8| {
                state.processes.iter().flatten().any(|holder| holder.epoch == epoch && holder.stage == Stage::Settling)
            };
            state.abandoned.all().iter().any(|request| request.landed && request.epoch < state.lease.epoch)
                && settling(state.lease.epoch)
        },
    ));
    properties.push(Property::sometimes(
        "a checkpoint is under way when its entry is another holder's",
        |_: &Takeover, state: &State| state.saves.all().iter().any(|save| save.epoch < state.entry.epoch),
    ));
    properties.push(Property::sometimes(
        "a holder that does not know it yet was replaced",
        |_: &Takeover, state: &State| {
            state.processes.iter().flatten().any(|holder| !holder.in_time && holder.epoch < state.lease.epoch)
        },
    ));
    properties.push(Property::sometimes(
        "a holder replays an image older than the shadow's",
        |_: &Takeover, state: &State| {
            let older = |slot: Slot| matches!(slot, Slot::Sent(image) if image < state.shadow);
            state.processes.iter().flatten().any(|holder| older(holder.slot))
        },
    ));
    properties.push(Property::sometimes("a lease is given back as quiet, and taken", |_: &Takeover, state: &State| {
        state.lease.quiet && !state.lease.free && state.lease.epoch > 1
    }));
}
