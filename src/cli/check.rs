//! `config check` and `config example`.

use std::process::ExitCode;

use super::{ConfigVerb, GlobalArgs, output, report};
use crate::config::{self, ConnectionSettings, Settings, TableSettings};

/// The complete configuration, with every key, its unit, range and default.
const EXAMPLE: &str = include_str!("../../config/shadowtable.toml");

/// Does what the verb asks.
pub(super) fn run(verb: ConfigVerb, global: &GlobalArgs) -> ExitCode {
    match verb {
        ConfigVerb::Example => output::data(EXAMPLE),
        ConfigVerb::Check => match config::load(&global.flags(), &config::environment()).for_migration() {
            Ok(settings) => output::data(&summary(&settings)),
            Err(mistakes) => report(&mistakes),
        },
    }
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
