//! Shadow keys that two items can claim: "absent, or mine".
//!
//! Two source items each claim a shadow key by an attribute that changes. Their changes come by two shards that are read
//! independently, as old and new image; a change that moves an item is a deletion at the old place and a put at the new one.
//!
//! What is left out, besides what `replication` leaves out:
//!
//! - Lineage, trimmed records, images that the shadow refuses for good: `replication`.
//! - One item is read at a time, copied or again, and each copied item is a segment of its own.
//! - What a re-read offers has no unit of progress: what is not durable of it is read again, since its collision is.

mod action;
mod slots;
mod state;
mod step;

use stateright::{Model, Property};

pub use self::action::Action;
use self::state::{Held, ITEMS, Item, Process, Stage, State, Why, bit};
use crate::model::check::{Story, rests};
use crate::model::few::{Few, byte};
use crate::model::rules::Guards;

/// How much may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Writes of the application.
    pub writes: u8,
    /// Requests that are given up.
    pub faults: u8,
    /// Crashes.
    pub crashes: u8,
    /// Where the migration begins.
    pub begin: Begin,
}

/// Where the migration begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Begin {
    /// A was copied; there is no B.
    #[default]
    One,
    /// A and B claim one place, A has it, and B is in quarantine.
    Collision,
    /// As [`Begin::Collision`], but nothing was copied yet.
    Copy,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    pub bounds: Bounds,
    pub guards: Guards,
}

impl Story for Ownership {
    fn title(&self) -> String {
        let Bounds { writes, faults, crashes, begin } = self.bounds;
        format!("ownership ({writes} writes, {faults} abandoned, {crashes} crashes, begins with {begin:?})")
    }
}

impl Model for Ownership {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { writes, faults, crashes, begin } = self.bounds;
        let (both, copy) = (begin != Begin::One, begin == Begin::Copy);
        let mut state = State {
            source: Default::default(),
            log: Few::default(),
            shadow: Default::default(),
            collisions: Default::default(),
            passed: Default::default(),
            copied: 0,
            abandoned: Few::default(),
            process: Some(Process::default()),
            writes_left: writes,
            faults_left: faults,
            crashes_left: crashes,
        };
        state.source[0] = Item { image: 1, place: 0 };
        if both {
            state.source[1] = Item { image: 2, place: 0 };
        }
        if !copy {
            state.copied = 0b11;
            state.shadow[0] = Held { image: 1, owner: 0 };
            state.collisions[0] = if both { bit(1) } else { 0 };
        }
        if let Some(process) = &mut state.process {
            process.copied = state.copied;
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.outside(state, actions);
        match &state.process {
            Some(process) => Self::inside(state, process, actions),
            None if state.abandoned.is_empty() => actions.push(Action::Restart),
            None => {}
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(
            "what is drained is equal, but for the collisions shown",
            |_: &Self, state: &State| !is_drained(state) || is_equal(state),
        )];
        // Without a rule, what is lost by it is the better story.
        if self.guards.without.is_none() {
            let name = "what comes to rest is drained";
            properties
                .push(Property::always(name, |model: &Self, state: &State| !rests(model, state) || is_drained(state)));
            self.seen(&mut properties);
        }
        properties
    }
}

/// Whether the process would say that everything is applied.
fn is_drained(state: &State) -> bool {
    let Some(process) = &state.process else { return false };
    let read = |source: u8| {
        let from = usize::from(process.readers[usize::from(source)]);
        state.log.all().iter().skip(from).all(|change| change.source != source)
    };
    state.copied == 0b11
        && state.abandoned.is_empty()
        && process.wanted == 0
        && process.read.is_none()
        && process.slots.iter().all(|slot| slot.stage == Stage::Free)
        && (0..byte(ITEMS)).all(read)
}

/// Whether each place is held by an item that claims it, as it is now, and all others that claim it are shown, and only they.
fn is_equal(state: &State) -> bool {
    (0..).zip(state.shadow.iter().zip(&state.collisions)).all(|(place, (held, shown))| {
        let claims = |source: u8| state.source[usize::from(source)].claims() == Some(place);
        let holds = |source: u8| {
            held.image != 0 && held.owner == source && held.image == state.source[usize::from(source)].image
        };
        let claimed = (0..byte(ITEMS)).any(claims);
        let told = (0..byte(ITEMS)).all(|source| (*shown & bit(source) != 0) == (claims(source) && !holds(source)));
        told && if claimed { (0..byte(ITEMS)).any(|source| claims(source) && holds(source)) } else { held.image == 0 }
    })
}

impl Ownership {
    fn seen(self, properties: &mut Vec<Property<Self>>) {
        let Bounds { writes, faults, crashes, begin } = self.bounds;
        properties.push(Property::sometimes("all is written and drained", |_: &Self, state: &State| {
            state.writes_left == 0 && is_drained(state)
        }));
        if writes > 1 || begin != Begin::One {
            properties
                .push(Property::sometimes("a collision is shown, and all is drained", |_: &Self, state: &State| {
                    state.collisions != [0; 2] && is_drained(state)
                }));
        }
        if writes > 1 {
            properties.push(Property::sometimes(
                "a freed place is another's, and all is drained",
                |_: &Self, state: &State| {
                    state.shadow[0].owner == 1 && state.source[0].claims().is_none() && is_drained(state)
                },
            ));
            properties.push(Property::sometimes("a change overtakes a re-read", |_: &Self, state: &State| {
                let overtaken = |process: &Process| {
                    process.read.is_some_and(|read| read.overtaken && read.found.is_some() && read.why == Why::Again)
                };
                state.process.as_ref().is_some_and(overtaken)
            }));
        }
        if faults > 0 {
            properties.push(Property::sometimes(
                "a request waits for another's abandoned one",
                |_: &Self, state: &State| {
                    let waits = |process: &Process| process.slots.iter().any(|slot| slot.stage == Stage::Fenced);
                    state.process.as_ref().is_some_and(waits)
                        && state.abandoned.all().iter().any(|request| request.landed)
                },
            ));
        }
        if crashes > 0 {
            properties.push(Property::sometimes("after all crashes, all is drained", |_: &Self, state: &State| {
                state.crashes_left == 0 && is_drained(state)
            }));
        }
    }
}
