//! What a valid configuration comes to: plain data, each verb getting what it needs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::aws::PointerSettings;
pub use crate::aws::{ConnectionSettings, TableSettings};
use crate::engine::EngineSettings;
use crate::model::TableLayout;
use crate::protocol::transform::Rule;
pub use crate::telemetry::{LogFormat, LogSettings};

/// For a verb that works on both tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The migration.
    pub migration: MigrationId,
    /// The live table.
    pub source: TableSettings,
    /// The table being built.
    pub shadow: TableSettings,
    /// The state table.
    pub state: TableSettings,
    /// The layout asked for; without one the shadow gets the source's own.
    pub target: Option<TargetFile>,
    /// The rules, in their order.
    pub transform: Vec<Rule>,
    /// What an operator may tune.
    pub engine: EngineSettings,
    /// The pointer that a cutover moves, if it moves one.
    pub pointer: Option<PointerSettings>,
    /// The admin port.
    pub admin: AdminSettings,
    /// Logs.
    pub log: LogSettings,
}

/// For a verb that reads or commands one migration through the state table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSettings {
    /// The migration.
    pub migration: MigrationId,
    /// The state table.
    pub state: TableSettings,
    /// How source and shadow are reached, for commands that are printed.
    pub profiles: Profiles,
    /// Logs.
    pub log: LogSettings,
}

/// The profiles of the AWS configuration that are set for source and shadow.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Profiles {
    /// The source's.
    pub source: Option<String>,
    /// The shadow's.
    pub shadow: Option<String>,
}

/// For a verb that reads the state table as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    /// The state table.
    pub state: TableSettings,
    /// Logs.
    pub log: LogSettings,
}

/// For the demo, which brings its own tables.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoSettings {
    /// What an operator may tune.
    pub engine: EngineSettings,
    /// The admin port.
    pub admin: AdminSettings,
    /// Logs.
    pub log: LogSettings,
}

/// The name of a migration, 1 to 64 of `a-zA-Z0-9_.-`. Everything durable about the migration hangs under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MigrationId(String);

impl MigrationId {
    /// From text; `None` when that is no migration id.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_name_byte);
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether a byte may stand in the name of a table or a migration.
pub(super) const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// The layout file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    /// Its path, the configuration file's folder included.
    pub path: PathBuf,
    /// What it says.
    pub layout: TableLayout,
}

/// The admin port, which serves metrics and health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long it is served on after something ended the process that somebody should see: lost history, a defect.
    pub linger: Duration,
    /// Host names that requests may call it by, besides IP addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
}

impl Default for AdminSettings {
    /// The loopback interface, since the port knows no authentication.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            linger: Duration::from_secs(30),
            allowed_hosts: Vec::new(),
        }
    }
}
