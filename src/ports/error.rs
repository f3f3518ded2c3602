//! What can go wrong with a request, by what it means for us.

use std::fmt;

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on {resource} failed: {message}")]
pub struct PortError {
    /// What it means.
    pub fault: Fault,
    /// The service's name of the operation, such as `BatchWriteItem`.
    pub operation: &'static str,
    /// The table, stream or shard that was meant.
    pub resource: String,
    /// What the service or the network said.
    pub message: String,
}

/// What a failed request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Refused for lack of capacity: definitely not done, and worth trying again.
    Throttled,
    /// The same, where one partition of a table or an index lacks it: what goes to other partitions is not concerned.
    PartitionThrottled,
    /// Given up without an answer (time-out, reset, refused connection, 5xx): it may still take effect.
    Abandoned,
    /// Refused for its content: definitely not done, and never will be.
    Rejected,
    /// A condition did not hold: definitely not done.
    Conflict,
    /// The table, stream or shard is not there.
    Missing,
    /// The resource is being changed, or already is as asked.
    Busy,
    /// The principal may not do this.
    Denied,
    /// The credentials are missing, wrong or expired.
    Credentials,
    /// The iterator is older than 15 minutes.
    IteratorExpired,
    /// The records asked for are no longer kept.
    Trimmed,
    /// Nothing above: unknown stops, it does not retry.
    Unknown,
}

/// What to do about a fault when no caller knows better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Try the same again, waiting longer each time.
    BackOff,
    /// The caller must decide: the fault is an answer.
    Answer,
    /// Stop and tell the operator.
    Stop,
}

impl Fault {
    /// What to do about it. Credentials are waited for: the chain refreshes them, and lag tells meanwhile; at the
    /// start they are checked and refused at once.
    pub const fn reaction(self) -> Reaction {
        match self {
            Self::Throttled | Self::PartitionThrottled | Self::Abandoned | Self::Credentials => Reaction::BackOff,
            Self::Conflict | Self::Rejected | Self::Busy | Self::IteratorExpired | Self::Trimmed | Self::Missing => {
                Reaction::Answer
            }
            Self::Denied | Self::Unknown => Reaction::Stop,
        }
    }

    /// Whether the request definitely did not take effect, or definitely was refused.
    pub const fn is_definite(self) -> bool {
        !matches!(self, Self::Abandoned)
    }

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::PartitionThrottled => "partition_throttled",
            Self::Abandoned => "abandoned",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Missing => "missing",
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Credentials => "credentials",
            Self::IteratorExpired => "iterator_expired",
            Self::Trimmed => "trimmed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl PortError {
    /// What the operator can do about it, shown as `hint:`.
    pub fn hint(&self) -> Option<String> {
        let Self { operation, resource, .. } = self;
        match self.fault {
            Fault::Denied => Some(format!("allow {}:{operation} on {resource} for the principal that asked, then try again", service(operation))),
            Fault::Credentials => Some(
                "renew the credentials (for SSO: `aws sso login`; otherwise check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN), then try again".into(),
            ),
            Fault::Missing => Some(format!("check that {resource} exists in the configured region and endpoint")),
            Fault::Throttled => Some(format!("raise the capacity of {resource} or lower the configured budgets")),
            Fault::PartitionThrottled => Some(format!("a partition of {resource} is hot: see the keys that are written most, or wait")),
            Fault::Abandoned => Some("check the network path and the endpoint; nothing was lost, run again to resume".into()),
            Fault::Busy => Some(format!("wait until {resource} is ACTIVE, then run again")),
            Fault::Rejected | Fault::Conflict | Fault::IteratorExpired | Fault::Trimmed | Fault::Unknown => None,
        }
    }
}

/// The service of an operation, as permissions name it.
fn service(operation: &str) -> &'static str {
    match operation {
        "GetParameter" | "PutParameter" => "ssm",
        "GetCallerIdentity" | "AssumeRole" => "sts",
        _ => "dynamodb",
    }
}
