//! Memory, shared among readers.
//!
//! What is read lies in memory until the shadow has it. So room is taken *before* a page is asked for, and what the page
//! brings is counted until it is durable: there is no more in flight than the limit, however many readers there are.
//!
//! A reader that holds something gets more only while it holds no more than what is free. One whose items do not get on,
//! since they go to a hot partition, ends with half of the memory, two with a third each: some always stays free, and the
//! others go on. No request gets more than half of what is free, so that scarcity makes pages smaller, not fewer. Copied items
//! have half of the memory at most: changes always find some.

use super::slots::Lane;

/// Bytes that a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who goes first.
    pub lane: Lane,
    /// With less it does not begin.
    pub least: usize,
    /// More is of no use.
    pub most: usize,
}

/// What is held already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Bytes in all.
    pub all: usize,
    /// Of those, bytes of copied items.
    pub copied: usize,
    /// Of those, bytes that came by the reader who asks.
    pub own: usize,
}

/// The memory that there is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    limit: usize,
}

/// Why nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// There is too little: whoever comes later, in this lane, waits behind.
    Room,
    /// The reader has its share: others may have more.
    Share,
}

impl Room {
    /// So many bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// How much the reader may have. A sixteenth of all is enough for everybody to begin, however large items are.
    pub fn give(&self, ask: Ask, holding: Holding) -> Result<usize, Short> {
        let left = self.limit.saturating_sub(holding.all);
        let free = match ask.lane {
            Lane::Tail => left,
            Lane::Copy => left.min((self.limit / 2).saturating_sub(holding.copied)),
        };
        let given = ask.most.min(free / 2);
        if holding.own > free {
            Err(Short::Share)
        } else if given >= ask.least.min(self.limit / 16) {
            Ok(given)
        } else {
            Err(Short::Room)
        }
    }
}

/// How many bytes a record, or an item, takes in memory: what the last pages showed, the largest of them for longest.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    bytes: usize,
}

impl Footprint {
    /// Not known yet: a guess on the safe side.
    const GUESS: usize = 16 * 1024;
    /// A page is 1 MB at the service; its values lie in memory with their names, tables and headers.
    pub const PAGE: usize = 4 * 1024 * 1024;

    /// As large as an item may be, where a page does not bound what its records take.
    pub const fn largest() -> Self {
        Self { bytes: 1024 * 1024 }
    }

    /// What so many records take.
    pub fn of(&self, records: usize) -> usize {
        records.saturating_mul(self.bytes).min(Self::PAGE)
    }

    /// How many records fit; at least one.
    pub fn fit(&self, bytes: usize) -> usize {
        (bytes / self.bytes).max(1)
    }

    /// A page of so many records took so many bytes.
    pub fn saw(&mut self, records: usize, bytes: usize) {
        if let Some(average) = bytes.checked_div(records) {
            self.bytes = average.max(self.bytes - self.bytes / 8).max(1);
        }
    }
}

impl Default for Footprint {
    fn default() -> Self {
        Self { bytes: Self::GUESS }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1_000;

    fn ask(lane: Lane) -> Ask {
        Ask { lane, least: 10, most: 100 }
    }

    fn give(lane: Lane, all: usize, copied: usize, own: usize) -> Result<usize, Short> {
        Room::new(LIMIT).give(ask(lane), Holding { all, copied, own })
    }

    #[test]
    fn a_request_gets_what_it_asks_for_and_less_where_room_is_short() {
        assert_eq!(give(Lane::Tail, 0, 0, 0), Ok(100));
        assert_eq!(give(Lane::Tail, 880, 0, 0), Ok(60), "half of what is free");
        assert_eq!(give(Lane::Tail, 981, 0, 0), Err(Short::Room));
        assert_eq!(give(Lane::Tail, 2_000, 0, 0), Err(Short::Room));
    }

    #[test]
    fn copied_items_leave_half_of_the_memory_to_changes() {
        assert_eq!(give(Lane::Copy, 490, 490, 0), Err(Short::Room));
        assert_eq!(give(Lane::Tail, 490, 490, 0), Ok(100));
        assert_eq!(give(Lane::Copy, 950, 100, 0), Ok(25));
    }

    #[test]
    fn what_is_too_large_is_read_all_the_same() {
        let huge = |lane| Ask { lane, least: 5_000, most: 5_000 };
        let holding = |all| Holding { all, copied: all, own: 0 };
        assert_eq!(Room::new(LIMIT).give(huge(Lane::Tail), holding(0)), Ok(500));
        assert_eq!(Room::new(LIMIT).give(huge(Lane::Copy), holding(300)), Ok(100));
        assert_eq!(Room::new(LIMIT).give(huge(Lane::Copy), holding(400)), Err(Short::Room));
    }

    proptest! {
        /// However many readers do not get on, and in whatever order they ask, another one still gets what it needs.
        #[test]
        fn readers_that_do_not_get_on_leave_room_for_others(stuck in 1_usize..20, order in proptest::collection::vec(0_usize..20, 200..2_000)) {
            let room = Room::new(100_000);
            let mut held = vec![0; stuck];
            for reader in order.into_iter().map(|reader| reader % stuck) {
                let all = held.iter().sum();
                if let Ok(given) = room.give(Ask { lane: Lane::Tail, least: 10, most: 400 }, Holding { all, copied: 0, own: held[reader] }) {
                    held[reader] += given;
                }
            }
            let all = held.iter().sum();
            prop_assert!(all <= 100_000);
            let newcomer = room.give(Ask { lane: Lane::Tail, least: 10, most: 400 }, Holding { all, copied: 0, own: 0 });
            prop_assert!(newcomer.is_ok());
            prop_assert!(held.iter().all(|held| *held <= 100_000 / 2 + 400));
        }
    }

    #[test]
    fn a_footprint_follows_large_pages_at_once_and_small_ones_slowly() {
        let mut footprint = Footprint::default();
        (0..60).for_each(|_| footprint.saw(10, 10_000));
        assert!((1_000..1_010).contains(&footprint.of(1)));
        assert_eq!(footprint.of(1_000_000), Footprint::PAGE);
        footprint.saw(2, 100_000);
        assert_eq!((footprint.of(1), footprint.fit(100_000), footprint.fit(1)), (50_000, 2, 1));
        footprint.saw(10, 10_000);
        assert_eq!(footprint.of(1), 43_750);
        footprint.saw(0, 0);
        assert_eq!(footprint.of(1), 43_750, "an empty page says nothing");
    }
}
