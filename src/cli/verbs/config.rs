//! `config check`, `config example` and `config layout`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::ask::failed;
use crate::cli::connect::describe_one;
use crate::cli::{FAILED, GlobalArgs, load, output, report, start};
use crate::config::{ConnectionSettings, LogSettings, Settings, TableSettings};
use crate::layout::write_layout;
use crate::programs;

/// The complete configuration, with every key, its unit, range and default.
const EXAMPLE: &str = include_str!("../../../config/shadowtable.toml");

const ABOUT: &str = "\
Check a configuration, print an example, or print the layout of a live table.

Changes nothing.";

const AFTER: &str = "\
Examples:
  shadowtable config example > shadowtable.toml
  shadowtable -c shadowtable.toml config check

Exit codes: 0 no mistakes; 1 mistakes, or wrong usage.";

/// Check a configuration, or print an example
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    verb: ConfigVerb,
}

const CHECK_ABOUT: &str = "\
Check file, environment and flags together, as `run` would read them.

Every mistake is one line on stderr: its place, the key, what is wrong, what to do. Changes nothing and calls no \
service.";

const CHECK_AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml config check
  shadowtable config example | shadowtable -c - config check

Exit codes: 0 no mistakes; 1 mistakes, or wrong usage.";

const EXAMPLE_ABOUT: &str = "\
Print a configuration file with every key, its unit, range and default.

Changes nothing.";

const EXAMPLE_AFTER: &str = "\
Example:
  shadowtable config example > shadowtable.toml

Exit codes: 0 printed; 1 failed.";

const LAYOUT_ABOUT: &str = "\
Print the layout of a live table: keys, indexes and billing, as the properties of AWS::DynamoDB::Table in CloudFormation. \
It is a file to begin the target from: change what shall change, and name it under [target].

It is asked as [source] says, or the environment. Changes: nothing.";

const LAYOUT_AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml config layout > layout.yaml
  shadowtable --region eu-central-1 config layout --table TaskApprovals

Exit codes: 0 printed; 1 failed.";

/// What to do with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum ConfigVerb {
    /// Check file, environment and flags together; all mistakes are reported at once
    #[command(long_about = CHECK_ABOUT, after_long_help = CHECK_AFTER)]
    Check {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration file with every key, its unit, range and default
    #[command(long_about = EXAMPLE_ABOUT, after_long_help = EXAMPLE_AFTER)]
    Example,
    /// Print the layout of a live table, as a file to begin the target from
    #[command(long_about = LAYOUT_ABOUT, after_long_help = LAYOUT_AFTER)]
    Layout {
        /// The table; the source unless another is named
        #[arg(long, value_name = "NAME")]
        table: Option<String>,
    },
}

impl Config {
    /// Does what the verb asks.
    pub(in crate::cli) fn run(&self, global: &GlobalArgs) -> ExitCode {
        match &self.verb {
            ConfigVerb::Example => output::data(EXAMPLE),
            ConfigVerb::Check { json } => match load(global).for_migration() {
                Ok(settings) => checked(&settings, *json),
                Err(mistakes) if *json => {
                    let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
                    let _ = output::data(&output::pretty(&json!({ "ok": false, "mistakes": lines })));
                    ExitCode::from(FAILED)
                }
                Err(mistakes) => report(&mistakes),
            },
            ConfigVerb::Layout { table } => match load(global).for_table(table.as_deref()) {
                Ok((table, log)) => layout(&table, &log),
                Err(mistakes) => report(&mistakes),
            },
        }
    }
}

/// A valid configuration. What cannot be started on this machine is told, and no mistake: the active process may run on
/// another.
fn checked(settings: &Settings, as_json: bool) -> ExitCode {
    let programs = settings.engine.cutover.programs();
    let unusable = programs.into_iter().filter_map(|(key, program)| {
        let problem = programs::check(program).err()?;
        Some(format!("{key} cannot be started on this machine: {problem}"))
    });
    let unusable: Vec<String> = unusable.collect();
    if as_json {
        return output::data(&output::pretty(&json!({ "ok": true, "mistakes": [], "notes": unusable })));
    }
    let written = output::data(&summary(settings));
    for note in &unusable {
        output::talk(&format!("note: {note}; the active process needs it for a cutover"));
    }
    written
}

/// Prints the layout of a live table.
fn layout(table: &TableSettings, log: &LogSettings) -> ExitCode {
    start(log, async {
        match describe_one(table).await {
            Ok(found) => output::data(&write_layout(&found.layout)),
            Err(error) => failed(&error),
        }
    })
}

/// What was understood, for a person to compare with what was meant.
fn summary(settings: &Settings) -> String {
    let layout = settings.target.as_ref().map_or("the source's own".into(), |file| file.path.display().to_string());
    let units = |units: Option<f64>, without: &str| {
        units.map_or(without.to_owned(), |units| format!("{units} units per second"))
    };
    format!(
        "ok\nmigration  {}\nsource     {}\nshadow     {}\nstate      {}\nlayout     {layout}\nrules      {}\n\
         budgets    read {}; write {}\n",
        settings.migration,
        table(&settings.source),
        table(&settings.shadow),
        table(&settings.state),
        settings.transform.len(),
        units(settings.engine.copy.read_units_per_second, "unlimited, or a quarter of what a provisioned source has"),
        units(settings.engine.apply.write_units_per_second, "unlimited"),
    )
}

/// A table and what is special about the way to it.
fn table(settings: &TableSettings) -> String {
    let ConnectionSettings { region, profile, role_arn, endpoint_url } = &settings.connection;
    let parts = [("region", region), ("profile", profile), ("role", role_arn), ("endpoint", endpoint_url)];
    let given = parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")));
    let given: Vec<String> = given.collect();
    if given.is_empty() { settings.table.clone() } else { format!("{} ({})", settings.table, given.join(", ")) }
}
