//! Why a migration stops.

use crate::model::{KeyError, Place, UnknownType};
use crate::ports::PortError;
use crate::protocol::invariant::Violation;
use crate::protocol::lineage::Lost;
use crate::protocol::phase::Refused;

/// Why the engine stops.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// A request failed in a way that trying again does not mend.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Another process took the lease.
    #[error("the lease was taken over by another process")]
    LeaseLost,
    /// The process was asked to stop.
    #[error("stopped as asked")]
    Cancelled,
    /// History was lost: the migration needs a reseed.
    #[error("history was lost: {0}")]
    Lost(String),
    /// A rule of the protocol was seen broken.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// A phase does not allow what was to happen.
    #[error(transparent)]
    Phase(#[from] Refused),
    /// An entry of the state table cannot be read.
    #[error("the state table's entry {entry} {problem}")]
    State {
        /// The entry's sort key.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The migration cannot go on as things are, and says what to do.
    #[error("{problem}")]
    Refused {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The tables do not answer: this may pass.
    #[error("{0}")]
    Unanswered(String),
    /// An attribute has a type that this version does not know.
    #[error(transparent)]
    UnknownType(#[from] UnknownType),
    /// An item without a key.
    #[error("an item of the source has no key: {0}")]
    Key(#[from] KeyError),
    /// A task of the engine panicked.
    #[error("a task failed unexpectedly: {0}")]
    Task(String),
}

impl EngineError {
    /// A refusal with what to do.
    pub fn refused(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into(), hint: hint.into() }
    }

    /// The same, a failed request saying where the table is that it was about.
    #[must_use]
    pub fn located(self, places: &[Place]) -> Self {
        let Self::Port(error) = self else { return self };
        // Source and shadow may have one name, in two regions or accounts.
        let named = places.iter().filter(|place| place.table == error.resource);
        let mut named: Vec<String> = named.map(ToString::to_string).collect();
        named.dedup();
        if named.is_empty() {
            return Self::Port(error);
        }
        Self::Port(PortError { resource: named.join(" or "), ..error })
    }

    /// Whether it shows a defect of this program, after which it must not go on.
    pub const fn is_defect(&self) -> bool {
        matches!(self, Self::Violation(_) | Self::Task(_))
    }

    /// What the operator can do, shown as `hint:`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Port(error) => error.hint(),
            Self::Refused { hint, .. } => Some(hint.clone()),
            Self::Lost(_) => Some(
                "start over with an empty shadow: `shadowtable reseed`; if the source is gone, keep the shadow".into(),
            ),
            Self::State { .. } => Some("run the newest version of shadowtable that has run this migration".into()),
            Self::UnknownType(_) => {
                Some("use a newer version of shadowtable; nothing was copied without the attribute".into())
            }
            Self::Violation(_) | Self::Task(_) => {
                Some("this is a defect of shadowtable: nothing more was written; please report it with the log".into())
            }
            Self::Unanswered(_) => Some("see in the log which table it is, and why".into()),
            Self::LeaseLost | Self::Cancelled | Self::Phase(_) | Self::Key(_) => None,
        }
    }
}

impl From<Lost> for EngineError {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Fault;

    fn located(resource: &str) -> String {
        let place =
            |table: &str, region: &str| Place { table: table.into(), region: Some(region.into()), ..Place::default() };
        let places = [place("orders", "eu-central-1"), place("orders", "us-east-1"), place("state", "eu-central-1")];
        let (operation, message) = ("Scan", "no".to_owned());
        let error = PortError { fault: Fault::Denied, operation, resource: resource.into(), message };
        EngineError::from(error).located(&places).to_string()
    }

    #[test]
    fn a_failed_request_says_where_its_table_is() {
        assert_eq!(located("state"), "Scan on state (eu-central-1) failed: no");
        // Of two tables of one name it may be either.
        assert_eq!(located("orders"), "Scan on orders (eu-central-1) or orders (us-east-1) failed: no");
        assert_eq!(located("a stream"), "Scan on a stream failed: no");
    }
}
