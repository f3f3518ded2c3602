//! The flags that any verb takes, and the help of the whole.

use std::path::PathBuf;

use clap::{Args, Parser};

use super::verbs::Command;
use super::version;
use crate::config::{Flag, Flags};

const ABOUT: &str = "\
Rebuild a live DynamoDB table under a new layout, without downtime.

DynamoDB cannot change a table's key schema, its local indexes or the projection of a global index in place. \
shadowtable creates a second table, the shadow, with the new layout, copies the live table (the source) into it and \
keeps it in step by tailing the source's stream. The source is only read, unless a verb says otherwise.

Everything durable about a migration is kept in the state table under the migration's id: `run` may be stopped at any \
time, on any machine, and carries on where it was. Other verbs reach the running process through the state table, \
from any machine with credentials. All migrations of an account and region share one state table: there a table is claimed by \
one of them.";

const AFTER: &str = "\
Configuration:
  1. the file of --config, of SHADOWTABLE_CONFIG,
     or shadowtable.toml of the working directory     [copy] segments = 16
  2. above it, environment variables                  SHADOWTABLE_COPY_SEGMENTS=16
  3. above them, flags                                --set copy.segments=16
  All mistakes are reported at once, with their places. Unknown keys and variables are mistakes.
  `shadowtable config example` prints a file with every key, its unit, range and default.
  Credentials come from the AWS SDK's default chain, or from a table's own profile or role.

Exit codes:
  0  done
  1  failed, not confirmed, needs-reseed, or wrong usage
  2  refused by a gate or by the active process, done in part, or differences found

Output:
  stdout is data, stderr is talk. Colours only on a terminal; NO_COLOR is respected.

Examples:
  shadowtable demo                                    # see it work, on an embedded DynamoDB
  shadowtable config example > shadowtable.toml       # then edit it
  shadowtable -c shadowtable.toml config check
  shadowtable -c shadowtable.toml run                 # in the foreground, until stopped
  shadowtable -c shadowtable.toml status
  shadowtable -c shadowtable.toml pause copy          # the tail goes on
  shadowtable -c shadowtable.toml --set copy.read_units_per_second=500 run";

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "shadowtable",
    version,
    long_version = version::LONG.as_str(),
    about = "Rebuild a live DynamoDB table under a new layout, without downtime",
    long_about = ABOUT,
    after_long_help = AFTER,
    after_help = "`shadowtable --help` says more, with examples; so does `--help` after each verb.",
    max_term_width = 120,
    propagate_version = false
)]
pub struct Cli {
    /// Flags that any verb takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that any verb takes. They go above the environment, which goes above the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct GlobalArgs {
    /// The configuration file; `-` is standard input
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The migration's id, 1 to 64 of a-z A-Z 0-9 _ . -  [migration.id]
    #[arg(long, global = true, value_name = "ID")]
    pub migration: Option<String>,
    /// The live table  [source.table]
    #[arg(long, global = true, value_name = "NAME")]
    pub source_table: Option<String>,
    /// The table to build  [shadow.table]
    #[arg(long, global = true, value_name = "NAME")]
    pub shadow_table: Option<String>,
    /// The table for the state of all migrations  [state.table]
    #[arg(long, global = true, value_name = "NAME")]
    pub state_table: Option<String>,
    /// Another endpoint than AWS, for all three tables.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Another endpoint than AWS, for all three tables  [*.endpoint_url]"
    )]
    pub endpoint_url: Option<String>,
    /// The AWS region of all three tables  [*.region]
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// The AWS profile for all three tables  [*.profile]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Where metrics and health are served, such as 127.0.0.1:9464  [admin.listen]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub admin_listen: Option<String>,
    /// human or json  [log.format]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = ["human", "json"], hide_possible_values = true)]
    pub log_format: Option<String>,
    /// error, warn, info, debug, trace, or a tracing filter  [log.level]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Any other key of the configuration, such as copy.segments=16; may be repeated
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

impl GlobalArgs {
    /// As the configuration takes them.
    pub fn flags(&self) -> Flags {
        let given: [(&'static str, &'static [&'static str], &Option<String>); 10] = [
            ("--migration", &["migration.id"], &self.migration),
            ("--source-table", &["source.table"], &self.source_table),
            ("--shadow-table", &["shadow.table"], &self.shadow_table),
            ("--state-table", &["state.table"], &self.state_table),
            (
                "--endpoint-url",
                &["source.endpoint_url", "shadow.endpoint_url", "state.endpoint_url"],
                &self.endpoint_url,
            ),
            ("--region", &["source.region", "shadow.region", "state.region"], &self.region),
            ("--profile", &["source.profile", "shadow.profile", "state.profile"], &self.profile),
            ("--admin-listen", &["admin.listen"], &self.admin_listen),
            ("--log-format", &["log.format"], &self.log_format),
            ("--log-level", &["log.level"], &self.log_level),
        ];
        let given = given.into_iter().filter_map(|(name, keys, value)| {
            let value = value.clone()?;
            Some(Flag { name, keys, value })
        });
        Flags { file: self.config.clone(), given: given.collect(), set: self.set.clone() }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_all_three_tables_name_their_keys() {
        let flags = parse("shadowtable list --region eu-central-1 --set copy.segments=4").unwrap().global.flags();
        assert_eq!(flags.set, ["copy.segments=4"]);
        assert_eq!(flags.given[0].name, "--region");
        assert_eq!(flags.given[0].keys, ["source.region", "shadow.region", "state.region"]);
    }
}
