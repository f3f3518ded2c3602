//! The ports on the AWS SDK: the only place that calls it.
//!
//! What lives here: one file per port ([`reader`](AwsTableReader), [`feed`](AwsChangeFeed),
//! [`writer`](AwsTableWriter), [`admin`](AwsTableAdmin), [`state`](AwsStateStore), [`clock`](SystemClock)), the
//! [`Connection`] they send through, the check of the [`identity`](check_identity) behind it, and [`AwsPorts`], which
//! puts them together.
//!
//! What must hold:
//!
//! - **One request per call.** The SDK's retries are switched off: a retry hidden in the SDK would hide that an
//!   earlier request was given up and may still take effect, and so break invariant 1. Retries have one owner,
//!   `engine::retry`. (The HTTP pool sends a request again on a fresh connection only when the old one turned out to be
//!   closed before the request was taken up, which nobody can have seen.)
//! - **Every request has a time limit**, and what exceeds it is [`Abandoned`](crate::ports::Fault::Abandoned).
//! - **Every failure is classified in one place**, `errors`. When in doubt about whether a request was sent, it
//!   was.
//! - **Types that this version does not know abort, they are never dropped.** Stream images are checked while they are
//!   converted. Items from a Scan or a read-back are not walked here: their caller measures them anyway
//!   ([`Item::measure`](crate::model::Item::measure)), and that walk is the check. Nothing that is not known can be
//!   sent: neither the SDK nor `body` can write it.
//! - **No item value enters an error message.**
//!
//! Why so: the rest of the program meets the service only through `ports/`, so that its faults can be simulated, and
//! so that nothing else of the SDK than `AttributeValue` spreads.

mod admin;
#[cfg(feature = "embedded")]
mod application;
mod aspects;
mod body;
#[cfg(test)]
mod canned;
mod clock;
mod connection;
mod credentials;
mod errors;
mod feed;
mod identity;
mod layout;
mod pointer;
mod ports;
mod reader;
mod skew;
mod state;
mod values;
mod writer;

pub use admin::AwsTableAdmin;
#[cfg(feature = "embedded")]
pub use application::{ApplicationTable, Update};
pub use clock::SystemClock;
pub use connection::{ConnectError, Connection, ConnectionSettings, TableSettings, Timeouts};
pub use feed::AwsChangeFeed;
pub use identity::{Identity, IdentityCheck, check_identity};
pub use pointer::{AwsApplication, PointerItem, PointerSettings};
pub use ports::{AwsAccess, AwsPorts, AwsSettings, AwsState, AwsTable};
pub use reader::AwsTableReader;
pub use skew::ServiceSkew;
pub use state::AwsStateStore;
pub use writer::AwsTableWriter;
