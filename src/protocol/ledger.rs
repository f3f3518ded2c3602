//! Invariants 3 and 5: progress moves only behind what is durable.
//!
//! Each reader (a shard, a segment) has a ledger of units in the order in which they were offered: a record, or a page.
//! A unit is settled when all its writes are durable, superseded by a durable one, or durably quarantined. The mark of
//! the longest settled prefix is what a checkpoint may say.

use std::collections::BTreeMap;

/// A unit's number within its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(u64);

/// The units of one reader, in order. Of those that are settled, only marks are kept that progress may still say: one before
/// each open unit. So it is as large as what is open, however long that is.
#[derive(Debug)]
pub struct Ledger<M> {
    next: u64,
    open: BTreeMap<Unit, State<M>>,
    settled: Option<M>,
}

#[derive(Debug)]
struct State<M> {
    /// Writes not yet settled, and one more while the unit is still being offered.
    open: usize,
    /// What progress may say once this unit is settled; `None` for a unit that was given up.
    mark: Option<M>,
    /// The mark of the last of the settled units that follow this one, up to the next open one.
    behind: Option<M>,
}

impl<M> Default for Ledger<M> {
    fn default() -> Self {
        Self { next: 0, open: BTreeMap::new(), settled: None }
    }
}

impl<M> Ledger<M> {
    /// Opens the next unit. It stays open until [`Ledger::close`].
    pub fn open(&mut self, mark: M) -> Unit {
        let unit = Unit(self.next);
        self.next += 1;
        self.open.insert(unit, State { open: 1, mark: Some(mark), behind: None });
        unit
    }

    /// One more write belongs to the unit.
    pub fn add(&mut self, unit: Unit) {
        if let Some(state) = self.open.get_mut(&unit) {
            state.open += 1;
        }
    }

    /// All writes of the unit have been added.
    pub fn close(&mut self, unit: Unit) {
        self.settle(unit);
    }

    /// The unit's reader reads it again as a new unit: this one counts for nothing.
    pub fn give_up(&mut self, unit: Unit) {
        if let Some(state) = self.open.get_mut(&unit) {
            state.mark = None;
        }
        self.settle(unit);
    }

    /// One of the unit's writes is settled.
    pub fn settle(&mut self, unit: Unit) {
        let Some(state) = self.open.get_mut(&unit) else { return };
        state.open = state.open.saturating_sub(1);
        if state.open > 0 {
            return;
        }
        let Some(State { mark, behind, .. }) = self.open.remove(&unit) else { return };
        if let Some(mark) = behind.or(mark) {
            match self.open.range_mut(..unit).next_back() {
                Some((_, before)) => before.behind = Some(mark),
                None => self.settled = Some(mark),
            }
        }
    }

    /// The mark of the last unit of the settled prefix; `None` until the first.
    pub fn settled(&self) -> Option<&M> {
        self.settled.as_ref()
    }

    /// The mark of the oldest unit that is not settled.
    pub fn oldest_open(&self) -> Option<&M> {
        self.open.values().find_map(|state| state.mark.as_ref())
    }

    /// Whether everything that was offered is settled.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn progress_does_not_pass_an_unsettled_unit() {
        let mut ledger = Ledger::default();
        let units: Vec<_> = (1..=3)
            .map(|mark| {
                let unit = ledger.open(mark);
                ledger.add(unit);
                ledger.close(unit);
                unit
            })
            .collect();
        ledger.settle(units[1]);
        ledger.settle(units[2]);
        assert_eq!(ledger.settled(), None);
        assert_eq!(ledger.oldest_open(), Some(&1));
        ledger.settle(units[0]);
        assert_eq!(ledger.settled(), Some(&3));
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_unit_without_writes_is_settled_when_it_is_closed_and_not_before() {
        let mut ledger = Ledger::default();
        let unit = ledger.open(7);
        assert_eq!(ledger.settled(), None);
        ledger.close(unit);
        assert_eq!(ledger.settled(), Some(&7));
    }

    #[test]
    fn a_unit_given_up_moves_nothing() {
        let mut ledger = Ledger::default();
        let unit = ledger.open(1);
        ledger.add(unit);
        ledger.give_up(unit);
        let again = ledger.open(2);
        ledger.close(again);
        assert_eq!(ledger.settled(), None);
        ledger.settle(unit);
        assert_eq!(ledger.settled(), Some(&2));
    }

    #[test]
    fn what_is_settled_behind_something_open_takes_no_room() {
        let mut ledger = Ledger::default();
        let stuck = ledger.open(0);
        for mark in 1..=10_000 {
            let unit = ledger.open(mark);
            ledger.close(unit);
        }
        assert_eq!((ledger.open.len(), ledger.settled()), (1, None));
        ledger.close(stuck);
        assert_eq!(ledger.settled(), Some(&10_000));
    }

    proptest! {
        #[test]
        fn the_mark_is_always_that_of_the_longest_settled_prefix(order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ledger = Ledger::default();
            let units: Vec<_> = (0..40usize).map(|mark| { let unit = ledger.open(mark); ledger.add(unit); ledger.close(unit); unit }).collect();
            let mut settled = [false; 40];
            for index in order {
                ledger.settle(units[index]);
                settled[index] = true;
                let prefix = settled.iter().take_while(|done| **done).count();
                prop_assert_eq!(ledger.settled().copied(), prefix.checked_sub(1));
            }
        }
    }
}
