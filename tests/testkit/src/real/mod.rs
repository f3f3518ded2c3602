//! What the end-to-end tests stand on: real endpoints, the real binary, outside writers, and a comparator.
//!
//! Nothing here uses the library under test: a mistake shared by both would prove itself right.

pub mod admin;
pub mod application;
pub mod chaos;
pub mod checker;
pub mod clock;
pub mod context;
pub mod endpoint;
pub mod items;
pub mod layout;
pub mod migration;
pub mod normal;
pub mod process;
pub mod project;
pub mod quarantine;
pub mod table;
pub mod tenants;
pub mod watched;
pub mod writer;
