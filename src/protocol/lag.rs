//! How far behind the shadow is, said honestly.
//!
//! `GetRecords` tells no delay, an empty page proves nothing, and records are stamped in whole seconds. So a shard
//! counts as caught up only after a span of successful, empty polls, and everything is computed when it is asked for,
//! never by the task that may be stuck. All times are the service's.

use std::time::Duration;

use crate::model::Timestamp;

/// Polls further apart than this are no run: the machine was suspended, say. A poll comes once a minute at least.
const LONGEST_STEP: Duration = Duration::from_mins(2);

/// So many polls belong to a run at least, however long they took: a page may be empty though records follow.
const LEAST_POLLS: u32 = 3;

/// What is known of one shard that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Every record created before it was offered and is durable.
    pub known_through: Timestamp,
    /// When the last successful poll was asked.
    pub last_poll: Option<Timestamp>,
    /// Empty polls.
    empty: Run,
    /// Polls without a change that a request made.
    undisturbed: Run,
    /// The last poll failed.
    failed: bool,
}

/// Successful polls in a row that showed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Run {
    /// When the first of them was answered, of this shard or of the one that it continues.
    since: Option<Timestamp>,
    /// When the first of this shard's own was.
    own: Option<Timestamp>,
    polls: u32,
}

impl Run {
    fn polled(&mut self, shown: usize, now: Timestamp) {
        if shown > 0 {
            *self = Self::default();
        } else {
            self.since = self.since.or(Some(now));
            self.own = self.own.or(Some(now));
            self.polls = self.polls.saturating_add(1);
        }
    }

    /// When it began, if there are enough of them.
    fn proven(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.polls >= LEAST_POLLS)
    }
}

impl Watch {
    /// A shard whose reading begins.
    pub fn new(known_through: Timestamp) -> Self {
        let (empty, undisturbed) = (Run::default(), Run::default());
        Self { known_through, last_poll: None, empty, undisturbed, failed: false }
    }

    /// A shard that continues another, which was read to its end: nobody disturbed it for as long, once it was polled for a
    /// while itself.
    pub fn continuing(parent: &Self, known_through: Timestamp) -> Self {
        let undisturbed = Run { since: parent.undisturbed.since, ..Run::default() };
        Self { last_poll: parent.last_poll, undisturbed, ..Self::new(known_through) }
    }

    /// A poll that was asked at `asked` was answered at `now` with this many records, of which so many were made by
    /// requests: the others are items that expired. A run of polls begins with an answer and ends with a question, since
    /// what happened in between may or may not be in the answer.
    pub fn polled(&mut self, records: usize, by_requests: usize, asked: Timestamp, now: Timestamp) {
        if self.last_poll.is_some_and(|last| asked.since(last) > LONGEST_STEP) {
            self.broken_off();
        }
        self.failed = false;
        self.last_poll = self.last_poll.max(Some(asked));
        self.empty.polled(records, now);
        self.undisturbed.polled(by_requests, now);
    }

    /// The shard's last page, with so many records, of which so many were made by requests. It is no poll: what continues
    /// the shard may have had records before it was asked for.
    pub fn last_page(&mut self, records: usize, by_requests: usize) {
        if records > 0 {
            self.empty = Run::default();
        }
        if by_requests > 0 {
            self.undisturbed = Run::default();
        }
    }

    /// A poll failed. Its iterator has not moved, so nothing was missed; but one failure after the other is an outage, and
    /// what was seen before it says nothing of what came meanwhile.
    pub fn poll_failed(&mut self) {
        if std::mem::replace(&mut self.failed, true) {
            self.broken_off();
        }
    }

    /// Up to when everything was read that was there, nothing of it pending: the last poll of a caught-up shard, the
    /// known-through time of another.
    pub fn read_through(&self, span: Duration) -> Timestamp {
        self.last_poll.filter(|_| self.is_caught_up(span)).unwrap_or(self.known_through)
    }

    /// Polling was paused, or goes on with another iterator: what was seen before proves nothing any more.
    pub fn broken_off(&mut self) {
        self.empty = Run::default();
        self.undisturbed = Run::default();
    }

    /// How long, up to the last poll and from `since` on, no poll showed a change that a request made. What continues another
    /// shard must have been polled for `span` itself: its first pages may be empty though records follow.
    pub fn undisturbed(&self, since: Timestamp, span: Duration) -> Duration {
        let Run { since: run, own, .. } = self.undisturbed;
        match (self.undisturbed.proven(), self.last_poll) {
            (Some(first), Some(last)) if run == own || own.is_some_and(|own| last.since(own) >= span) => {
                last.since(first.max(since))
            }
            _ => Duration::ZERO,
        }
    }

    /// A record created at `created`, and every one before it, is durable.
    pub fn durable(&mut self, created: Timestamp) {
        self.known_through = self.known_through.max(created);
    }

    /// Whether every poll of the last `span` was empty.
    pub fn is_caught_up(&self, span: Duration) -> bool {
        matches!((self.empty.proven(), self.last_poll), (Some(first), Some(last)) if last.since(first) >= span)
    }

    /// While nothing is pending, a caught-up shard is known through the beginning of the span that its last poll ended.
    pub fn settle(&mut self, span: Duration) {
        if let (true, Some(last)) = (self.is_caught_up(span), self.last_poll) {
            self.known_through = self.known_through.max(last.minus(span));
        }
    }
}

/// One shard, as lag sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// It is being read.
    Reading {
        /// What is known of it.
        watch: Watch,
        /// When the oldest of its changes was made that is offered and not yet durable.
        oldest_pending: Option<Timestamp>,
    },
    /// It waits for its parent, or for a reader.
    Waiting {
        /// The parent's known-through time, or its own where the parent is finished.
        known_through: Timestamp,
    },
    /// It is finished and no child of it is known yet; or a shard is missing that others continue.
    Leaf {
        /// Up to when it was read: its children may have had records from then on, however late its end was seen.
        read_through: Timestamp,
    },
}

/// The age of the oldest change that may not be durable in the shadow.
///
/// Never below the truth: what is not known counts as old as it may be. Without any shard, everything since `pinned`
/// is unknown.
pub fn lag(shards: impl IntoIterator<Item = View>, caught_up: Duration, pinned: Timestamp, now: Timestamp) -> Duration {
    let mut oldest: Option<Timestamp> = None;
    for shard in shards {
        let since = match shard {
            // Whatever of the shard was not read yet comes behind what was.
            View::Reading { watch, oldest_pending } => oldest_pending.unwrap_or(watch.read_through(caught_up)),
            View::Waiting { known_through } => known_through,
            View::Leaf { read_through } => read_through,
        };
        oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
    }
    now.since(oldest.unwrap_or(pinned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(5);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn of(view: View, now: i64) -> u64 {
        lag([view], SPAN, at(0), at(now)).as_secs()
    }

    fn reading(watch: Watch) -> View {
        View::Reading { watch, oldest_pending: None }
    }

    /// Empty polls, answered at once.
    fn empty(watch: &mut Watch, polls: impl IntoIterator<Item = i64>) {
        polls.into_iter().for_each(|second| watch.polled(0, 0, at(second), at(second)));
    }

    #[test]
    fn an_empty_page_does_not_make_a_shard_caught_up() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [600]);
        assert_eq!(of(reading(watch), 600), 600, "it may be ten minutes behind, between two pages");
        empty(&mut watch, [601, 602, 603, 604]);
        assert_eq!(of(reading(watch), 604), 604, "not for long enough");
        empty(&mut watch, [605]);
        assert_eq!(of(reading(watch), 605), 0);
        assert_eq!(of(reading(watch), 620), 15, "and grows when polls stop");
    }

    #[test]
    fn two_polls_are_too_few_however_far_apart() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [600, 620]);
        assert_eq!(of(reading(watch), 620), 620);
        empty(&mut watch, [621]);
        assert_eq!(of(reading(watch), 621), 0);
    }

    #[test]
    fn one_failed_poll_misses_nothing_and_two_in_a_row_begin_the_proof_anew() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [600, 602, 605]);
        watch.poll_failed();
        assert_eq!(of(reading(watch), 608), 3, "since the last one that did not fail");
        empty(&mut watch, [608]);
        assert_eq!(of(reading(watch), 608), 0);
        watch.poll_failed();
        watch.poll_failed();
        empty(&mut watch, [610, 611, 612]);
        assert_eq!(of(reading(watch), 612), 612);
        empty(&mut watch, [615]);
        assert_eq!(of(reading(watch), 615), 0);
    }

    #[test]
    fn what_continues_a_shard_that_nobody_disturbed_is_polled_by_itself_first() {
        let mut parent = Watch::new(at(0));
        empty(&mut parent, [100, 103, 106, 109]);
        parent.last_page(0, 0);
        let mut child = Watch::continuing(&parent, at(104));
        assert_eq!(child.undisturbed(at(0), SPAN), Duration::ZERO);
        empty(&mut child, [110, 111]);
        assert_eq!(child.undisturbed(at(0), SPAN), Duration::ZERO);
        empty(&mut child, [112]);
        assert_eq!(child.undisturbed(at(0), SPAN), Duration::ZERO, "half a second of empty pages proves nothing");
        assert!(!child.is_caught_up(SPAN));
        empty(&mut child, [115]);
        assert_eq!(child.undisturbed(at(0), SPAN), Duration::from_secs(15));
        let mut disturbed = parent;
        disturbed.last_page(1, 1);
        let mut child = Watch::continuing(&disturbed, at(104));
        empty(&mut child, [110, 111, 112]);
        assert_eq!(child.undisturbed(at(0), SPAN), Duration::from_secs(2));
        let mut late = Watch::continuing(&parent, at(104));
        empty(&mut late, [300, 301, 302]);
        assert_eq!(late.undisturbed(at(0), SPAN), Duration::from_secs(2), "nobody asked for too long");
    }

    #[test]
    fn two_empty_polls_far_apart_prove_nothing_of_the_time_between() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [600, 603, 605]);
        watch.settle(SPAN);
        watch.polled(0, 0, at(4_000), at(4_000));
        watch.settle(SPAN);
        assert_eq!(watch.known_through, at(600));
        assert_eq!(of(reading(watch), 4_000), 3_400);
    }

    #[test]
    fn a_pending_change_counts_by_its_age_even_when_nothing_more_comes() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [600, 603, 605]);
        assert_eq!(of(View::Reading { watch, oldest_pending: Some(at(500)) }, 605), 105);
        watch.polled(1, 1, at(606), at(606));
        assert_eq!(of(View::Reading { watch, oldest_pending: Some(at(604)) }, 606), 2, "all before it is durable");
    }

    #[test]
    fn records_make_it_as_old_as_the_newest_durable_one() {
        let mut watch = Watch::new(at(0));
        watch.polled(10, 10, at(600), at(600));
        watch.durable(at(590));
        assert_eq!(of(reading(watch), 600), 10);
    }

    #[test]
    fn shards_that_nobody_reads_grow() {
        assert_eq!(of(View::Waiting { known_through: at(100) }, 160), 60);
        assert_eq!(of(View::Leaf { read_through: at(100) }, 160), 60);
        assert_eq!(lag([], SPAN, at(0), at(60)).as_secs(), 60);
    }

    #[test]
    fn a_shards_last_page_does_not_hide_what_its_children_hold() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [600, 603, 605]);
        watch.last_page(0, 0);
        assert_eq!(
            watch.read_through(SPAN),
            at(605),
            "it was open when it was asked then, and may have ended right after"
        );
        watch.last_page(3, 3);
        assert_eq!(watch.read_through(SPAN), at(0), "records on the last page: it was behind");
    }

    #[test]
    fn an_idle_shard_stays_known_up_to_a_span_ago() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [100, 101]);
        watch.settle(SPAN);
        assert_eq!(watch.known_through, at(0));
        watch.polled(0, 0, at(130), at(130));
        watch.settle(SPAN);
        assert_eq!(watch.known_through, at(125));
    }

    #[test]
    fn an_item_that_expires_does_not_disturb_and_a_request_does() {
        let mut watch = Watch::new(at(0));
        watch.polled(0, 0, at(10), at(10));
        watch.polled(3, 0, at(15), at(15));
        watch.polled(0, 0, at(20), at(20));
        assert_eq!(watch.undisturbed(at(0), SPAN), Duration::from_secs(10));
        assert_eq!(watch.undisturbed(at(12), SPAN), Duration::from_secs(8), "only since then");
        watch.polled(3, 1, at(25), at(25));
        assert_eq!(watch.undisturbed(at(0), SPAN), Duration::ZERO);
        empty(&mut watch, [30, 31, 32]);
        assert_eq!(watch.undisturbed(at(0), SPAN), Duration::from_secs(2));
        watch.broken_off();
        assert_eq!(watch.undisturbed(at(0), SPAN), Duration::ZERO);
    }

    #[test]
    fn a_poll_proves_nothing_about_what_came_after_its_question() {
        let mut watch = Watch::new(at(0));
        empty(&mut watch, [98, 99]);
        watch.polled(0, 0, at(100), at(120));
        assert_eq!(watch.undisturbed(at(101), SPAN), Duration::ZERO, "asked before, answered long after");
        watch.polled(0, 0, at(121), at(140));
        assert_eq!(watch.undisturbed(at(101), SPAN), Duration::from_secs(20));
    }
}
