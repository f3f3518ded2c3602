//! What holds for shards of any forest.

use proptest::prelude::*;

use super::*;

const MARGIN: Duration = Duration::from_hours(23);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A stream's shards, each with its parent, which comes before it.
fn any_forest() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop::collection::vec(any::<Option<prop::sample::Index>>(), 1..12).prop_map(|parents| {
        let parent = |(shard, parent): (usize, Option<prop::sample::Index>)| {
            parent.filter(|_| shard > 0).map(|parent| parent.index(shard))
        };
        parents.into_iter().enumerate().map(parent).collect()
    })
}

proptest! {
    /// However listings leave shards out, and whenever shards end: parents are read before their children, each is
    /// read once, and with complete listings all are.
    #[test]
    fn each_shard_is_read_once_and_after_its_parent(
        parents in any_forest(),
        events in prop::collection::vec((any::<u16>(), any::<usize>(), any::<bool>()), 0..60),
    ) {
        let name = |shard: usize| format!("shard-{shard}");
        let listing = |hidden: u16| -> Vec<ListedShard> {
            let shown = (0..parents.len()).filter(|shard| hidden >> shard & 1 == 0);
            let one = |shard| ListedShard { id: name(shard), parent: parents[shard].map(name), says_closed: false };
            shown.map(one).collect()
        };
        let mut lineage = Lineage::restore([], at(100));
        let mut done: Vec<String> = Vec::new();
        let complete = [(0, 0, true), (0, 0, false)].repeat(2 * parents.len());
        for (hidden, which, lists) in events.into_iter().chain(complete) {
            if lists {
                lineage.observe(&listing(hidden), at(200));
                continue;
            }
            let ready: Vec<ShardRecord> = lineage.readable().cloned().collect();
            let Some(next) = ready.get(which % ready.len().max(1)) else { continue };
            prop_assert!(!done.contains(&next.shard), "{} is read again", next.shard);
            // Of the parents, those that were seen: what is missing for a minute is loss.
            let parent = next.parent.as_ref();
            prop_assert!(parent.is_none_or(|parent| done.contains(parent)), "{} before its parent", next.shard);
            prop_assert!(lineage.start(&next.shard, MARGIN, at(200)).is_ok());
            done.push(next.shard.clone());
            lineage.stored(ShardRecord { stage: ShardStage::Finished, ..next.clone() });
        }
        prop_assert_eq!(done.len(), parents.len(), "all are read: {:?}", done);
    }
}
