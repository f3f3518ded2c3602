//! The verbs: a file, or a folder, each, with its arguments, its help and its run.
//!
//! A new verb is a file here, its variant of [`Command`], and its arm of `run`, which says what it needs of the configuration. What it
//! reads of the state table is a function of `operator`. One that the active process does asks for it with `cli::ask`, in the words of
//! `protocol::command`.
//!
//! What must hold: a verb asks for the configuration that it needs and no more, so that looking at a migration takes no target
//! layout; its help says what it changes, and its exit codes; what cannot simply be undone asks first, unless told not to.

mod abort;
mod audit;
mod completions;
mod config;
mod cutover;
mod demo;
mod finish;
mod forget;
mod lease;
mod list;
mod man;
mod pause;
mod postpone;
mod quarantine;
mod reseed;
mod run;
mod status;
mod unfence;

use std::process::ExitCode;

use clap::Subcommand;

use super::{GlobalArgs, load, load_named, report};

/// What to do. Each verb's own type says it.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    Run(run::Run),
    List(list::List),
    Status(status::Status),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Abort(abort::Abort),
    Reseed(reseed::Reseed),
    Cutover(cutover::Cutover),
    Unfence(unfence::Unfence),
    Postpone(postpone::Postpone),
    Finish(finish::Finish),
    Forget(forget::Forget),
    Lease(lease::Lease),
    Audit(audit::Audit),
    Quarantine(quarantine::Quarantine),
    Config(config::Config),
    Completions(completions::Completions),
    Man(man::Man),
    Demo(demo::Demo),
}

impl Command {
    /// Does it, and says how that went. Standard input can be read once, so only verbs that need the configuration load it.
    pub(super) fn run(&self, global: &GlobalArgs) -> ExitCode {
        let load = || load(global);
        let done = match self {
            Self::Config(verb) => return verb.run(global),
            Self::Completions(verb) => return verb.run(),
            Self::Man(verb) => return verb.run(),
            Self::Run(verb) => load().for_migration().map(|settings| verb.run(&settings)),
            Self::Reseed(verb) => load().for_migration().map(|settings| verb.run(&settings)),
            Self::List(verb) => load().for_state_only().map(|settings| verb.run(&settings)),
            Self::Status(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Pause(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Resume(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Abort(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Cutover(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Unfence(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Postpone(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Finish(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Forget(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Lease(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Audit(verb) => load().for_command().map(|settings| verb.run(&settings)),
            Self::Quarantine(verb) => load().for_command().map(|settings| verb.run(&settings)),
            // It brings its own tables: a file that lies about has nothing to say.
            Self::Demo(verb) => load_named(global).for_demo().map(|settings| verb.run(&settings)),
        };
        done.unwrap_or_else(|mistakes| report(&mistakes))
    }
}
