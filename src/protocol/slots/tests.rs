//! Slots against a store that does what the service does to requests: takes part of them, loses replies, lands late.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::testing::key;
use super::*;
use crate::model::{AttributeValue, Item};
use crate::protocol::ledger::Ledger;

const BOUND: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn slots(owned: bool, abandon: Duration) -> Slots {
    Slots::new(Rules { owned, abandon }, Quarantined::default())
}

/// An offer of `version` for shadow key `at`, claimed by `source`; version 0 deletes.
fn offer(at: &str, source: &str, version: u64, lane: Lane, ticket: Ticket) -> Offer {
    let image = (version > 0).then(|| Item::new([("v".to_owned(), AttributeValue::N(version.to_string()))].into()));
    let owner = [("source".to_owned(), AttributeValue::S(source.into()))].into();
    Offer {
        place: Place::Shadow(key(at)),
        effect: Effect::Write(Arc::new(Write { key: key(at), image, owner: Some(Arc::new(owner)) })),
        source: key(source),
        ticket,
        lane,
        memory_bytes: 10,
        stored_bytes: 10,
    }
}

/// Tickets in the order of their offers.
struct Tickets(Ledger<u64>, u64);

impl Tickets {
    fn next(&mut self) -> Ticket {
        self.1 += 1;
        let unit = self.0.open(self.1);
        self.0.add(unit);
        self.0.close(unit);
        Ticket { reader: 0, unit }
    }
}

fn tickets() -> Tickets {
    Tickets(Ledger::default(), 0)
}

fn version(write: &Write) -> u64 {
    match write.image.as_ref().and_then(|image| image.get("v")) {
        Some(AttributeValue::N(text)) => text.parse().unwrap(),
        _ => 0,
    }
}

fn sent(batch: &Batch) -> Vec<u64> {
    batch.writes.iter().map(|write| version(write)).collect()
}

fn take(slots: &mut Slots, now: Moment) -> Batch {
    slots.take(now).unwrap().expect("something to send")
}

#[test]
fn only_one_write_per_key_is_in_flight_and_pending_ones_coalesce() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let first = take(&mut slots, at(0));
    for version in 2..=5 {
        slots.offer(offer("k", "k", version, Lane::Tail, tickets.next()), at(1));
    }
    assert!(slots.take(at(1)).unwrap().is_none(), "the key is in flight");
    slots.processed(&first, &[], at(2));
    assert_eq!(slots.drain().settled.len(), 1);
    let second = take(&mut slots, at(2));
    assert_eq!(sent(&second), [5]);
    slots.processed(&second, &[], at(3));
    assert_eq!(slots.drain().settled.len(), 4, "the merged ones settle with the one that took their place");
    assert_eq!(slots.counts().coalesced, 3);
}

#[test]
fn what_was_not_processed_is_sent_again_before_a_later_image() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let batch = take(&mut slots, at(0));
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(0));
    slots.processed(&batch, &[key("k")], at(1));
    assert!(slots.drain().settled.is_empty());
    assert_eq!(sent(&take(&mut slots, at(1))), [1]);
}

#[test]
fn after_an_abandoned_request_the_same_image_goes_again_and_a_different_one_waits_for_the_bound() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let batch = take(&mut slots, at(0));
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(0));
    slots.abandoned(&batch, at(5));
    let again = take(&mut slots, at(5));
    assert_eq!(sent(&again), [1]);
    slots.processed(&again, &[], at(6));
    assert!(slots.take(at(14)).unwrap().is_none());
    assert_eq!(slots.next_release(), Some(at(15)));
    assert_eq!(sent(&take(&mut slots, at(15))), [2]);
}

#[test]
fn the_fence_outlives_the_slot() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let batch = take(&mut slots, at(0));
    slots.abandoned(&batch, at(0));
    let again = take(&mut slots, at(0));
    slots.processed(&again, &[], at(1));
    assert!(!slots.is_quiet(at(9)), "the abandoned request may still land");
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(2));
    assert!(slots.take(at(9)).unwrap().is_none());
    assert_eq!(sent(&take(&mut slots, at(10))), [2]);
}

#[test]
fn changes_go_before_copied_images_and_take_their_place() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for name in ["a", "b"] {
        slots.offer(offer(name, name, 1, Lane::Copy, tickets.next()), at(0));
    }
    slots.offer(offer("b", "b", 2, Lane::Tail, tickets.next()), at(0));
    assert_eq!(sent(&take(&mut slots, at(0))), [2, 1]);
    assert_eq!(slots.counts().superseded, 1);
}

#[test]
fn a_refused_batch_is_halved_until_the_culprit_stands_alone_in_quarantine() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for name in 0..25u64 {
        slots.offer(offer(&name.to_string(), &name.to_string(), name + 1, Lane::Copy, tickets.next()), at(0));
    }
    let (mut requests, mut applied) = (0, Vec::new());
    while let Some(batch) = slots.take(at(0)).unwrap() {
        requests += 1;
        if sent(&batch).contains(&8) {
            slots.refused(&batch, "the key type is wrong");
        } else {
            applied.extend(sent(&batch));
            slots.processed(&batch, &[], at(0));
        }
    }
    assert_eq!(applied.len(), 24);
    assert!(requests <= 11, "{requests}");
    let outcomes = slots.drain();
    assert_eq!(outcomes.settled.len(), 24, "the refused one waits for its entry");
    let [recording] = outcomes.recordings.as_slice() else { panic!("{:?}", outcomes.recordings) };
    slots.recorded(recording, at(1));
    assert_eq!(slots.drain().settled.len(), 1);
    assert_eq!(slots.quarantined().len(), 1);
}

#[test]
fn a_later_valid_image_clears_the_entry_before_it_settles() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let batch = take(&mut slots, at(0));
    slots.refused(&batch, "no");
    let recording = slots.drain().recordings.pop().unwrap();
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(0));
    assert!(slots.take(at(0)).unwrap().is_none(), "nothing goes before the entry is stored");
    slots.recorded(&recording, at(0));
    let batch = take(&mut slots, at(0));
    slots.drain();
    slots.processed(&batch, &[], at(1));
    let outcomes = slots.drain();
    assert!(outcomes.settled.is_empty());
    assert_eq!(outcomes.recordings[0].mark, Mark::Clear);
    slots.recorded(&outcomes.recordings[0], at(1));
    assert_eq!(slots.drain().settled.len(), 1);
    assert!(slots.quarantined().is_empty());
}

#[test]
fn what_the_transform_refuses_goes_to_quarantine_without_a_request() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    let refuse = |effect, ticket| Offer {
        place: Place::Unplaced(key("s")),
        effect,
        source: key("s"),
        ticket,
        lane: Lane::Tail,
        memory_bytes: 0,
        stored_bytes: 0,
    };
    slots.offer(refuse(Effect::Refuse(Reason::Transform, "no key".into()), tickets.next()), at(0));
    assert!(slots.take(at(0)).unwrap().is_none());
    let recording = slots.drain().recordings.pop().unwrap();
    slots.recorded(&recording, at(0));
    assert!(slots.is_unplaced(&key("s")));
    slots.offer(refuse(Effect::Accept, tickets.next()), at(0));
    let recording = slots.drain().recordings.pop().unwrap();
    assert_eq!(recording.mark, Mark::Clear);
    slots.recorded(&recording, at(0));
    assert!(!slots.is_unplaced(&key("s")));
}

#[test]
fn owned_slots_do_not_merge_two_source_items_and_a_freed_key_asks_for_the_other() {
    let (mut slots, mut tickets) = (slots(true, BOUND), tickets());
    slots.offer(offer("k", "a", 1, Lane::Tail, tickets.next()), at(0));
    slots.offer(offer("k", "b", 2, Lane::Tail, tickets.next()), at(0));
    slots.offer(offer("k", "a", 0, Lane::Tail, tickets.next()), at(0));
    let put_a = take(&mut slots, at(0));
    slots.owned(&put_a, Held::Mine, at(0));
    let put_b = take(&mut slots, at(0));
    assert_eq!(sent(&put_b), [2]);
    slots.owned(&put_b, Held::Anothers, at(0));
    let recording = slots.drain().recordings.pop().unwrap();
    assert!(matches!(recording.mark, Mark::Set { reason: Reason::Collision, .. }));
    slots.recorded(&recording, at(0));
    let delete_a = take(&mut slots, at(0));
    slots.owned(&delete_a, Held::Mine, at(0));
    assert_eq!(slots.drain().reread, [key("b")]);
}

#[test]
fn a_batch_holds_no_more_than_the_service_takes() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for name in 0..30 {
        let mut large = offer(&name.to_string(), "s", 1, Lane::Copy, tickets.next());
        large.stored_bytes = 390 * 1024;
        slots.offer(large, at(0));
    }
    assert_eq!(take(&mut slots, at(0)).writes.len(), 10);
}

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
            Step::Send => flying.extend(slots.take(now).unwrap()),
            Step::Succeed(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    store.apply(writes(&batch));
                    slots.processed(&batch, &[], now);
                }
            }
            Step::Partly(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    let left = batch.writes[0].key.clone();
                    store.apply(writes(&batch).into_iter().skip(1));
                    slots.processed(&batch, &[left], now);
                }
            }
            Step::Throttle(nth) => {
                if let Some(batch) = pick(&mut flying, nth) {
                    slots.throttled(&batch);
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
        slots.processed(&batch, &[], at(store.now));
    }
    while !slots.is_quiet(at(store.now)) {
        while let Some(batch) = slots.take(at(store.now)).unwrap() {
            store.apply(writes(&batch));
            slots.processed(&batch, &[], at(store.now));
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
