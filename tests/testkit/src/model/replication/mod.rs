//! Copy beside tail through one applier: invariants 1 to 5 and 8.
//!
//! One process at a time copies a table of a few items, tails a stream whose shards roll and split, and writes the shadow
//! through one slot per key, while the application writes on. Requests may be given up and land late, the process may crash
//! and is restarted, records may be trimmed.
//!
//! What is left out, and why nothing is lost by it:
//!
//! - Source key and shadow key are one: where they are not, see `ownership`.
//! - A page is one item, of one segment. A page of more is as many pages that are begun together.
//! - An operation is sent as soon as it may be. That it waits in its lane first, or is refused for the moment and sent again,
//!   looks from outside like a request that takes longer. Batches are as many requests.
//! - What is stored in the state table is stored at once: checkpoints that land late are in `takeover`.
//! - A restart waits until no request of the dead process can land: that it must is in `takeover`.
//! - Children appear as soon as their parent is closed, and every listing shows all shards. The end of a closed shard is seen
//!   once its last record was offered.
//! - A trimmed record that is unread is always noticed before it is read over (invariant 8): by the service's word, or by
//!   the rule of 23 hours, whose clocks are not modelled. This goes for what is from before the pin, too, once the first record
//!   of its shard was offered: that record may have kept a copied image out which the next one would have mended.
//! - A restarted process reads the pinned shard from its very beginning; the code leaves out what is 15 minutes older than
//!   the pin.

mod action;
mod claims;
mod process;
mod state;
mod step;

use stateright::{Model, Property};

pub use self::action::Action;
use self::state::{ABSENT, Image, KEYS, NONE, Process, Record, Shard, State};
use crate::model::check::{Story, rests};
use crate::model::few::Few;
use crate::model::rules::Guards;

/// What the items are before the pin.
const INITIAL: [Image; KEYS] = [1, 3, ABSENT];
/// The number of the application's first write.
const FIRST_WRITE: Image = 4;

/// How much may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Items.
    pub keys: u8,
    /// Writes of the application after the pin.
    pub writes: u8,
    /// How many of them the shadow may refuse for good.
    pub refusals: u8,
    /// Shards that roll or split.
    pub rolls: u8,
    /// Requests that are given up.
    pub faults: u8,
    /// Crashes.
    pub crashes: u8,
    /// Records that are trimmed.
    pub trims: u8,
    /// Keys whose changes are remembered while a page is read.
    pub overtaken: u8,
    /// Records of the first item in the pinned shard, from before the pin.
    pub history: u8,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Replication {
    pub bounds: Bounds,
    pub guards: Guards,
}

impl Story for Replication {
    fn title(&self) -> String {
        let Bounds { keys, writes, refusals, rolls, faults, crashes, trims, overtaken, history } = self.bounds;
        format!(
            "replication ({keys} keys, {writes} writes, {refusals} refused, {rolls} rolls, {faults} abandoned, {crashes} \
             crashes, {trims} trims, {overtaken} remembered, {history} records before the pin)"
        )
    }
}

impl Model for Replication {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { keys, history, .. } = self.bounds;
        let mut state = State {
            source: [ABSENT; KEYS],
            log: Few::default(),
            shards: Few::default(),
            trimmed: 0,
            shadow: [ABSENT; KEYS],
            quarantine: 0,
            cursor: 0,
            lost: false,
            abandoned: Few::default(),
            process: None,
            ever_settled: 0,
            writes_left: self.bounds.writes,
            refusals_left: self.bounds.refusals,
            rolls_left: self.bounds.rolls,
            faults_left: self.bounds.faults,
            crashes_left: self.bounds.crashes,
            trims_left: self.bounds.trims,
        };
        state.shards.push(Shard { parent: NONE, keys: (1 << keys) - 1, ..Shard::default() });
        for key in 0..keys {
            state.source[usize::from(key)] = INITIAL[usize::from(key)];
        }
        for number in 1..=history {
            state.source[0] = number;
            state.log.push(Record { shard: 0, key: 0, image: number });
        }
        let readers = [history, 0, 0, 0, 0];
        state.process = Some(Process { pinned: true, readers, ..Process::default() });
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.lost {
            return;
        }
        self.outside(state, actions);
        match &state.process {
            Some(process) => self.inside(state, process, actions),
            None if state.abandoned.is_empty() => actions.push(Action::Restart),
            None => {}
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(
                "what is drained is equal, but for what is in quarantine",
                |model: &Self, state: &State| !model.is_drained(state) || model.is_equal(state),
            ),
            Property::always("a reseed is asked for only when history was lost", |_: &Self, state: &State| {
                !state.lost || state.trimmed > 0
            }),
        ];
        // Without a rule, what comes of it is the better story.
        if self.guards.without.is_none() {
            let name = "what comes to rest is drained, or needs a reseed";
            properties.push(Property::always(name, |model: &Self, state: &State| {
                !rests(model, state) || model.is_drained(state) || state.lost
            }));
            let name = "what checkpoints and cursors pass was durable";
            properties.push(Property::always(name, Self::checkpoints_are_true));
            self.seen(&mut properties);
        }
        properties
    }
}
