//! The verbs and flags, with the short texts of `-h`; the long ones are the manual's.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use super::{manual, version};
use crate::config::{Flag, Flags};

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "shadowtable",
    version,
    long_version = version::LONG.as_str(),
    about = "Rebuild a live DynamoDB table under a new layout, without downtime",
    long_about = manual::PROGRAM.about,
    after_long_help = manual::PROGRAM.after,
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

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Bring the migration forward: create the shadow, copy, tail; until stopped
    #[command(long_about = manual::RUN.about, after_long_help = manual::RUN.after)]
    Run(RunArgs),
    /// List the migrations of the state table
    #[command(long_about = manual::LIST.about, after_long_help = manual::LIST.after)]
    List(ListArgs),
    /// Show phase, progress, lag and headroom of the migration
    #[command(long_about = manual::STATUS.about, after_long_help = manual::STATUS.after)]
    Status(StatusArgs),
    /// Stop the copy, or everything, until `resume`
    #[command(long_about = manual::PAUSE.about, after_long_help = manual::PAUSE.after)]
    Pause {
        /// What to pause: copy, or all
        #[arg(value_name = "copy|all")]
        what: PauseTarget,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Go on after `pause`
    #[command(long_about = manual::RESUME.about, after_long_help = manual::RESUME.after)]
    Resume {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Give the migration up
    #[command(long_about = manual::ABORT.about, after_long_help = manual::ABORT.after)]
    Abort(AbortArgs),
    /// Begin again with a new, empty shadow
    #[command(long_about = manual::RESEED.about, after_long_help = manual::RESEED.after)]
    Reseed(ReseedArgs),
    /// Move the application over to the shadow
    #[command(long_about = manual::CUTOVER.about, after_long_help = manual::CUTOVER.after)]
    Cutover(CutoverArgs),
    /// Give a cutover up, and allow writes to the source again
    #[command(long_about = manual::UNFENCE.about, after_long_help = manual::UNFENCE.after)]
    Unfence(UnfenceArgs),
    /// Put cutovers off, whoever asks for one
    #[command(long_about = manual::POSTPONE.about, after_long_help = manual::POSTPONE.after)]
    Postpone(PostponeArgs),
    /// End the migration after its switch
    #[command(long_about = manual::FINISH.about, after_long_help = manual::FINISH.after)]
    Finish(FinishArgs),
    /// Remove an ended migration from the state table
    #[command(long_about = manual::FORGET.about, after_long_help = manual::FORGET.after)]
    Forget(ForgetArgs),
    /// Take the lease from a holder that is dead
    #[command(long_about = manual::LEASE.about, after_long_help = manual::LEASE.after)]
    Lease {
        /// What to do with it.
        #[command(subcommand)]
        verb: LeaseVerb,
    },
    /// Show what was done, when and by whom
    #[command(long_about = manual::AUDIT.about, after_long_help = manual::AUDIT.after)]
    Audit(AuditArgs),
    /// See and retry the changes that the shadow refuses
    #[command(long_about = manual::QUARANTINE.about, after_long_help = manual::QUARANTINE.after)]
    Quarantine {
        /// What to do with them.
        #[command(subcommand)]
        verb: QuarantineVerb,
    },
    /// Check a configuration, or print an example
    #[command(long_about = manual::CONFIG.about, after_long_help = manual::CONFIG.after)]
    Config {
        /// What to do.
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Print a completion script for a shell
    #[command(long_about = manual::COMPLETIONS.about, after_long_help = manual::COMPLETIONS.after)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of the whole or of a verb
    #[command(long_about = manual::MAN.about, after_long_help = manual::MAN.after)]
    Man {
        /// The verb, such as `run` or `quarantine list`; the whole where none is named
        verb: Vec<String>,
    },
    /// Migrate a made-up table on an embedded DynamoDB
    #[command(long_about = manual::DEMO.about, after_long_help = manual::DEMO.after)]
    Demo(DemoArgs),
}

/// `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Enable the source's stream (new and old images) where it is off: the one change to the source
    #[arg(long)]
    pub enable_stream: bool,
    /// Vouch that nothing writes to the source's replicas in other regions, where it is a global table
    #[arg(long)]
    pub single_writer_region: bool,
    /// Copy even if the new layout refuses most items of a sample
    #[arg(long)]
    pub accept_refused: bool,
}

/// `list`.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Look again and again: a screen on a terminal, a line now and then elsewhere
    #[arg(long)]
    pub watch: bool,
}

/// What `pause` stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PauseTarget {
    /// The copy; the tail goes on, so that no history is lost
    Copy,
    /// Copy and tail; headroom shrinks meanwhile
    All,
}

/// `abort`.
#[derive(Args, Clone, Debug)]
pub struct AbortArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `cutover`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct CutoverArgs {
    /// Show the gates and begin nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until all gates hold
    #[arg(long)]
    pub wait: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Vouch that writes to the source are stopped, where the fence is manual
    #[arg(long)]
    pub fenced: bool,
    /// Try a switch again that failed
    #[arg(long, conflicts_with_all = ["dry_run", "wait", "fenced"])]
    pub again: bool,
    /// With --dry-run: gates and checklist as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
    /// Vouch that the application uses the shadow, after a switch that failed
    #[arg(long, conflicts_with_all = ["dry_run", "wait", "fenced", "again"])]
    pub declare_switched: bool,
}

/// `unfence`.
#[derive(Args, Clone, Debug)]
pub struct UnfenceArgs {
    /// Vouch that nothing writes to the shadow, after a switch that failed; or that the fence was undone by hand
    #[arg(long)]
    pub vouch: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `postpone`.
#[derive(Args, Clone, Debug)]
pub struct PostponeArgs {
    /// Allow cutovers again
    #[arg(long)]
    pub off: bool,
}

/// `finish`.
#[derive(Args, Clone, Debug)]
pub struct FinishArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `forget`.
#[derive(Args, Clone, Debug)]
pub struct ForgetArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `lease`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum LeaseVerb {
    /// Give back the lease of a holder that is known to be dead
    #[command(long_about = manual::LEASE.about, after_long_help = manual::LEASE.after)]
    Release {
        /// It is known to be dead
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `reseed`.
#[derive(Args, Clone, Debug)]
pub struct ReseedArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Delete the shadow table and its items, and create it again under its name
    #[arg(long)]
    pub delete_shadow: bool,
}

/// `quarantine`.
#[derive(Clone, Debug, Subcommand)]
pub enum QuarantineVerb {
    /// List the changes in quarantine, with keys and reasons
    #[command(long_about = manual::QUARANTINE_LIST.about, after_long_help = manual::QUARANTINE_LIST.after)]
    List {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one change in quarantine
    #[command(long_about = manual::QUARANTINE_SHOW.about, after_long_help = manual::QUARANTINE_SHOW.after)]
    Show {
        /// Its id, as `quarantine list` shows it
        id: String,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Read items again from the source and offer them to the shadow
    #[command(long_about = manual::QUARANTINE_RETRY.about, after_long_help = manual::QUARANTINE_RETRY.after)]
    Retry(RetryArgs),
}

/// `quarantine retry`.
#[derive(Args, Clone, Debug)]
pub struct RetryArgs {
    /// Their ids, as `quarantine list` shows them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    pub ids: Vec<String>,
    /// Everything in quarantine
    #[arg(long)]
    pub all: bool,
}

/// `config`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigVerb {
    /// Check file, environment and flags together; all mistakes are reported at once
    #[command(long_about = manual::CONFIG_CHECK.about, after_long_help = manual::CONFIG_CHECK.after)]
    Check {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration file with every key, its unit, range and default
    #[command(long_about = manual::CONFIG_EXAMPLE.about, after_long_help = manual::CONFIG_EXAMPLE.after)]
    Example,
    /// Print the layout of a live table, as a file to begin the target from
    #[command(long_about = manual::CONFIG_LAYOUT.about, after_long_help = manual::CONFIG_LAYOUT.after)]
    Layout {
        /// The table; the source unless another is named
        #[arg(long, value_name = "NAME")]
        table: Option<String>,
    },
}

/// `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Items in the table at the start, 1 to 200,000
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = value_parser!(u32).range(1..=200_000))]
    pub items: u32,
    /// Seconds for which the application writes, 1 to 300
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = value_parser!(u32).range(1..=300))]
    pub seconds: u32,
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

    #[test]
    fn retry_takes_ids_or_all() {
        assert!(parse("shadowtable quarantine retry a b").is_ok());
        assert!(parse("shadowtable quarantine retry --all").is_ok());
        assert!(parse("shadowtable quarantine retry").is_err());
        assert!(parse("shadowtable quarantine retry a --all").is_err());
    }

    #[test]
    fn pause_says_what() {
        let Command::Pause { what, .. } = parse("shadowtable pause copy").unwrap().command else { panic!("not pause") };
        assert_eq!(what, PauseTarget::Copy);
        assert!(parse("shadowtable pause").is_err());
        assert!(parse("shadowtable pause tail").is_err());
    }
}
