//! What is known of all shards, behind one lock. Pure; time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Arrived, Disturbance, TailFigures};
use crate::engine::replicate::apply::core::{Mark, Progress, Reader};
use crate::engine::state::store::Stored;
use crate::model::{ListedShard, Timestamp};
use crate::protocol::invariant::{Invariant, Violation};
use crate::protocol::lag::{View, Watch, lag};
use crate::protocol::lineage::{Lineage, ShardRecord, ShardStage};

/// An idle shard's known-through time is saved when it is so much older than the truth: headroom is counted in hours.
const IDLE_SAVE: Duration = Duration::from_mins(1);

/// A shard whose last poll is older was not polled in time: a poll comes once a minute at least.
const FRESH: Duration = Duration::from_mins(2);

/// A reply about one shard's children is believed when another one, so much later, says the same.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// All shards.
pub(super) struct Board {
    pub(super) lineage: Lineage,
    /// Where each shard's record lies, and what was stored last.
    pub(super) stored: BTreeMap<String, Stored<ShardRecord>>,
    reading: BTreeMap<String, Reading>,
    /// The ends of finished shards.
    finished: BTreeMap<String, End>,
    last_change: Option<Timestamp>,
}

/// A shard being read.
#[derive(Clone)]
struct Reading {
    reader: Reader,
    watch: Watch,
    /// When its end was seen.
    ended: Option<Timestamp>,
}

/// What is durable of a shard that is being read, as of one moment.
struct Durable {
    /// What is known of it, up to then.
    watch: Watch,
    settled: Option<Mark>,
    oldest_open: Option<Mark>,
}

impl Reading {
    fn durable(&self, caught_up: Duration, progress: impl Fn(Reader) -> Progress) -> Durable {
        let Progress { settled, oldest_open } = progress(self.reader);
        let mut watch = self.watch;
        if let Some(Mark::Record { created, .. }) = settled {
            watch.durable(created);
        }
        if oldest_open.is_none() {
            watch.settle(caught_up);
        }
        Durable { watch, settled, oldest_open }
    }
}

/// The end of a shard that was read in this process.
struct End {
    seen: Timestamp,
    /// Up to when the shard was read.
    read_through: Timestamp,
    /// All that continues it is known.
    continued: bool,
    /// What the last listing showed as continuing it.
    shown: BTreeSet<String>,
    /// What the first one of the last replies about it alone showed, as long as they agree, and when that was asked for.
    told: (BTreeSet<String>, Timestamp),
    /// What its polls showed.
    watch: Watch,
}

impl Board {
    pub(super) fn new(lineage: Lineage, stored: Vec<Stored<ShardRecord>>) -> Self {
        let stored = stored.into_iter().map(|stored| (stored.value.shard.clone(), stored)).collect();
        Self { lineage, stored, reading: BTreeMap::new(), finished: BTreeMap::new(), last_change: None }
    }

    /// Shards that may be read now and are not.
    pub(super) fn startable(&self) -> Vec<String> {
        let unread = self
            .lineage
            .readable()
            .filter(|record| !self.reading.contains_key(&record.shard) && self.stored.contains_key(&record.shard));
        unread.map(|record| record.shard.clone()).collect()
    }

    pub(super) fn begin(&mut self, shard: &str, reader: Reader) {
        let Some(record) = self.lineage.get(shard) else { return };
        let known_through = self.lineage.known_through(record);
        let watch = match record.parent.as_ref().and_then(|parent| self.finished.get(parent)) {
            Some(parent) => Watch::continuing(&parent.watch, known_through),
            None => Watch::new(known_through),
        };
        let reading = Reading { reader, watch, ended: None };
        self.reading.insert(shard.to_owned(), reading);
    }

    pub(super) fn known_through(&self, shard: &str) -> Timestamp {
        let stored = || self.lineage.get(shard).map_or(Timestamp::EPOCH, |record| record.known_through);
        self.reading.get(shard).map_or_else(stored, |reading| reading.watch.known_through)
    }

    /// A poll was answered.
    pub(super) fn polled(
        &mut self,
        shard: &str,
        Arrived { records, by_requests }: Arrived,
        asked: Timestamp,
        now: Timestamp,
    ) {
        if records > 0 {
            self.last_change = Some(now);
        }
        if let Some(reading) = self.reading.get_mut(shard) {
            reading.watch.polled(records, by_requests, asked, now);
        }
    }

    /// The last page of a shard came.
    pub(super) fn last_page(&mut self, shard: &str, Arrived { records, by_requests }: Arrived, now: Timestamp) {
        if records > 0 {
            self.last_change = Some(now);
        }
        if let Some(reading) = self.reading.get_mut(shard) {
            reading.watch.last_page(records, by_requests);
        }
    }

    /// For how long, from `since` on and until a moment ago, every shard was polled without finding a change that a
    /// request made. What stands against that, where something does.
    pub(super) fn undisturbed(
        &self,
        since: Timestamp,
        now: Timestamp,
        caught_up: Duration,
        progress: impl Fn(Reader) -> Progress,
    ) -> Result<Duration, Disturbance> {
        if self.lineage.listed().is_none_or(|listed| listed <= since) {
            return Err(Disturbance::NotListed);
        }
        if self.lineage.has_orphans() {
            return Err(Disturbance::Orphan);
        }
        if let Some(record) = self.leaves().next() {
            return Err(Disturbance::Unfollowed(record.shard.clone()));
        }
        let mut undisturbed = None::<Duration>;
        for record in self.lineage.records().filter(|record| record.is_unread()) {
            let reading = self.reading.get(&record.shard).filter(|reading| reading.ended.is_none());
            let Some(reading) = reading else { return Err(Disturbance::NotRead(record.shard.clone())) };
            if progress(reading.reader).oldest_open.is_some() {
                return Err(Disturbance::NotDurable(record.shard.clone()));
            }
            if reading.watch.last_poll.is_none_or(|last| now.since(last) > FRESH) {
                return Err(Disturbance::Silent(record.shard.clone()));
            }
            let span = reading.watch.undisturbed(since, caught_up);
            undisturbed = Some(undisturbed.map_or(span, |least| least.min(span)));
        }
        undisturbed.ok_or(Disturbance::NothingOpen)
    }

    /// A poll failed.
    pub(super) fn poll_failed(&mut self, shard: &str) {
        if let Some(reading) = self.reading.get_mut(shard) {
            reading.watch.poll_failed();
        }
    }

    /// Polling was paused, or goes on with another iterator.
    pub(super) fn broken_off(&mut self, shard: &str) {
        if let Some(reading) = self.reading.get_mut(shard) {
            reading.watch.broken_off();
        }
    }

    /// A shard's end was seen.
    pub(super) fn ended(&mut self, shard: &str, now: Timestamp) {
        if let Some(reading) = self.reading.get_mut(shard) {
            reading.ended = Some(now);
        }
    }

    /// Takes a listing of so many pages that was asked for at `asked`; returns the shards that were not known. What continues a
    /// shard is known by a listing that was asked for after its end was seen, shows a child of it, and leaves none of those out
    /// that others continue. Between two pages children may appear, of which it shows a part: then another one must show the same, or [`Board::follow`].
    pub(super) fn observe(&mut self, listing: &[ListedShard], asked: Timestamp, pages: usize) -> Vec<ShardRecord> {
        let found = self.lineage.observe(listing, asked);
        let mut children: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for shard in listing {
            if let Some(parent) = &shard.parent {
                children.entry(parent).or_default().insert(shard.id.clone());
            }
        }
        for (shard, end) in self.finished.iter_mut().filter(|(_, end)| end.seen < asked && !end.continued) {
            let shown = children.remove(shard.as_str()).unwrap_or_default();
            let is_whole = pages == 1 || shown == end.shown;
            end.continued = is_whole && !shown.is_empty() && !self.lineage.has_orphans();
            end.shown = shown;
        }
        found
    }

    /// Takes what was listed as continuing a shard, asked for at `asked`; returns the shards that were not known. That they are
    /// all is known when the same was told twice, some time apart, after the shard's end was seen.
    pub(super) fn follow(&mut self, parent: &str, children: &[ListedShard], asked: Timestamp) -> Vec<ShardRecord> {
        let found = self.lineage.follow(parent, children);
        let has_orphans = self.lineage.has_orphans();
        if let Some(end) = self.finished.get_mut(parent).filter(|end| end.seen < asked && !end.continued) {
            let shown: BTreeSet<String> = children.iter().map(|child| child.id.clone()).collect();
            if shown == end.told.0 {
                end.continued = !shown.is_empty() && !has_orphans && asked.since(end.told.1) >= TOLD_AGAIN;
            } else {
                end.told = (shown, asked);
            }
        }
        found
    }

    /// Finished shards of whose children some may not be known; first those of which none is.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &ShardRecord> {
        let childless: BTreeSet<&str> = self.lineage.childless().map(|record| record.shard.as_str()).collect();
        let others = self.finished.iter().filter(|(_, end)| !end.continued);
        let others = others.map(|(shard, _)| shard.as_str()).filter(|shard| !childless.contains(shard));
        let leaves: Vec<_> = childless.iter().copied().chain(others).collect();
        leaves.into_iter().filter_map(|shard| self.lineage.get(shard))
    }

    /// Records that moved since they were stored (invariant 3): behind what is settled, and never back. The last ones of their
    /// shards come first, since children wait for them; then those of which a restart would replay most, `most` of them.
    pub(super) fn due(
        &mut self,
        caught_up: Duration,
        most: usize,
        progress: impl Fn(Reader) -> Progress,
    ) -> Result<Vec<(Stored<ShardRecord>, ShardRecord)>, Violation> {
        let mut due = Vec::new();
        for (shard, reading) in &mut self.reading {
            let Some(stored) = self.stored.get(shard) else { continue };
            let known = &stored.value;
            let Durable { watch, settled, oldest_open } = reading.durable(caught_up, &progress);
            let mut record = ShardRecord { known_through: watch.known_through, ..known.clone() };
            if let Some(Mark::Record { position, created }) = settled {
                if known.position.as_ref().is_some_and(|stored| *stored > position) {
                    return Err(Violation::new(
                        Invariant::DurableCheckpoints,
                        format!("the checkpoint of {shard} went back"),
                    ));
                }
                (record.position, record.created) = (Some(position), Some(created));
            }
            reading.watch = watch;
            if reading.ended.is_some() && oldest_open.is_none() {
                record.stage = ShardStage::Finished;
            }
            let idle = record.known_through.since(known.known_through) >= IDLE_SAVE;
            if record.stage != known.stage || record.position != known.position || idle {
                due.push((stored.clone(), record));
            }
        }
        due.sort_by_key(|(stored, record)| (record.stage != ShardStage::Finished, stored.value.known_through));
        let last_ones = due.iter().take_while(|(_, record)| record.stage == ShardStage::Finished).count();
        due.truncate(last_ones.max(most));
        Ok(due)
    }

    /// A record was stored. Returns the reader of its shard, if that is finished now.
    pub(super) fn saved(&mut self, stored: Stored<ShardRecord>, caught_up: Duration) -> Option<Reader> {
        let (shard, finished) = (stored.value.shard.clone(), stored.value.stage == ShardStage::Finished);
        self.lineage.stored(stored.value.clone());
        self.stored.insert(shard.clone(), stored);
        if !finished {
            return None;
        }
        let reading = self.reading.remove(&shard)?;
        if let Some(seen) = reading.ended {
            let read_through = reading.watch.read_through(caught_up);
            self.finished.insert(
                shard,
                End {
                    seen,
                    read_through,
                    continued: false,
                    shown: BTreeSet::new(),
                    told: (BTreeSet::new(), seen),
                    watch: reading.watch,
                },
            );
        }
        Some(reading.reader)
    }

    pub(super) fn forget(&mut self, shard: &str) {
        self.lineage.forget(shard);
        self.stored.remove(shard);
        self.finished.remove(shard);
    }

    pub(super) fn figures(
        &self,
        caught_up: Duration,
        pinned: Timestamp,
        now: Timestamp,
        progress: impl Fn(Reader) -> Progress,
    ) -> TailFigures {
        let mut views = Vec::new();
        // Before the first listing it is not known which shards there are: a predecessor may have stored one of several children.
        let mut all_caught_up = self.lineage.listed().is_some() && !self.reading.is_empty();
        let mut since_poll = None;
        let (mut known_through, mut stored_through, mut waiting) = (now, now, 0);
        for record in self.lineage.records() {
            if !record.is_unread() {
                continue;
            }
            if let Some(reading) = self.reading.get(&record.shard) {
                // As it is in the shadow, whenever that is stored.
                let Durable { watch, oldest_open, .. } = reading.durable(caught_up, &progress);
                let oldest_pending = match oldest_open {
                    Some(Mark::Record { created, .. }) => Some(created),
                    _ => None,
                };
                since_poll = since_poll.max(watch.last_poll.map(|last| now.since(last)));
                all_caught_up &= watch.is_caught_up(caught_up) && oldest_pending.is_none() && reading.ended.is_none();
                known_through = known_through.min(watch.known_through);
                stored_through = stored_through.min(record.known_through);
                views.push(View::Reading { watch, oldest_pending });
            } else {
                waiting += 1;
                all_caught_up = false;
                known_through = known_through.min(self.lineage.known_through(record));
                views.push(View::Waiting { known_through: self.lineage.known_through(record) });
            }
        }
        for record in self.leaves() {
            all_caught_up = false;
            known_through = known_through.min(record.known_through);
            let read_through = self.finished.get(&record.shard).map_or(record.known_through, |end| end.read_through);
            views.push(View::Leaf { read_through });
        }
        if let Some(since) = self.lineage.missing_since() {
            all_caught_up = false;
            known_through = known_through.min(since);
            views.push(View::Leaf { read_through: since });
        }
        let open = self.reading.len();
        TailFigures {
            lag: self.lineage.listed().map(|_| lag(views, caught_up, pinned, now)),
            since_poll,
            known_through,
            stored_through,
            caught_up: all_caught_up,
            open,
            waiting,
            finished: self.lineage.records().count() - open - waiting,
            last_change: self.last_change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn listing(children: &[&str]) -> Vec<ListedShard> {
        let shard = |id: &str, parent: Option<&str>| ListedShard {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            says_closed: false,
        };
        let children = children.iter().map(|child| shard(child, Some("parent")));
        [shard("parent", None)].into_iter().chain(children).collect()
    }

    fn with_parent(stage: ShardStage) -> Board {
        let parent = ShardRecord {
            shard: "parent".into(),
            parent: None,
            stage,
            position: None,
            created: None,
            known_through: at(10),
        };
        Board::new(Lineage::restore([parent], at(0)), Vec::new())
    }

    fn with_finished_parent() -> Board {
        let mut board = with_parent(ShardStage::Finished);
        let (seen, read_through, watch) = (at(20), at(19), Watch::new(at(10)));
        let end =
            End { seen, read_through, continued: false, shown: BTreeSet::new(), told: (BTreeSet::new(), seen), watch };
        board.finished.insert("parent".into(), end);
        board
    }

    #[test]
    fn children_count_as_known_once_all_were_listed_after_the_end_was_seen() {
        let mut board = with_finished_parent();
        let leaves = |board: &Board| board.leaves().map(|record| record.shard.clone()).collect::<Vec<_>>();
        board.observe(&listing(&[]), at(15), 1);
        assert_eq!(leaves(&board), ["parent"]);
        board.observe(&listing(&["first"]), at(16), 1);
        assert_eq!(leaves(&board), ["parent"], "there may be a second one");
        board.observe(&listing(&[]), at(21), 1);
        assert_eq!(leaves(&board), ["parent"]);
        let mut left_out = listing(&["first"]);
        left_out.push(ListedShard { id: "grandchild".into(), parent: Some("second".into()), says_closed: false });
        board.observe(&left_out, at(22), 1);
        assert_eq!(leaves(&board), ["parent"], "the one that the grandchild continues may be a child of it");
        board.observe(&listing(&["first", "second"]), at(23), 1);
        assert!(leaves(&board).is_empty());
    }

    #[test]
    fn what_a_listing_of_several_pages_shows_must_be_shown_again() {
        let mut board = with_finished_parent();
        let is_unsure = |board: &Board| board.leaves().next().is_some();
        board.observe(&listing(&["second"]), at(21), 2);
        assert!(is_unsure(&board), "the first one appeared behind the page on which it belongs");
        board.observe(&listing(&["first", "second"]), at(30), 2);
        assert!(is_unsure(&board));
        board.observe(&listing(&["first", "second"]), at(40), 2);
        assert!(!is_unsure(&board));
    }

    #[test]
    fn what_is_told_twice_about_one_shard_is_known() {
        let mut board = with_finished_parent();
        let is_unsure = |board: &Board| board.leaves().next().is_some();
        let (none, first, both) =
            (vec![], listing(&["first"]).split_off(1), listing(&["first", "second"]).split_off(1));
        board.follow("parent", &first, at(19));
        board.follow("parent", &first, at(20));
        assert!(is_unsure(&board), "asked for before its end was seen");
        board.follow("parent", &first, at(21));
        board.follow("parent", &first, Timestamp::from_millis(21_900));
        assert!(is_unsure(&board), "too soon to be something new");
        board.follow("parent", &both, at(23));
        assert!(is_unsure(&board));
        for second in [24, 26] {
            board.follow("parent", &none, at(second));
            assert!(is_unsure(&board), "it has a child at least");
        }
        board.follow("parent", &both, at(27));
        board.follow("parent", &both, at(28));
        assert!(!is_unsure(&board));
    }

    #[test]
    fn nothing_is_caught_up_before_the_shards_were_listed() {
        let span = Duration::from_secs(5);
        let mut board = with_parent(ShardStage::Open);
        board.begin("parent", Reader::default());
        for second in [20, 22, 24, 26] {
            board.polled("parent", Arrived { records: 0, by_requests: 0 }, at(second), at(second));
        }
        let nothing = |_| Progress { settled: None, oldest_open: None };
        let caught_up = |board: &Board| board.figures(span, at(0), at(26), nothing).caught_up;
        assert!(!caught_up(&board));
        board.observe(&listing(&[]), at(25), 1);
        assert!(caught_up(&board));
    }
}
