//! `config check`, `config example` and `config layout`.

use std::process::ExitCode;

use serde_json::json;

use super::connect::{complain, describe_one};
use super::{ConfigVerb, FAILED, GlobalArgs, load, output, report, start};
use crate::config::{ConnectionSettings, LogSettings, Settings, TableSettings};
use crate::layout::write_layout;
use crate::programs;

/// The complete configuration, with every key, its unit, range and default.
const EXAMPLE: &str = include_str!("../../config/shadowtable.toml");

/// Does what the verb asks.
pub(super) fn run(verb: &ConfigVerb, global: &GlobalArgs) -> ExitCode {
    match verb {
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
            Err(error) => {
                complain(&error);
                ExitCode::from(FAILED)
            }
        }
    })
}

/// What was understood, for a person to compare with what was meant.
fn summary(settings: &Settings) -> String {
    let layout = settings.target.as_ref().map_or("the source's own".into(), |file| file.path.display().to_string());
    let units = |units: Option<f64>| units.map_or("unlimited".to_owned(), |units| units.to_string());
    format!(
        "ok\nmigration  {}\nsource     {}\nshadow     {}\nstate      {}\nlayout     {layout}\nrules      {}\n\
         budgets    read {}, write {} units per second\n",
        settings.migration,
        table(&settings.source),
        table(&settings.shadow),
        table(&settings.state),
        settings.transform.len(),
        units(settings.engine.copy.read_units_per_second),
        units(settings.engine.apply.write_units_per_second),
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
