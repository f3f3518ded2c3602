//! Random histories of offers and outcomes, against a store that does what the service does to requests: takes part of them, loses
//! replies, lands late.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::key;
use super::*;

/// What a random history does next.
#[derive(Clone, Debug)]
enum Step {
    Offer {
        key: u8,
        delete: bool,
        copied: bool,
    },
    Send,
    /// Outcome of the n-th request in flight.
    Succeed(u8),
    Partly(u8),
    Throttle(u8),
    /// A partition takes no more.
    Hot(u8),
    /// The reply is lost; the request lands after so many seconds, or never.
    Lose(u8, Option<u8>),
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..4, any::<bool>(), any::<bool>()).prop_map(|(key, delete, copied)| Step::Offer { key, delete, copied }),
        4 => Just(Step::Send),
        3 => (0u8..8).prop_map(Step::Succeed),
        1 => (0u8..8).prop_map(Step::Partly),
        1 => (0u8..8).prop_map(Step::Throttle),
        1 => (0u8..8).prop_map(Step::Hot),
        2 => (0u8..8, proptest::option::of(0u8..10)).prop_map(|(nth, late)| Step::Lose(nth, late)),
        2 => (0u8..6).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A shadow table whose abandoned requests land late.
#[derive(Default)]
struct Store {
    now: u64,
    items: BTreeMap<Key, u64>,
    late: Vec<(u64, Vec<(Key, u64)>)>,
}

impl Store {
    fn apply(&mut self, writes: impl IntoIterator<Item = (Key, u64)>) {
        for (key, version) in writes {
            if version == 0 {
                self.items.remove(&key)
            } else {
                self.items.insert(key, version)
            };
        }
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            let late = std::mem::take(&mut self.late).into_iter();
            let (due, later): (Vec<_>, Vec<_>) = late.partition(|(when, _)| *when <= self.now);
            self.late = later;
            for (_, writes) in due {
                self.apply(writes);
            }
        }
    }
}

fn writes(batch: &Batch) -> Vec<(Key, u64)> {
    batch.writes.iter().map(|write| (write.key.clone(), version(write))).collect()
}

/// Runs the history, then drains; returns what the shadow holds and what it should hold.
fn run(history: &[Step], bound: Duration) -> (BTreeMap<Key, u64>, BTreeMap<Key, u64>) {
    let (mut slots, mut tickets, mut store) = (slots(false, bound), tickets(), Store::default());
    let (mut flying, mut wanted, mut offered) = (Vec::<Batch>::new(), HashMap::new(), 0);
    let pick = |flying: &mut Vec<Batch>, nth: u8| {
        (!flying.is_empty()).then(|| flying.swap_remove(usize::from(nth) % flying.len()))
    };
    for step in history {
        let now = at(store.now);
        match *step {
            Step::Offer { key: name, delete, copied } => {
                offered += 1;
                let version = if delete { 0 } else { offered };
                wanted.insert(key(&name.to_string()), version);
                let lane = if copied { Lane::Copy } else { Lane::Tail };
                slots.offer(offer(&name.to_string(), &name.to_string(), version, lane, tickets.next()), now);
            }
            Step::Send => flying.extend(try_take(&mut slots, now)),
            Step::Succeed(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    store.apply(writes(&batch));
                    slots.processed(&batch, &[], CHANCE, now);
                }
            }
            Step::Partly(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    let left = batch.writes[0].key.clone();
                    store.apply(writes(&batch).into_iter().skip(1));
                    slots.processed(&batch, &[left], CHANCE, now);
                }
            }
            Step::Throttle(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    slots.throttled(&batch, now);
                }
            }
            Step::Hot(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    slots.partition_throttled(&batch, CHANCE, now);
                }
            }
            Step::Lose(nth, late) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    if let Some(late) = late {
                        store.late.push((store.now + u64::from(late), writes(&batch)));
                    }
                    slots.abandoned(&batch, now);
                }
            }
            Step::Wait(seconds) => store.wait(u64::from(seconds)),
        }
    }
    for batch in flying {
        store.apply(writes(&batch));
        slots.processed(&batch, &[], CHANCE, at(store.now));
    }
    while !slots.is_quiet(at(store.now)) {
        while let Some(batch) = try_take(&mut slots, at(store.now)) {
            store.apply(writes(&batch));
            slots.processed(&batch, &[], CHANCE, at(store.now));
        }
        store.wait(1);
    }
    let settled = slots.drain().settled;
    for ticket in settled {
        tickets.0.settle(ticket.unit);
    }
    assert!(tickets.0.is_settled(), "everything offered is settled in the end");
    let wanted = wanted.into_iter().filter(|&(_, version)| version > 0).collect();
    (store.items, wanted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_to_requests_the_shadow_ends_with_what_was_offered_last(history in steps()) {
        let (found, wanted) = run(&history, BOUND);
        prop_assert_eq!(found, wanted);
    }
}

#[test]
fn without_the_bound_an_abandoned_request_brings_an_old_image_back() {
    let history = [
        Step::Offer { key: 0, delete: false, copied: false },
        Step::Send,
        Step::Lose(0, Some(8)),
        Step::Send,
        Step::Succeed(0),
        Step::Offer { key: 0, delete: true, copied: false },
        Step::Send,
        Step::Succeed(0),
        Step::Wait(9),
    ];
    let (found, wanted) = run(&history, Duration::ZERO);
    assert_ne!(found, wanted, "the rule is what keeps it out");
    let (found, wanted) = run(&history, BOUND);
    assert_eq!(found, wanted);
}
