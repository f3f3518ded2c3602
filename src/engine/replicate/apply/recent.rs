//! Which source keys changed last: a cutover compares them on both sides.

use std::collections::HashMap;

use crate::model::Key;

/// The source keys that changed last, each with the number of its last change.
#[derive(Clone, Debug)]
pub struct Recent {
    changes: u64,
    keys: HashMap<Key, u64>,
    limit: usize,
}

impl Recent {
    /// Remembers so many.
    pub fn new(limit: usize) -> Self {
        Self { changes: 0, keys: HashMap::new(), limit }
    }

    /// A change to `source` is offered.
    pub fn note(&mut self, source: &Key) {
        self.changes += 1;
        self.keys.insert(source.clone(), self.changes);
        // Twice as many are let in, so that sorting out the oldest costs little for each.
        if self.keys.len() > self.limit.saturating_mul(2) {
            let newest = self.newest();
            self.keys.retain(|_, change| newest.first().is_some_and(|(oldest, _)| *change >= *oldest));
        }
    }

    /// How many changes were offered so far: what [`since`](Self::since) takes.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Keys that changed after that many changes, the newest first, at most `limit` of them.
    pub fn since(&self, changes: u64, limit: usize) -> Vec<Key> {
        let mut keys: Vec<_> = self.keys.iter().filter(|(_, change)| **change > changes).collect();
        keys.sort_unstable_by_key(|(_, change)| std::cmp::Reverse(**change));
        keys.into_iter().take(limit).map(|(key, _)| key.clone()).collect()
    }

    /// As many as the limit allows, oldest first.
    pub fn keys(&self) -> Vec<Key> {
        self.newest().into_iter().map(|(_, key)| key).collect()
    }

    fn newest(&self) -> Vec<(u64, Key)> {
        let mut keys: Vec<_> = self.keys.iter().map(|(key, change)| (*change, key.clone())).collect();
        keys.sort_unstable_by_key(|(change, _)| *change);
        keys.split_off(keys.len().saturating_sub(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::slots::testing::key;

    #[test]
    fn the_last_ones_are_remembered_each_once() {
        let mut recent = Recent::new(2);
        for id in ["a", "b", "c", "a", "d", "a"] {
            recent.note(&key(id));
        }
        assert_eq!(recent.keys(), [key("d"), key("a")]);
        let then = recent.changes();
        assert_eq!(recent.since(then, 5), []);
        recent.note(&key("e"));
        recent.note(&key("f"));
        assert_eq!((recent.since(then, 5), recent.since(then, 1)), (vec![key("f"), key("e")], vec![key("f")]));
    }

    #[test]
    fn memory_is_bounded_and_none_may_be_asked_for() {
        let mut recent = Recent::new(10);
        (0..1_000).for_each(|number: u32| recent.note(&key(&number.to_string())));
        assert!(recent.keys.len() <= 20);
        assert_eq!(recent.keys().len(), 10);
        let mut none = Recent::new(0);
        none.note(&key("a"));
        assert!(none.keys().is_empty());
    }
}
