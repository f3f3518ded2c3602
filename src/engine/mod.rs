//! The migration itself, generic over the ports.

mod settings;

pub use settings::{ApplySettings, CopySettings, EngineSettings, LeaseSettings, TailSettings};
