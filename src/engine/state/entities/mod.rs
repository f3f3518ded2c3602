//! What is durable about a migration: the entities of the state table.
//!
//! `meta` is the migration itself, `command` what operators ask, `records` the rest; a shard's is `protocol::lineage`'s.
//!
//! [`ENTITIES`] is the one list of them, in an order that matters: claimed from first to last, deleted by a reseed from last to first; `docs/adr/0002-state-table.md` tells the access patterns. Each has the version of its form
//! in its body, so that a binary knows what a newer one wrote and refuses it.

mod command;
mod meta;
mod records;

pub use self::command::{Answer, CommandRecord};
pub use self::meta::{CutoverRecord, Made, Meta, Product, Recorded, TableIdentity};
pub use self::records::{
    ClaimRecord, DirectoryRecord, EVENT_SECONDS, EventRecord, LeaseRecord, Live, Pin, QuarantineRecord, RestlessRecord,
    SegmentRecord,
};
use super::entry::{
    COMMAND, EVENT, Entity, Kind, LEASE, LIVE, META, PIN, QUARANTINE, RESTLESS, SEGMENT, SHARD, Written,
};
use crate::protocol::lineage::ShardRecord;

macro_rules! entities {
    ($($type:ty: $kind:expr,)+) => {
        $(
            impl Entity for $type {
                const KIND: Kind = $kind;
            }
        )+

        /// All kinds of entries, in the order in which a new lease holder claims them. A reseed deletes from the last to the first:
        /// whoever finds it half done must still find what was refused, or no progress.
        pub const ENTITIES: &[Kind] = &[$($kind),+];
    };
}

entities! {
    Meta: Kind { name: "META", form: 5, oldest: 5, sort: META, written: Written::ByHolder, of_generation: false },
    Pin: Kind { name: "PIN", form: 1, oldest: 1, sort: PIN, written: Written::ByHolder, of_generation: true },
    QuarantineRecord: Kind { name: "QUARANTINE", form: 2, oldest: 2, sort: QUARANTINE, written: Written::ByHolder, of_generation: true },
    SegmentRecord: Kind { name: "SEGMENT", form: 1, oldest: 1, sort: SEGMENT, written: Written::ByHolder, of_generation: true },
    ShardRecord: Kind { name: "SHARD", form: 1, oldest: 1, sort: SHARD, written: Written::ByHolder, of_generation: true },
    Live: Kind { name: "LIVE", form: 1, oldest: 1, sort: LIVE, written: Written::ByHolder, of_generation: false },
    RestlessRecord: Kind { name: "RESTLESS", form: 1, oldest: 1, sort: RESTLESS, written: Written::ByHolder, of_generation: false },
    LeaseRecord: Kind { name: "LEASE", form: 1, oldest: 1, sort: LEASE, written: Written::ByAnybody, of_generation: false },
    CommandRecord: Kind { name: "COMMAND", form: 2, oldest: 1, sort: COMMAND, written: Written::ByAnybody, of_generation: false },
    EventRecord: Kind { name: "EVENT", form: 1, oldest: 1, sort: EVENT, written: Written::Once, of_generation: false },
    // In partitions of their own.
    DirectoryRecord: Kind { name: "DIRECTORY", form: 1, oldest: 1, sort: "", written: Written::Once, of_generation: false },
    ClaimRecord: Kind { name: "TABLE", form: 1, oldest: 1, sort: "", written: Written::ByAnybody, of_generation: false },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listing by one kind's sort key finds no other kind.
    #[test]
    fn no_kind_is_taken_for_another() {
        let own: Vec<&Kind> = ENTITIES.iter().filter(|kind| !kind.sort.is_empty()).collect();
        for kind in &own {
            let found: Vec<&str> =
                own.iter().filter(|other| other.sort.starts_with(kind.sort)).map(|kind| kind.name).collect();
            assert_eq!(found, [kind.name]);
        }
    }

    /// What a reseed deletes, holders write: otherwise a late write would bring it back.
    #[test]
    fn what_belongs_to_a_generation_is_claimed() {
        let kept = ENTITIES.iter().filter(|kind| kind.of_generation);
        assert!(kept.clone().count() > 0 && kept.clone().all(|kind| kind.written == Written::ByHolder));
    }

    /// An empty sort key lists the whole partition: neither claiming nor deleting may do that.
    #[test]
    fn what_is_listed_has_a_sort_key() {
        let listed = |kind: &&Kind| kind.of_generation || kind.written == Written::ByHolder;
        assert!(ENTITIES.iter().filter(listed).all(|kind| !kind.sort.is_empty()));
    }
}
