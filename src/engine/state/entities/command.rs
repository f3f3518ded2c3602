//! What operators ask, and what they are answered.

use serde::{Deserialize, Serialize};

use super::meta::Paused;
use crate::model::Timestamp;
use crate::protocol::checklist::Point;
use crate::protocol::cutover::Gate;

/// `COMMAND#<ulid>`: what an operator asked of the active process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// What is asked.
    pub verb: CommandVerb,
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

/// What an operator can ask of the active process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum CommandVerb {
    /// Pause or resume.
    Pause {
        /// What shall be paused from now on.
        paused: Paused,
    },
    /// End the migration.
    Abort,
    /// Begin a cutover, or only look at its gates.
    Cutover {
        /// Only look.
        dry_run: bool,
        /// Who asks.
        by: String,
        /// The operator vouches that writes to the source are stopped.
        fenced: bool,
    },
    /// Compare what surrounds source and shadow.
    Checklist,
    /// Try the switch again.
    SwitchAgain,
    /// The operator vouches that the application uses the shadow.
    DeclareSwitched,
    /// Give the cutover up and allow writes to the source again. After the switch's intent: the operator vouches that
    /// nothing writes to the shadow.
    GiveUp {
        /// The operator vouches for it.
        vouched: bool,
    },
    /// While a fence is being undone: the operator vouches that it is.
    DeclareUnfenced,
    /// Put cutovers off, or allow them again.
    Postpone {
        /// Whether they are put off.
        postponed: bool,
    },
    /// End the migration after its switch.
    Finish,
    /// Read quarantined items again.
    Retry {
        /// Their ids; all when empty.
        ids: Vec<String>,
    },
    /// What a later version of the program knows.
    #[serde(other)]
    Unknown,
}

impl CommandVerb {
    /// What is changed by it, for the audit trail; none where it only looks.
    pub fn change(&self) -> Option<String> {
        Some(match self {
            Self::Pause { paused: Paused::None } => "resume".to_owned(),
            Self::Pause { paused } => format!("pause {}", paused.as_str()),
            Self::Abort => "abort".to_owned(),
            Self::Cutover { dry_run: false, .. } => "cutover".to_owned(),
            Self::SwitchAgain => "cutover --again".to_owned(),
            Self::DeclareSwitched => "cutover --declare-switched".to_owned(),
            Self::GiveUp { vouched: false } => "unfence".to_owned(),
            Self::GiveUp { vouched: true } | Self::DeclareUnfenced => "unfence --vouch".to_owned(),
            Self::Postpone { postponed: true } => "postpone".to_owned(),
            Self::Postpone { postponed: false } => "postpone --off".to_owned(),
            Self::Finish => "finish".to_owned(),
            Self::Retry { .. } => "quarantine retry".to_owned(),
            Self::Cutover { dry_run: true, .. } | Self::Checklist | Self::Unknown => return None,
        })
    }
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
    /// An answer without gates and checklist.
    pub fn new(done: bool, message: impl Into<String>) -> Self {
        Self { done, message: message.into(), gates: Vec::new(), checklist: Vec::new() }
    }
}
