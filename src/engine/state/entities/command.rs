//! What operators ask, and what they are answered.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::protocol::checklist::Point;
use crate::protocol::command::Verb;
use crate::protocol::cutover::Gate;

/// `COMMAND#<ulid>`: what an operator asked of the active process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// What is asked.
    pub verb: Verb,
    /// Who asks: an identity, or a user and a machine.
    #[serde(default)]
    pub by: String,
    /// When, on the service's clock as the operator's machine knows it.
    pub at: Timestamp,
    /// A process is at it: whoever asked can no longer be sure that it is not done.
    #[serde(default)]
    pub begun: bool,
    /// What came of it; absent until the active process has done it.
    pub answer: Option<Answer>,
}

/// The active process's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why not.
    pub message: String,
    /// The gates of a cutover, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// The points of the checklist, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<Point>,
}

impl Answer {
    /// To a command that was done by a process which could not answer.
    pub fn unheard() -> Self {
        Self::new(true, "it was done; the process that did it ended before it could say more")
    }

    /// An answer without gates and checklist.
    pub fn new(done: bool, message: impl Into<String>) -> Self {
        Self { done, message: message.into(), gates: Vec::new(), checklist: Vec::new() }
    }
}
