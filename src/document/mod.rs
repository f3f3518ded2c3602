//! Reading what people wrote.

mod nearest;

pub use nearest::nearest;
