//! Pure decisions: what may happen next, given what has happened. No clock, no network, no runtime; time is an argument.

pub mod transform;
