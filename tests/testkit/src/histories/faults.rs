//! What becomes of requests: by chance, within what the protocol assumes of the service.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use shadowtable::ports::Fault;

use crate::fakes::{Call, Fate, World};

/// A class of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A write to the shadow is given up, and lands within the abandonment bound.
    LateWrite,
    /// A write to the shadow is never answered, and lands within the abandonment bound when it was given up.
    HungWrite,
    /// A write to the shadow takes effect, and its reply is lost.
    LostReply,
    /// A write to the shadow never arrives.
    LostWrite,
    /// A write to the shadow is sent only once its connection is made.
    SlowConnection,
    /// Some writes of a batch are not done.
    Unprocessed,
    /// A write to the shadow is throttled.
    ThrottledWrite,
    /// A write to the state table is given up, and lands within seconds.
    LateEntry,
    /// A write to the state table lands when a lease may be over.
    VeryLateEntry,
    /// A write to the state table takes effect, and its reply is lost.
    LostEntryReply,
    /// A write to the state table is throttled.
    ThrottledEntry,
    /// A write to the state table takes effect, and its reply takes seconds.
    SlowEntry,
    /// Reading the state table, and looking at tables, is throttled or takes seconds.
    StateRead,
    /// Reading is throttled.
    ThrottledRead,
    /// Reading takes seconds.
    SlowRead,
    /// A page of records is empty though there are some.
    EmptyPage,
    /// An iterator expires.
    ExpiredIterator,
    /// The operator's programs fail, succeed and seem to hang, or take effect within the bound when they were given up.
    Program,
    /// The pointer's move fails, or its reply is lost.
    Pointer,
}

impl Class {
    pub const ALL: [Self; 19] = [
        Self::LateWrite,
        Self::HungWrite,
        Self::LostReply,
        Self::LostWrite,
        Self::SlowConnection,
        Self::Unprocessed,
        Self::ThrottledWrite,
        Self::LateEntry,
        Self::VeryLateEntry,
        Self::LostEntryReply,
        Self::ThrottledEntry,
        Self::SlowEntry,
        Self::StateRead,
        Self::ThrottledRead,
        Self::SlowRead,
        Self::EmptyPage,
        Self::ExpiredIterator,
        Self::Program,
        Self::Pointer,
    ];
}

/// How long after a request was given up it lands at most: within the bound of 10 s.
const LANDS_MILLIS: u64 = 9_900;
/// Longer than a lease of 15 s.
const VERY_LATE_MILLIS: u64 = 60_000;

/// Lets these classes of faults happen from now on. What becomes of a request depends on the seed, on its process and
/// on how many that process has sent: leaving a step out changes little of what comes before it.
pub fn allow(world: &World, seed: u64, classes: BTreeSet<Class>) {
    // By process: how many requests it has sent, and whether its last page of records was kept from it.
    let mut sent: HashMap<u32, (u64, bool)> = HashMap::new();
    world.script(move |process, call| {
        let (number, kept) = sent.entry(process).or_default();
        *number += 1;
        let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u64::from(process) << 40) ^ *number;
        let mut chance = fastrand::Rng::with_seed(mixed);
        match call {
            // That empty pages do not go on for seconds while there are records is assumed of the service.
            Call::Records if *kept => {
                *kept = false;
                Fate::answered()
            }
            Call::Records => {
                *kept = classes.contains(&Class::EmptyPage) && chance.u32(0..4) == 0;
                if *kept { Fate::sparing(1) } else { fate(call, &classes, &mut chance) }
            }
            _ => fate(call, &classes, &mut chance),
        }
    });
}

fn fate(call: &Call<'_>, classes: &BTreeSet<Class>, chance: &mut fastrand::Rng) -> Fate {
    let die = chance.u32(0..100);
    let late = Fate::late(Duration::from_millis(chance.u64(0..LANDS_MILLIS)));
    let (class, fate) = match (call, die) {
        (Call::Write(_), 0..8) => (Class::LateWrite, late),
        (Call::Write(_), 8..14) => (Class::LostReply, Fate::reply_lost()),
        (Call::Write(_), 14..20) => (Class::ThrottledWrite, Fate::throttled()),
        (Call::Write(_), 20..30) => (Class::Unprocessed, Fate::sparing(chance.u32(..))),
        (Call::Write(_), 30..33) => (Class::LostWrite, Fate::lost()),
        (Call::Write(_), 33..41) => {
            (Class::SlowConnection, Fate::connecting(Duration::from_millis(chance.u64(0..3_000))))
        }
        (Call::Write(_), 41..45) => (Class::HungWrite, Fate::hung(Duration::from_millis(chance.u64(0..LANDS_MILLIS)))),
        (Call::StatePut(_) | Call::StateDelete(_), 0..3) => (Class::LateEntry, late),
        (Call::StatePut(_) | Call::StateDelete(_), 3..6) => (Class::LostEntryReply, Fate::reply_lost()),
        (Call::StatePut(_) | Call::StateDelete(_), 6..9) => (Class::ThrottledEntry, Fate::throttled()),
        // An entry of quarantine is created and deleted again: that a request for it lands within the bound is assumed.
        (Call::StatePut(_) | Call::StateDelete(_), 9..11) if !is_quarantine(call) => {
            (Class::VeryLateEntry, Fate::late(Duration::from_millis(chance.u64(LANDS_MILLIS..VERY_LATE_MILLIS))))
        }
        (Call::StatePut(_) | Call::StateDelete(_), 11..25) => {
            (Class::SlowEntry, Fate::slow_reply(Duration::from_millis(chance.u64(0..3_000))))
        }
        (Call::StateGet(_) | Call::StateList(_) | Call::Describe | Call::Create, 0..4) => {
            (Class::StateRead, Fate::throttled())
        }
        (Call::StateGet(_) | Call::StateList(_) | Call::Describe | Call::Create, 4..8) => {
            (Class::StateRead, Fate::slow_reply(Duration::from_millis(chance.u64(0..3_000))))
        }
        (Call::Records, 40..42) => (Class::ExpiredIterator, Fate::fault(Fault::IteratorExpired)),
        (Call::Records | Call::Iterator | Call::Shards | Call::Scan | Call::Get, 20..25) => {
            (Class::ThrottledRead, Fate::throttled())
        }
        (Call::Scan | Call::Get | Call::Records, 25..40) => {
            (Class::SlowRead, Fate::slow_reply(Duration::from_millis(chance.u64(0..3_000))))
        }
        (Call::Program(_), 0..15) => (Class::Program, Fate::throttled()),
        (Call::Program(_), 15..25) => (Class::Program, Fate::reply_lost()),
        (Call::Program(_), 25..32) => (Class::Program, late),
        (Call::Point | Call::Pointer, 0..15) => (Class::Pointer, Fate::throttled()),
        (Call::Point, 15..30) => (Class::Pointer, Fate::reply_lost()),
        (Call::Point, 30..40) => (Class::Pointer, late),
        _ => return Fate::answered(),
    };
    if classes.contains(&class) { fate } else { Fate::answered() }
}

fn is_quarantine(call: &Call<'_>) -> bool {
    let key = match call {
        Call::StatePut(entry) => &entry.key,
        Call::StateDelete(key) => key,
        _ => return false,
    };
    key.sort.starts_with("QUARANTINE#")
}
