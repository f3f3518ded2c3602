//! The eight rules that make the protocol right, by number.

use std::fmt;

/// A rule that must hold at every moment. A check that fails is counted under its number in
/// `shadowtable_invariant_violations_total` and stops the process: going on would risk customers' data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// 1. Per shadow key, writes are serialised: a different image is sent only when the previous one has a definite
    ///    outcome and no abandoned request is younger than the bound.
    SerialWrites,
    /// 2. A copied image is dropped if a change to its source key was offered after its page's read began.
    OvertakenCopies,
    /// 3. A shard's checkpoint passes a record only when that record, or a later one for the same shadow key in that
    ///    lineage, is durable or durably quarantined.
    DurableCheckpoints,
    /// 4. A child shard is read only when all of its parent's records are durable and the parent's final checkpoint is
    ///    stored.
    ParentsFirst,
    /// 5. A segment's cursor passes a page only when all its items are durable, superseded or quarantined.
    DurableCursors,
    /// 6. Only the lease holder writes to the shadow, and it stops writing before its lease can be taken. Every durable
    ///    write it makes is conditional on its epoch.
    OneWriter,
    /// 7. A phase changes only through the transition function, conditionally on the version read.
    PhaseTransitions,
    /// 8. Trimmed history is never skipped: the migration stops as `needs-reseed`.
    NothingSkipped,
}

impl Invariant {
    /// All of them, for metrics that exist from the start.
    pub const ALL: [Self; 8] = [
        Self::SerialWrites,
        Self::OvertakenCopies,
        Self::DurableCheckpoints,
        Self::ParentsFirst,
        Self::DurableCursors,
        Self::OneWriter,
        Self::PhaseTransitions,
        Self::NothingSkipped,
    ];

    /// Its number, as cited in documents, tests and metrics.
    pub const fn id(self) -> &'static str {
        match self {
            Self::SerialWrites => "1",
            Self::OvertakenCopies => "2",
            Self::DurableCheckpoints => "3",
            Self::ParentsFirst => "4",
            Self::DurableCursors => "5",
            Self::OneWriter => "6",
            Self::PhaseTransitions => "7",
            Self::NothingSkipped => "8",
        }
    }
}

/// A rule was seen broken. This is a defect of the program, never of its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {} was violated: {detail}", invariant.id())]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// What was seen, without item values or keys.
    pub detail: String,
}

impl Violation {
    /// A violation of `invariant`.
    pub fn new(invariant: Invariant, detail: impl fmt::Display) -> Self {
        Self { invariant, detail: detail.to_string() }
    }
}
