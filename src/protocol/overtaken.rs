//! Invariant 2: a copied image is dropped if a change to its source key was offered after its page's read began.
//!
//! A consistent read that began *later* than a change was offered already shows it, so its image is as new. One that
//! began *earlier* may be older than the change: writing it behind the change would bring a deleted item back, or an
//! old image over a new one. So every page notes a tick before its request is sent, and the tick at which each source
//! key's last change was offered is remembered for as long as a page that began before it may still offer items.

use std::collections::{BTreeSet, HashMap};

use super::invariant::{Invariant, Violation};
use crate::model::Key;

/// A page being read: from before its request is sent until all its items are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageRead(u64);

/// Which source keys changed since which pages began.
#[derive(Debug)]
pub struct Overtaken {
    tick: u64,
    reading: BTreeSet<PageRead>,
    offered: HashMap<Key, u64>,
    limit: usize,
    discarded: u64,
}

impl Overtaken {
    /// Remembers at most `limit` source keys; beyond it the oldest page must be read again.
    pub fn new(limit: usize) -> Self {
        Self { tick: 0, reading: BTreeSet::new(), offered: HashMap::new(), limit, discarded: 0 }
    }

    /// To be called before a page's request is sent.
    pub fn begin(&mut self) -> PageRead {
        self.tick += 1;
        let page = PageRead(self.tick);
        self.reading.insert(page);
        page
    }

    /// All of the page's items were offered, or the page was given up.
    pub fn end(&mut self, page: PageRead) {
        self.reading.remove(&page);
        if self.reading.is_empty() {
            self.offered.clear();
        }
    }

    /// Whether the page may still offer items; otherwise it must be read again.
    pub fn is_current(&self, page: PageRead) -> bool {
        self.reading.contains(&page)
    }

    /// A change to `source` is offered now.
    pub fn offered(&mut self, source: &Key) {
        if self.reading.is_empty() {
            return;
        }
        self.offered.insert(source.clone(), self.tick);
        while self.offered.len() > self.limit {
            self.forget_finished();
            if self.offered.len() <= self.limit || self.reading.pop_first().is_none() {
                break;
            }
            self.discarded += 1;
            self.forget_finished();
        }
    }

    /// Whether a change to `source` was offered after the page's read began. Only of a page that is being read: what
    /// overtook another may be forgotten already.
    pub fn overtook(&self, source: &Key, page: PageRead) -> Result<bool, Violation> {
        if !self.is_current(page) {
            let detail = "an item was offered of a page that is no longer being read";
            return Err(Violation::new(Invariant::OvertakenCopies, detail));
        }
        Ok(self.offered.get(source).is_some_and(|&tick| tick >= page.0))
    }

    /// How many pages had to be read again for lack of room.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Forgets changes that were offered before every page that is still being read began.
    fn forget_finished(&mut self) {
        match self.reading.first() {
            Some(oldest) => self.offered.retain(|_, tick| *tick >= oldest.0),
            None => self.offered.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::slots::testing::key;

    #[test]
    fn a_change_offered_during_the_read_overtakes_the_page() {
        let mut overtaken = Overtaken::new(10);
        overtaken.offered(&key("before"));
        let page = overtaken.begin();
        overtaken.offered(&key("during"));
        assert_eq!(overtaken.overtook(&key("before"), page), Ok(false));
        assert_eq!(overtaken.overtook(&key("during"), page), Ok(true));
    }

    #[test]
    fn a_page_begun_after_the_change_shows_it_already() {
        let mut overtaken = Overtaken::new(10);
        let early = overtaken.begin();
        overtaken.offered(&key("a"));
        let late = overtaken.begin();
        assert_eq!(overtaken.overtook(&key("a"), early), Ok(true));
        assert_eq!(overtaken.overtook(&key("a"), late), Ok(false));
    }

    #[test]
    fn nothing_can_be_said_of_a_page_that_is_no_longer_being_read() {
        let mut overtaken = Overtaken::new(10);
        let page = overtaken.begin();
        overtaken.offered(&key("a"));
        overtaken.end(page);
        let violation = overtaken.overtook(&key("a"), page).unwrap_err();
        assert_eq!(violation.invariant, Invariant::OvertakenCopies);
    }

    #[test]
    fn at_its_cap_the_oldest_page_is_given_up_and_newer_ones_are_kept() {
        let mut overtaken = Overtaken::new(2);
        let old = overtaken.begin();
        overtaken.offered(&key("a"));
        let new = overtaken.begin();
        overtaken.offered(&key("b"));
        overtaken.offered(&key("c"));
        assert!(!overtaken.is_current(old));
        assert!(overtaken.is_current(new));
        assert_eq!(overtaken.overtook(&key("b"), new), Ok(true));
        assert_eq!(overtaken.overtook(&key("c"), new), Ok(true));
        assert_eq!(overtaken.discarded(), 1);
    }

    #[test]
    fn a_page_that_alone_exceeds_the_cap_is_given_up_rather_than_trusted() {
        let mut overtaken = Overtaken::new(1);
        let page = overtaken.begin();
        overtaken.offered(&key("a"));
        overtaken.offered(&key("b"));
        assert!(!overtaken.is_current(page));
    }
}
