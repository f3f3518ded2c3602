//! Reading what people wrote: all mistakes at once, each with its place.

mod nearest;

pub use nearest::nearest;
