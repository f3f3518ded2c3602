//! Pure decisions: what may happen next, given what has happened. No clock, no network, no runtime; time is an argument.
//!
//! | file | decides | invariants |
//! |---|---|---|
//! | [`slots`] | which write may be sent, and what an outcome means | 1 |
//! | [`overtaken`] | whether a copied image is older than a change already offered | 2 |
//! | [`ledger`] | how far a checkpoint or a cursor may move | 3, 5 |
//! | [`lineage`] | which shards may be read, and from where | 4, 8 |
//! | [`phase`] | which phase follows, and which table leads | 7 |
//! | [`leg`] | what becomes of a table's changes, by which table leads | |
//! | [`cutover`] | which gates hold, and which step belongs to which phase | |
//! | [`command`] | what is done of what operators ask, by phase | |
//! | [`checklist`] | how the shadow's surroundings differ from the source's | |
//! | [`lag`] | how far behind the shadow is | |
//! | [`budget`], [`window`] | how much may be read and written now | |
//! | [`polling`] | when a shard is asked for records next | |
//! | [`room`] | how much memory a reader may have | |
//! | [`claims`] | whose a table is | |
//! | [`transform`] | what a source item is in the shadow | |
//! | [`trial`] | whether a transform fits some items | |
//!
//! [`invariant`] numbers the eight rules. A new phase is told in [`phase`] (who sets it, what a restart does, what follows, what it
//! means to whoever looks), in [`leg`] and [`claims`] (whose table is whose in it), and in [`command`] (what operators may ask in it);
//! `runtime::phases` does it. A step of a cutover is in [`cutover`] and `engine::cutover` besides. Look for `Phase::` elsewhere, since many
//! matches have a wildcard.
//!
//! A new verb of the active process is a verb, its words for the audit trail (`change`), an act and its arms of `decide` in
//! [`command`]. It is done by `obey_verb` of `runtime::cutover`, and of `runtime::unmirrored` where it needs no mirror. A lasting wish is a
//! field of `Meta`, which `runtime::planning` keeps over a reseed. A new gate is a figure and a gate in [`cutover`]; `runtime::cutover`
//! fills the figure in, and `runtime::watch` looks at what lies outside.
//!
//! Invariant 6 is the lease's (`engine::state::lease`).

pub mod budget;
pub mod checklist;
pub mod claims;
pub mod command;
pub mod cutover;
pub mod invariant;
pub mod lag;
pub mod latency;
pub mod ledger;
pub mod leg;
pub mod lineage;
pub mod overtaken;
pub mod phase;
pub mod polling;
pub mod room;
pub mod slots;
pub mod transform;
pub mod trial;
pub mod window;
