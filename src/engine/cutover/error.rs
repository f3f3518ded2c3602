//! Why a step of a cutover failed.

use std::time::Duration;

use super::Occasion;
use crate::engine::EngineError;
use crate::engine::replicate::tail::Disturbance;
use crate::model::{Key, Side};
use crate::ports::{PortError, Program, ProgramFailure};

/// A step that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct StepFailure {
    /// Why.
    #[source]
    pub why: Failure,
    /// It was never begun: for certain nothing was done, by this attempt.
    pub not_begun: bool,
}

/// Why a step failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration does not say how.
    #[error("no [cutover] {0} is configured")]
    NotConfigured(&'static str),
    /// It does not say any more how a fence is undone.
    #[error("no [cutover] fence is configured any more, so nothing tells how to undo it")]
    NoUnfence,
    /// The fence that may stand is another process's, which has put it up in another way.
    #[error(
        "{0}; run with the configuration of the fence, or open the source by hand, then: `shadowtable unfence --vouch`"
    )]
    ForeignFence(String),
    /// A hook that may end a cutover did.
    #[error("the hook {occasion} failed: {failure}")]
    Hook {
        /// Which.
        occasion: Occasion,
        /// How it ended.
        #[source]
        failure: ProgramFailure,
    },
    /// An operator's program failed.
    #[error("the {occasion}'s program {program}: {failure}")]
    Program {
        /// What it was run for.
        occasion: Occasion,
        /// Which.
        program: Program,
        /// How it ended.
        #[source]
        failure: ProgramFailure,
    },
    /// When the fence stood is not known.
    #[error("the fence's time is not known")]
    NoFence,
    /// It was not proven that every change is applied.
    #[error("the {leader} did not come to rest within {} s: {obstacle}", limit.as_secs_f64())]
    NoRest {
        /// The table that was fenced.
        leader: Side,
        /// `cutover.drain_timeout_seconds`.
        limit: Duration,
        /// What was last in the way.
        #[source]
        obstacle: Obstacle,
        /// Keys that changed meanwhile, the newest first.
        keys: Vec<Key>,
    },
    /// Something went to quarantine after the gates held.
    #[error("{0} changes went to quarantine since the cutover began: see `shadowtable quarantine list`")]
    Quarantined(usize),
    /// Keys that changed lately are not equal on both sides.
    #[error("source and shadow differ: {}", .0.join("; "))]
    Different(Vec<String>),
    /// They could not be compared.
    #[error(transparent)]
    Comparison(#[from] EngineError),
    /// The pointer names neither table, or the wrong one.
    #[error("the pointer names {named:?}, which is not {expected}")]
    PointsElsewhere {
        /// What it names.
        named: String,
        /// What it should name before the switch.
        expected: String,
    },
    /// There is no pointer.
    #[error("there is no pointer")]
    NoPointer,
    /// The pointer could not be read or written.
    #[error("the pointer cannot be moved: {0}")]
    Pointer(#[source] PortError),
    /// The table was fenced for too long.
    #[error("the cutover took longer than cutover.fenced_limit_seconds ({} s)", .0.as_secs_f64())]
    TooLong(Duration),
    /// The lease ran out: somebody else may do the same from then on.
    #[error("the lease ran out meanwhile")]
    LeaseRanOut,
}

/// What stands against it that every change is applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// When the fence stood is not known.
    #[error("the fence's time is not known")]
    NoFence,
    /// The stream was not read, or changes came.
    #[error(transparent)]
    Stream(#[from] Disturbance),
    /// So many writes are offered and not durable, or a request that was given up may take effect.
    #[error("{0} writes are not durable yet, or a request may still land")]
    Writes(usize),
    /// It has been quiet, and not for long enough.
    #[error("no change arrived for {:.1} of {:.1} s", quiet.as_secs_f64(), needed.as_secs_f64())]
    TooSoon {
        /// For so long.
        quiet: Duration,
        /// `cutover.quiet_seconds`.
        needed: Duration,
    },
    /// One listing of the shards may be inconsistent.
    #[error("the shards are listed once more")]
    OneListing,
    /// What the drain told no longer holds.
    #[error("a change arrived after the drain")]
    Changed,
}

impl StepFailure {
    /// For certain nothing was done.
    pub(super) fn not_begun(why: Failure) -> Self {
        Self { why, not_begun: true }
    }

    /// Keys that changed though they should not have, the newest first.
    pub fn keys(&self) -> &[Key] {
        match &self.why {
            Failure::NoRest { keys, .. } => keys,
            _ => &[],
        }
    }
}

impl<F: Into<Failure>> From<F> for StepFailure {
    fn from(why: F) -> Self {
        Self { why: why.into(), not_begun: false }
    }
}
