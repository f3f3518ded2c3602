//! When a shard is asked for records next, and for how many.
//!
//! Every call is paid for, and so many shards have nothing to say most of the time. A shard that had something is asked again
//! as soon as the service likes to be; one that had nothing, ever more rarely up to a bound, which is how late a change
//! may be noticed. The first pages of a new iterator may be empty though records follow: the service looks at a part of the
//! shard at a time. Those are not taken for rest.

use std::time::Duration;

/// Records that `GetRecords` returns at most.
pub const PAGE_RECORDS: usize = 1_000;

/// Records asked for where none are expected: what they need is taken from the memory.
const FEW: usize = 64;

/// So many empty pages of a new iterator mean nothing.
const IMPATIENT: u32 = 5;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The least time from one call to the next.
    pub busy: Duration,
    /// The longest time.
    pub idle: Duration,
}

/// One shard's pace.
#[derive(Clone, Copy, Debug)]
pub struct Polling {
    /// Empty pages in a row.
    empty: u32,
    /// Empty pages that mean nothing yet.
    impatient: u32,
    records: usize,
}

impl Default for Polling {
    fn default() -> Self {
        Self { empty: 0, impatient: IMPATIENT, records: PAGE_RECORDS }
    }
}

impl Polling {
    /// The next call has a new iterator.
    pub fn begun_again(&mut self) {
        *self = Self::default();
    }

    /// A call for at most `asked` records returned so many.
    pub fn answered(&mut self, records: usize, asked: usize) {
        if records == 0 {
            self.empty = if self.impatient > 0 { 0 } else { self.empty.saturating_add(1) };
            self.impatient = self.impatient.saturating_sub(1);
            self.records = if self.impatient > 0 { self.records } else { FEW };
        } else {
            self.empty = 0;
            self.impatient = 0;
            // What comes back full may go on.
            let expected = if records >= asked { PAGE_RECORDS } else { records.saturating_mul(4) };
            self.records = expected.clamp(FEW, PAGE_RECORDS);
        }
    }

    /// Time from the last call to the next.
    pub fn pause(&self, Bounds { busy, idle }: Bounds) -> Duration {
        let least = busy.max(Duration::from_millis(1));
        if self.empty == 0 { busy } else { least.saturating_mul(2_u32.saturating_pow(self.empty)).min(idle).max(busy) }
    }

    /// How many records to ask for, where memory allows.
    pub fn records(&self) -> usize {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { busy: Duration::from_millis(250), idle: Duration::from_secs(2) };

    fn pauses(polling: &mut Polling, pages: &[usize]) -> Vec<u128> {
        let pause = |&records: &usize| {
            polling.answered(records, PAGE_RECORDS);
            polling.pause(BOUNDS).as_millis()
        };
        pages.iter().map(pause).collect()
    }

    #[test]
    fn a_shard_at_rest_is_asked_ever_more_rarely_and_one_that_speaks_at_once() {
        let mut polling = Polling::default();
        assert_eq!(pauses(&mut polling, &[7, 0, 0, 0, 0, 1, 0]), [250, 500, 1_000, 2_000, 2_000, 250, 500]);
    }

    #[test]
    fn empty_pages_of_a_new_iterator_are_no_rest() {
        let mut polling = Polling::default();
        assert_eq!(pauses(&mut polling, &[0; 7]), [250, 250, 250, 250, 250, 500, 1_000]);
        polling.begun_again();
        assert_eq!(pauses(&mut polling, &[0, 3, 0]), [250, 250, 500]);
    }

    #[test]
    fn few_records_are_asked_for_where_few_come() {
        let mut polling = Polling::default();
        assert_eq!(polling.records(), PAGE_RECORDS);
        for (records, asked, next) in
            [(10, 1_000, 64), (40, 64, 160), (160, 160, 1_000), (0, 1_000, 64), (64, 64, 1_000)]
        {
            polling.answered(records, asked);
            assert_eq!(polling.records(), next);
        }
    }

    #[test]
    fn the_bounds_hold_however_they_are_set() {
        let mut polling = Polling::default();
        polling.answered(1, 1);
        let none = Bounds { busy: Duration::ZERO, idle: Duration::from_millis(50) };
        assert_eq!(polling.pause(none), Duration::ZERO);
        (0..100).for_each(|_| polling.answered(0, 1));
        assert_eq!(polling.pause(none), Duration::from_millis(50));
        let crossed = Bounds { busy: Duration::from_secs(5), idle: Duration::from_secs(1) };
        assert_eq!(polling.pause(crossed), Duration::from_secs(5));
    }
}
