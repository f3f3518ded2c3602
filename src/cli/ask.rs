//! Asking: the active process, or the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use serde_json::json;

use super::connect::{complain, host, on_state};
use super::output::{data, pretty, talk};
use super::{DONE, FAILED, PARTIAL, start};
use crate::config::CommandSettings;
use crate::engine::state::entities::Answer;
use crate::engine::{ApplySettings, EngineError, LeaseSettings};
use crate::operator::{OperatorJob, command};
use crate::protocol::command::Verb;

/// Asks the active process.
pub(super) fn ask(settings: &CommandSettings, verb: Verb) -> ExitCode {
    ask_as(settings, verb, false)
}

/// The same, with an answer for programs.
pub(super) fn ask_as(settings: &CommandSettings, verb: Verb, as_json: bool) -> ExitCode {
    start(&settings.log, async {
        let answer = on_state(&settings.state, async |state| {
            command(&*state.ports, settings.migration.as_str(), &state.who, verb).await
        });
        match answer.await {
            Ok(answer) if as_json => {
                let _ = data(&pretty(&json!({ "done": answer.done, "message": answer.message })));
                code_of(&answer)
            }
            Ok(answer) => told(&answer),
            Err(error) => failed(&error),
        }
    })
}

/// Tells what the active process answered.
pub(super) fn told(answer: &Answer) -> ExitCode {
    talk(&answer.message);
    code_of(answer)
}

fn code_of(answer: &Answer) -> ExitCode {
    ExitCode::from(if answer.done { DONE } else { PARTIAL })
}

/// Says why something failed.
pub(super) fn failed(error: &EngineError) -> ExitCode {
    complain(error);
    ExitCode::from(FAILED)
}

/// Asks a person. Without a terminal nobody can answer, and that is a no.
pub(super) fn confirmed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        talk(&format!("{question}\nhint: there is no terminal to ask on; say --yes"));
        return false;
    }
    talk(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// An operator who takes the lease for a moment.
pub(super) fn operator_job(who: String) -> OperatorJob {
    let (lease, abandon) = (LeaseSettings::default().duration, ApplySettings::default().abandon);
    OperatorJob { lease, abandon, host: host(), who }
}
