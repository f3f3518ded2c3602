//! What the application does next. Pure: chance comes from a seeded source.

use std::collections::{HashMap, HashSet};

use fastrand::Rng;

use super::approvals::{ApprovalKey, approval, event};
use crate::model::{AttributeValue, Item, Key, KeyError, KeySchema};

/// What is known of the approvals that one writer looks after. Nobody else writes to them.
#[derive(Debug)]
pub(super) struct Book {
    rng: Rng,
    keys: Vec<ApprovalKey>,
    /// The number of the next new approval, and how far it is to the one after.
    next: u32,
    step: u32,
    /// So many approvals stay in any case.
    floor: usize,
}

/// One request of the application.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// A new approval.
    Insert(Item),
    /// An approval moves on.
    Update {
        /// Which.
        key: ApprovalKey,
        /// To this status.
        status: &'static str,
    },
    /// An approval is withdrawn.
    Delete(ApprovalKey),
}

impl Deed {
    /// Does to `items` what the request does to the table, as it was answered. `users` are those whose approvals it
    /// touches.
    pub(super) fn replay(
        &self,
        items: &mut HashMap<Key, Item>,
        users: &mut HashSet<String>,
        schema: &KeySchema,
    ) -> Result<(), KeyError> {
        let user = |item: &Item| item.get("user_id").and_then(|user| user.as_s().ok().cloned());
        match self {
            Self::Insert(item) => {
                users.extend(user(item));
                items.insert(item.key(schema)?, item.clone());
            }
            Self::Update { key, status } => {
                if let Some(item) = items.get_mut(&schema.key_of(&key.attributes())?) {
                    users.extend(user(item));
                    decide(item, status);
                }
            }
            Self::Delete(key) => {
                users.extend(items.remove(&schema.key_of(&key.attributes())?).as_ref().and_then(user));
            }
        }
        Ok(())
    }
}

/// What an update's expression does to an approval.
fn decide(item: &mut Item, status: &str) {
    let mut history = match item.get("history") {
        Some(AttributeValue::L(history)) => history.clone(),
        _ => Vec::new(),
    };
    history.push(event(status, 1));
    let revision = match item.get("revision") {
        Some(AttributeValue::N(revision)) => revision.parse::<u64>().unwrap_or(0),
        _ => 0,
    };
    item.set("status", AttributeValue::S(status.to_owned()));
    item.set("history", AttributeValue::L(history));
    item.set("revision", AttributeValue::N((revision + 1).to_string()));
}

impl Book {
    /// The book of writer `writer` of `writers`: every so-manieth of the first `items` approvals, and of the new ones.
    pub(super) fn new(seed: u64, writer: u32, writers: u32, items: u32) -> Self {
        let step = usize::try_from(writers).unwrap_or(usize::MAX);
        let keys: Vec<_> = (writer..items).step_by(step).map(ApprovalKey::numbered).collect();
        // The first new number of this writer's.
        let next = items.next_multiple_of(writers).saturating_add(writer);
        let rng = Rng::with_seed(seed.wrapping_add(u64::from(writer)));
        Self { rng, floor: (keys.len() / 2).max(1), keys, next, step: writers }
    }

    /// The next requests, to be sent one after the other. Some approvals are decided in one go: such changes to one key
    /// follow each other closely and may coalesce.
    pub(super) fn next(&mut self) -> Vec<Deed> {
        let drawn = self.rng.u32(..100);
        let chosen = self.rng.usize(..self.keys.len().max(1));
        match self.keys.get(chosen).cloned() {
            Some(key) if drawn < 15 && self.keys.len() > self.floor => {
                self.keys.swap_remove(chosen);
                vec![Deed::Delete(key)]
            }
            Some(key) if (15..25).contains(&drawn) => {
                ["PENDING", "ESCALATED", "APPROVED"].map(|status| Deed::Update { key: key.clone(), status }).into()
            }
            Some(key) if (25..75).contains(&drawn) => {
                let status = if self.rng.bool() { "APPROVED" } else { "REJECTED" };
                vec![Deed::Update { key, status }]
            }
            _ => {
                let key = ApprovalKey::numbered(self.next);
                self.next = self.next.saturating_add(self.step);
                let item = approval(&key, &mut self.rng);
                self.keys.push(key);
                vec![Deed::Insert(item)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::cli::verbs::demo::approvals::source_layout;

    /// The keys that `deeds` of one book leave, from those it began with.
    fn replay(book: &mut Book, rounds: u32) -> [u32; 3] {
        let schema = source_layout().key_schema();
        let mut there: HashSet<_> = book.keys.iter().map(|key| schema.key_of(&key.attributes()).unwrap()).collect();
        let mut counts = [0; 3];
        for deed in (0..rounds).flat_map(|_| book.next()) {
            match deed {
                Deed::Insert(item) => {
                    counts[0] += 1;
                    assert!(there.insert(item.key(&schema).unwrap()), "an insert takes a new key");
                }
                Deed::Update { key, .. } => {
                    counts[1] += 1;
                    assert!(there.contains(&schema.key_of(&key.attributes()).unwrap()), "an update finds its item");
                }
                Deed::Delete(key) => {
                    counts[2] += 1;
                    assert!(there.remove(&schema.key_of(&key.attributes()).unwrap()), "a deletion finds its item");
                }
            }
        }
        assert_eq!(there.len(), book.keys.len());
        counts
    }

    #[test]
    fn a_book_inserts_updates_and_deletes_what_is_there() {
        let counts = replay(&mut Book::new(1, 2, 4, 1_000), 1_000);
        assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
    }

    #[test]
    fn a_small_table_does_not_run_empty() {
        for items in 0..8 {
            let mut book = Book::new(items.into(), 0, 1, items);
            replay(&mut book, 500);
            assert!(!book.keys.is_empty());
        }
    }

    #[test]
    fn writers_never_meet() {
        for items in [0, 1, 5, 998] {
            let mut seen = HashSet::new();
            for writer in 0..4 {
                let mut book = Book::new(1, writer, 4, items);
                let fresh = (0..200).flat_map(|_| book.next()).filter_map(|deed| match deed {
                    Deed::Insert(item) => Some(item.get("task_id").cloned().zip(item.get("approval_id").cloned())),
                    _ => None,
                });
                for key in fresh {
                    let key = key.unwrap();
                    assert!(seen.insert(format!("{key:?}")), "{key:?}");
                }
            }
        }
    }
}
