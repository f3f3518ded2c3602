//! Slots, rule by rule.

mod histories;

use std::sync::Arc;
use std::time::Duration;

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

/// All may be sent.
const ALL: Admission = Admission { changes: true, copied: true, again: true, units: f64::INFINITY };

/// What back-off is spread by: the longest waits.
const CHANCE: f64 = 1.0;

fn taken(slots: &mut Slots, admitted: Admission, now: Moment) -> Option<Batch> {
    match slots.take(admitted, now).unwrap() {
        Taken::Batch(batch) => Some(batch),
        Taken::TooDear(_) | Taken::Nothing => None,
    }
}

fn try_take(slots: &mut Slots, now: Moment) -> Option<Batch> {
    taken(slots, ALL, now)
}

fn take(slots: &mut Slots, now: Moment) -> Batch {
    try_take(slots, now).expect("something to send")
}

fn at_millis(millis: u64) -> Moment {
    Moment(Duration::from_millis(millis))
}

#[test]
fn only_one_write_per_key_is_in_flight_and_pending_ones_coalesce() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let first = take(&mut slots, at(0));
    for version in 2..=5 {
        slots.offer(offer("k", "k", version, Lane::Tail, tickets.next()), at(1));
    }
    assert!(try_take(&mut slots, at(1)).is_none(), "the key is in flight");
    slots.processed(&first, &[], CHANCE, at(2));
    assert_eq!(slots.drain().settled.len(), 1);
    let second = take(&mut slots, at(2));
    assert_eq!(sent(&second), [5]);
    slots.processed(&second, &[], CHANCE, at(3));
    assert_eq!(slots.drain().settled.len(), 4, "the merged ones settle with the one that took their place");
    assert_eq!(slots.counts().coalesced, 3);
}

#[test]
fn readers_take_turns() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for reader in [1, 2, 3] {
        for item in 0..30 {
            let (name, ticket) = (format!("{reader}-{item}"), Ticket { reader, ..tickets.next() });
            slots.offer(offer(&name, &name, u64::from(reader), Lane::Copy, ticket), at(0));
        }
    }
    let first = sent(&take(&mut slots, at(0)));
    assert_eq!(first[..6], [1, 2, 3, 1, 2, 3], "what one page brings may all go to one partition");
    let mut all = first;
    while let Some(batch) = try_take(&mut slots, at(0)) {
        all.extend(sent(&batch));
    }
    assert_eq!(all.len(), 90);
}

#[test]
fn what_was_not_processed_is_sent_again_before_a_later_image() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let batch = take(&mut slots, at(0));
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(0));
    slots.processed(&batch, &[key("k")], CHANCE, at(1));
    assert!(slots.drain().settled.is_empty());
    assert_eq!(sent(&take(&mut slots, at(2))), [1]);
}

#[test]
fn a_write_that_is_not_taken_delays_its_own_key_only_and_goes_again_alone() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for (name, version) in [("hot", 1), ("a", 2), ("b", 3)] {
        slots.offer(offer(name, name, version, Lane::Tail, tickets.next()), at(0));
    }
    let batch = take(&mut slots, at(0));
    slots.processed(&batch, &[key("hot")], CHANCE, at(0));
    for (name, version) in [("a", 4), ("hot", 5), ("c", 6)] {
        slots.offer(offer(name, name, version, Lane::Tail, tickets.next()), at(0));
    }
    assert_eq!(sent(&take(&mut slots, at(0))), [4, 6], "others go on");
    assert_eq!(slots.next_release(), Some(at_millis(50)));
    let again = take(&mut slots, at_millis(50));
    assert_eq!((sent(&again), again.kind), (vec![1], Kind::Again));
    slots.partition_throttled(&again, CHANCE, at_millis(60));
    assert_eq!(slots.next_release(), Some(at_millis(160)), "it waits longer each time");
    let again = take(&mut slots, at_millis(160));
    slots.processed(&again, &[], CHANCE, at_millis(170));
    assert_eq!(sent(&take(&mut slots, at_millis(170))), [5], "its later image was held back");
}

#[test]
fn back_off_does_not_shorten_the_time_for_which_a_different_image_is_held_back() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("k", "k", 1, Lane::Tail, tickets.next()), at(0));
    let first = take(&mut slots, at(0));
    slots.abandoned(&first, at(0));
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(0));
    let again = take(&mut slots, at(0));
    slots.partition_throttled(&again, CHANCE, at(1));
    let again = take(&mut slots, at(2));
    slots.processed(&again, &[], CHANCE, at(2));
    assert!(try_take(&mut slots, at(9)).is_none(), "the request that was given up may still land");
    assert_eq!(sent(&take(&mut slots, at(10))), [2]);
}

#[test]
fn a_copied_image_that_a_change_waits_behind_is_sent_again_before_other_copies_and_in_its_own_time() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for (name, version) in [("a", 1), ("b", 2)] {
        slots.offer(offer(name, name, version, Lane::Copy, tickets.next()), at(0));
    }
    let batch = take(&mut slots, at(0));
    slots.processed(&batch, &[key("a"), key("b")], CHANCE, at(0));
    slots.offer(offer("b", "b", 3, Lane::Tail, tickets.next()), at(0));
    assert!(try_take(&mut slots, at_millis(49)).is_none());
    assert_eq!(sent(&take(&mut slots, at_millis(50))), [2]);
    assert_eq!(sent(&take(&mut slots, at_millis(50))), [1]);
}

#[test]
fn a_group_that_waits_already_gives_up_what_a_change_waits_behind() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for (name, version) in [("a", 1), ("b", 2), ("c", 3)] {
        slots.offer(offer(name, name, version, Lane::Copy, tickets.next()), at(0));
    }
    let batch = take(&mut slots, at(0));
    slots.throttled(&batch, at(0));
    let none = Admission { changes: false, copied: false, again: false, units: 0.0 };
    assert!(taken(&mut slots, none, at(0)).is_none(), "it is due and not admitted");
    slots.offer(offer("b", "b", 4, Lane::Tail, tickets.next()), at(0));
    assert_eq!(sent(&take(&mut slots, at(0))), [2]);
    assert_eq!(sent(&take(&mut slots, at(0))), [1, 3]);
    assert!(try_take(&mut slots, at(1)).is_none());
}

#[test]
fn what_is_sent_again_does_not_take_the_place_of_what_is_not() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    slots.offer(offer("a", "a", 1, Lane::Tail, tickets.next()), at(0));
    let batch = take(&mut slots, at(0));
    slots.throttled(&batch, at(0));
    slots.offer(offer("b", "b", 2, Lane::Copy, tickets.next()), at(0));
    assert_eq!(sent(&taken(&mut slots, Admission { again: false, ..ALL }, at(0)).unwrap()), [2]);
    assert!(taken(&mut slots, Admission { again: false, ..ALL }, at(0)).is_none());
    assert_eq!(sent(&taken(&mut slots, Admission { changes: false, copied: false, ..ALL }, at(0)).unwrap()), [1]);
}

#[test]
fn a_copied_image_waits_until_its_units_are_saved_up_and_a_change_does_not() {
    let (mut slots, mut tickets) = (slots(false, BOUND), tickets());
    for name in 0..6 {
        let mut large = offer(&name.to_string(), "s", 1, Lane::Copy, tickets.next());
        large.stored_bytes = 98 * 1024;
        slots.offer(large, at(0));
    }
    let left = |units| Admission { units, ..ALL };
    assert!(matches!(slots.take(left(10.0), at(0)).unwrap(), Taken::TooDear(units) if (units - 98.0).abs() < 1e-9));
    slots.offer(offer("change", "c", 2, Lane::Tail, tickets.next()), at(0));
    let batch = taken(&mut slots, left(10.0), at(0)).unwrap();
    assert_eq!(sent(&batch), [2], "no copied image joins it for which the budget has nothing");
    assert!(matches!(slots.take(left(97.0), at(0)).unwrap(), Taken::TooDear(_)));
    assert_eq!(taken(&mut slots, left(200.0), at(0)).unwrap().writes.len(), 2, "what it has is spent, and no more");
    slots.offer(offer("late", "l", 3, Lane::Tail, tickets.next()), at(0));
    assert!(matches!(slots.take(left(-1.0), at(0)).unwrap(), Taken::TooDear(units) if units.abs() < 1e-9));
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
    slots.processed(&again, &[], CHANCE, at(6));
    assert!(try_take(&mut slots, at(14)).is_none());
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
    slots.processed(&again, &[], CHANCE, at(1));
    assert!(!slots.is_quiet(at(9)), "the abandoned request may still land");
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(2));
    assert!(try_take(&mut slots, at(9)).is_none());
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
    while let Some(batch) = try_take(&mut slots, at(0)) {
        requests += 1;
        if sent(&batch).contains(&8) {
            slots.refused(&batch, "the key type is wrong", at(0));
        } else {
            applied.extend(sent(&batch));
            slots.processed(&batch, &[], CHANCE, at(0));
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
    slots.refused(&batch, "no", at(0));
    let recording = slots.drain().recordings.pop().unwrap();
    slots.offer(offer("k", "k", 2, Lane::Tail, tickets.next()), at(0));
    assert!(try_take(&mut slots, at(0)).is_none(), "nothing goes before the entry is stored");
    slots.recorded(&recording, at(0));
    let batch = take(&mut slots, at(0));
    slots.drain();
    slots.processed(&batch, &[], CHANCE, at(1));
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
    assert!(try_take(&mut slots, at(0)).is_none());
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
