//! What the end-to-end tests stand on: real endpoints, the real binary, outside writers, and a comparator.
//!
//! Nothing here uses the library under test: a mistake shared by both would prove itself right. Every file stands on
//! as few others as it can, so that a target that needs one of them takes that one by `#[path]`.

pub(crate) mod admin;
pub(crate) mod application;
pub(crate) mod chaos;
pub(crate) mod checker;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod endpoint;
pub(crate) mod items;
pub(crate) mod layout;
pub(crate) mod migration;
pub(crate) mod normal;
pub(crate) mod process;
pub(crate) mod project;
pub(crate) mod quarantine;
pub(crate) mod table;
pub(crate) mod tenants;
pub(crate) mod writer;
