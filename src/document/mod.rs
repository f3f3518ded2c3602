//! Reading what people wrote: text into a tree with places, and the tree with all its mistakes at once.
//!
//! | file | does |
//! |---|---|
//! | `tree` | what a text says, whichever language it is in, and where |
//! | `toml`, `yaml` | a text as such a tree; JSON is read as YAML |
//! | `reading` | takes a tree apart, notes what is wrong, and goes on |
//! | `nearest` | which known name was probably meant |
//!
//! Nothing here knows what a document is about. What must hold: reading never ends at the first mistake; each has its place; and what
//! was half understood is given back, so that its other half can be judged.

mod nearest;
mod reading;
pub mod toml;
mod tree;
mod yaml;

pub use nearest::nearest;
pub use reading::{At, Elements, Problem, Problems, Properties};
pub use tree::{Entry, Node, Place, Value};
pub use yaml::parse as parse_yaml;
