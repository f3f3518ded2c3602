//! The two tables as a whole: whether they can be had, what the source must have, and how the shadow is made.
//!
//! | file | does |
//! |---|---|
//! | `claims` | whose a table is, as the state table says |
//! | `provision` | checks the source, and makes the shadow |
//!
//! Nothing here reads or writes an item. Every step may be done again: whoever is killed in one begins it anew. What somebody
//! else made is never changed.

pub mod claims;
pub mod provision;
