//! A folder with a configuration and a target layout, and commands run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use toml::{Table as Toml, Value};

use super::endpoint::{Place, SECRET_KEY};
use super::layout::Layout;
use super::process::{Finished, Process, Status};
use super::quarantine::{self, Quarantined};
use super::table::Table;

pub struct Project {
    folder: TempDir,
    config: Toml,
    credentials: Place,
    program: PathBuf,
}

/// Short bounds, so that crashes and takeovers cost a second and not ten.
const SETTINGS: &str = r#"
[target]
layout = "layout.yaml"
[copy]
segments = 4
concurrency = 2
page_items = 25
[apply]
concurrency = 8
abandon_seconds = 1.0
request_timeout_seconds = 0.8
[tail]
idle_poll_seconds = 0.1
busy_poll_seconds = 0.05
caught_up_seconds = 0.5
discover_seconds = 0.5
[lease]
duration_seconds = 1.6
checkpoint_seconds = 0.1
grace_seconds = 10.0
[admin]
listen = "127.0.0.1:0"
linger_seconds = 0.0
[log]
format = "json"
level = "info"
"#;

/// As in [`SETTINGS`].
pub const CAUGHT_UP: Duration = Duration::from_millis(500);

impl Project {
    pub fn new(program: &Path, id: &str, source: &Table, shadow: &Table, state: &Table) -> Self {
        let mut config: Toml = SETTINGS.parse().unwrap();
        config.insert("migration".into(), Value::Table([("id".to_owned(), id.into())].into_iter().collect()));
        for (role, table) in [("source", source), ("shadow", shadow), ("state", state)] {
            let place = [
                ("table", table.name.as_str()),
                ("region", table.place.region),
                ("endpoint_url", table.place.url.as_str()),
            ];
            let place = place.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            config.insert(role.into(), Value::Table(place));
        }
        let project = Self {
            folder: TempDir::new().unwrap(),
            config,
            credentials: source.place.clone(),
            program: program.to_owned(),
        };
        project.set_layout(&shadow.layout);
        project.write();
        project
    }

    /// Runs another program in place of the binary: for tests of the tests.
    pub fn set_program(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    pub fn set_layout(&self, layout: &Layout) {
        fs::write(self.folder.path().join("layout.yaml"), layout.yaml()).unwrap();
    }

    /// Sets one setting, such as `copy.page_items`.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let (section, name) = name.split_once('.').unwrap();
        let section = self.config.entry(section).or_insert_with(|| Value::Table(Toml::new()));
        section.as_table_mut().unwrap().insert(name.to_owned(), value.into());
        self.write();
    }

    /// Leaves a section to its defaults.
    pub fn forget(&mut self, section: &str) {
        self.config.remove(section);
        self.write();
    }

    /// Sets the transform: `[[transform]]` rules in TOML.
    pub fn set_transform(&mut self, rules: &str) {
        let rules: Toml = rules.parse().unwrap();
        self.config.insert("transform".into(), rules["transform"].clone());
        self.write();
    }

    fn write(&self) {
        fs::write(self.config_file(), self.config.to_string()).unwrap();
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("shadowtable.toml")
    }

    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::spawn(&mut self.prepared(arguments))
    }

    /// Nothing of the machine's own AWS configuration gets in.
    pub fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.config_file()).args(arguments).current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("RUST_BACKTRACE", "1").env("AWS_EC2_METADATA_DISABLED", "true");
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("AWS_ACCESS_KEY_ID", &self.credentials.access_key).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.env("AWS_REGION", self.credentials.region);
        command
    }

    /// Runs a verb to its end, whatever that is.
    pub fn finish(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).wait_exit()
    }

    /// Runs a verb that must succeed, and returns its output.
    pub fn command(&self, arguments: &[&str]) -> String {
        let finished = self.finish(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?} failed: {}{}", finished.stdout, finished.stderr);
        finished.stdout
    }

    pub fn status(&self) -> Status {
        let text = self.command(&["status", "--json"]);
        Status(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}")))
    }

    pub fn quarantine(&self) -> Vec<Quarantined> {
        quarantine::parse(&self.command(&["quarantine", "list", "--json"]))
    }
}
