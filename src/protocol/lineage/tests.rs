//! Lineages, rule by rule.

use super::*;

const MARGIN: Duration = Duration::from_hours(23);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn listed(id: &str, parent: Option<&str>) -> ListedShard {
    ListedShard { id: id.into(), parent: parent.map(str::to_owned), says_closed: false }
}

fn record(shard: &str, parent: Option<&str>, stage: ShardStage, known_through: i64) -> ShardRecord {
    let known_through = at(known_through);
    ShardRecord {
        shard: shard.into(),
        parent: parent.map(str::to_owned),
        stage,
        position: None,
        created: None,
        known_through,
    }
}

fn readable(lineage: &Lineage) -> Vec<&str> {
    lineage.readable().map(|record| record.shard.as_str()).collect()
}

fn pinned() -> Lineage {
    Lineage::restore(
        [record("a", None, ShardStage::BeforePin, 0), record("b", Some("a"), ShardStage::Pinned, 100)],
        at(100),
    )
}

#[test]
fn children_wait_until_the_parents_end_is_stored() {
    let mut lineage = pinned();
    lineage.observe(&[listed("b", Some("a")), listed("c", Some("b")), listed("d", Some("b"))], at(200));
    assert_eq!(readable(&lineage), ["b"]);
    assert!(lineage.start("c", MARGIN, at(200)).is_err(), "invariant 4");
    lineage.stored(record("b", Some("a"), ShardStage::Finished, 180));
    assert_eq!(readable(&lineage), ["c", "d"]);
    assert_eq!(
        lineage.start("c", MARGIN, at(200)).unwrap(),
        Start { at: StartAt::Beginning, created: None, skip_before: None }
    );
}

#[test]
fn a_shard_that_the_pins_listing_left_out_is_not_read_once_its_children_are() {
    let mut lineage = Lineage::restore([record("c", Some("b"), ShardStage::Pinned, 100)], at(100));
    let listing = [listed("a", None), listed("b", Some("a")), listed("c", Some("b")), listed("d", Some("b"))];
    lineage.observe(&listing, at(200));
    assert_eq!(lineage.get("a").unwrap().stage, ShardStage::BeforePin);
    assert_eq!(lineage.get("b").unwrap().stage, ShardStage::BeforePin);
    assert_eq!(readable(&lineage), ["c", "d"], "another child of theirs is read from its beginning");
}

#[test]
fn grandchildren_listed_in_any_order_are_taken_in_together() {
    let mut lineage = pinned();
    let found = lineage.observe(&[listed("d", Some("c")), listed("c", Some("b")), listed("b", Some("a"))], at(200));
    assert_eq!(found.iter().map(|record| record.shard.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    assert_eq!(readable(&lineage), ["b"]);
}

#[test]
fn a_pinned_shard_read_again_skips_what_the_copy_shows() {
    let lineage = pinned();
    let start = lineage.start("b", MARGIN, at(200)).unwrap();
    assert_eq!(start, Start { at: StartAt::Beginning, created: None, skip_before: Some(at(100 - 15 * 60)) });
}

#[test]
fn a_shard_is_resumed_behind_its_last_durable_record() {
    let mut lineage = pinned();
    let position = Position::parse("123").unwrap();
    lineage.stored(ShardRecord { position: Some(position.clone()), ..record("b", Some("a"), ShardStage::Pinned, 150) });
    assert_eq!(lineage.start("b", MARGIN, at(200)).unwrap().at, StartAt::After(position));
}

#[test]
fn a_known_through_time_older_than_the_margin_is_lost_history() {
    let lineage = pinned();
    assert_eq!(lineage.lost(MARGIN, at(100 + 23 * 3600)), None);
    assert!(matches!(lineage.lost(MARGIN, at(101 + 23 * 3600)), Some(Lost::Overdue { .. })));
}

#[test]
fn a_shard_is_not_begun_where_history_was_lost() {
    let lineage = pinned();
    assert!(lineage.start("b", MARGIN, at(100 + 23 * 3600)).is_ok());
    let violation = lineage.start("b", MARGIN, at(101 + 23 * 3600)).unwrap_err();
    assert_eq!(violation.invariant, Invariant::NothingSkipped);
}

#[test]
fn a_child_that_waited_for_a_long_time_is_as_young_as_its_parents_end() {
    let mut lineage = pinned();
    lineage.observe(&[listed("b", Some("a")), listed("c", Some("b")), listed("d", Some("c"))], at(200));
    let later = 200 + 24 * 3600;
    lineage.stored(record("b", Some("a"), ShardStage::Finished, later));
    assert_eq!(lineage.lost(MARGIN, at(later)), None);
    assert!(lineage.start("c", MARGIN, at(later)).is_ok());
    assert_eq!(lineage.known_through(lineage.get("d").unwrap()), at(later), "its grandparent's");
}

#[test]
fn a_waiting_child_is_as_old_as_its_parent() {
    let mut lineage = pinned();
    lineage.observe(&[listed("c", Some("b"))], at(200));
    lineage.stored(record("b", Some("a"), ShardStage::Pinned, 5_000));
    let child = lineage.get("c").unwrap();
    assert_eq!(lineage.known_through(child), at(5_000));
}

#[test]
fn a_child_whose_parent_was_never_seen_is_loss_once_listings_agree() {
    let mut lineage = pinned();
    let listing = [listed("b", Some("a")), listed("z", Some("y"))];
    assert_eq!(lineage.missing_since(), None);
    assert!(lineage.observe(&listing, at(200)).is_empty());
    assert_eq!(lineage.missing_since(), Some(at(100)), "since the pin");
    assert_eq!(lineage.lost(MARGIN, at(9_000)), None, "nobody has looked since");
    lineage.observe(&listing, at(261));
    let lost = Lost::Orphan { shard: "z".into(), parent: "y".into() };
    assert_eq!(lineage.lost(MARGIN, at(261)), Some(lost));
    lineage.observe(&[listed("b", Some("a")), listed("y", Some("b")), listed("z", Some("y"))], at(262));
    assert_eq!(lineage.lost(MARGIN, at(262)), None, "the listing came round");
    assert_eq!(lineage.missing_since(), None);
    lineage.observe(&[listed("x", Some("w"))], at(300));
    assert_eq!(lineage.missing_since(), Some(at(262)));
}

#[test]
fn what_is_done_and_gone_is_forgotten_but_not_while_its_child_is_unknown() {
    let mut lineage = pinned();
    let later = at(200 + 48 * 3600);
    lineage.stored(record("b", Some("a"), ShardStage::Finished, 180));
    let forgettable = |lineage: &Lineage| -> Vec<String> {
        lineage.forgettable(&[], later).into_iter().map(|record| record.shard).collect()
    };
    assert_eq!(forgettable(&lineage), ["a"]);
    lineage.observe(&[listed("c", Some("b"))], at(200));
    assert_eq!(forgettable(&lineage), ["a", "b"]);
    lineage.forget("a");
    lineage.forget("b");
    assert_eq!(readable(&lineage), ["c"]);
}

#[test]
fn what_one_listing_leaves_out_is_not_forgotten_while_its_records_may_be_kept() {
    let mut lineage = pinned();
    lineage.stored(record("b", Some("a"), ShardStage::Finished, 180));
    lineage.observe(&[listed("b", Some("a")), listed("c", Some("b"))], at(200));
    assert!(lineage.forgettable(&[], at(180 + 25 * 3600)).is_empty());
}

#[test]
fn parents_come_a_generation_before_their_children() {
    let open = |shard, parent| record(shard, parent, ShardStage::Open, 0);
    let all = vec![open("d", Some("c")), open("c", Some("b")), open("x", None), open("e", Some("c"))];
    let names: Vec<Vec<String>> = generations(all)
        .into_iter()
        .map(|generation| generation.into_iter().map(|record| record.shard).collect())
        .collect();
    assert_eq!(names, [vec!["c", "x"], vec!["d", "e"]]);
    let circle = generations(vec![open("a", Some("b")), open("b", Some("a"))]);
    assert_eq!(circle.len(), 1);
}

#[test]
fn a_finished_shard_without_children_is_named() {
    let mut lineage = pinned();
    lineage.stored(record("b", Some("a"), ShardStage::Finished, 180));
    assert_eq!(lineage.childless().map(|record| record.shard.as_str()).collect::<Vec<_>>(), ["b"]);
}
