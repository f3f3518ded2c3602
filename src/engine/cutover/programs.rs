//! The operator's programs, and what they are told.

use std::fmt;
use std::time::Duration;

use crate::engine::settings::{CutoverSettings, Fence};
use crate::model::{Side, Sides};
use crate::ports::{Application, Clock, Ports, Program, ProgramFailure};

/// As much of a program's output as goes into the audit trail, in characters.
const QUOTED: usize = 200;

/// What a program is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The migration's id.
    pub migration: String,
    /// The cutover's id.
    pub cutover: String,
    /// The table that the application leaves.
    pub leader: Side,
    /// The names of both tables.
    pub tables: Sides<String>,
    /// Why, where something failed.
    pub reason: String,
}

/// What a program is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A hook.
    OnReady,
    /// A hook.
    BeforeFence,
    /// Stop writes to the source.
    Fence,
    /// Allow them again.
    Unfence,
    /// Point the application at the shadow.
    Switch,
    /// A hook.
    AfterSwitch,
    /// A hook.
    OnFailure,
}

impl Occasion {
    /// The word that the program sees.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnReady => "on-ready",
            Self::BeforeFence => "before-fence",
            Self::Fence => "fence",
            Self::Unfence => "unfence",
            Self::Switch => "switch",
            Self::AfterSwitch => "after-switch",
            Self::OnFailure => "on-failure",
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Subject {
    /// The environment of a program, besides the process's own. None of these names is a setting: a program may call
    /// shadowtable itself.
    pub fn environment(&self, occasion: Occasion) -> Vec<(&'static str, String)> {
        vec![
            ("CUTOVER_OCCASION", occasion.to_string()),
            ("CUTOVER_MIGRATION", self.migration.clone()),
            ("CUTOVER_ID", self.cutover.clone()),
            ("CUTOVER_SOURCE", self.tables.source.clone()),
            ("CUTOVER_SHADOW", self.tables.shadow.clone()),
            ("CUTOVER_REASON", self.reason.clone()),
        ]
    }
}

/// Runs a program. What one that was cut short has sent before may still take effect, for as long as a request that was
/// given up: nobody goes on before.
pub(super) async fn run_program<P: Ports>(
    ports: &P,
    (limit, abandon): (Duration, Duration),
    program: &Program,
    environment: &[(&'static str, String)],
) -> Result<String, ProgramFailure> {
    let ended = ports.application().run(program, environment, limit).await;
    if matches!(ended, Err(ProgramFailure::TimedOut { .. })) {
        ports.clock().sleep(abandon).await;
    }
    ended
}

/// Allows writes to the leader again. `abandon`: how long what was cut short may still take effect.
pub async fn unfence<P: Ports>(
    ports: &P,
    settings: &CutoverSettings,
    subject: &Subject,
    abandon: Duration,
) -> Result<String, String> {
    match &settings.fence {
        None => Err("no [cutover] fence is configured any more, so nothing tells how to undo it".into()),
        Some(Fence::Manual) => Ok(format!("the operator may allow writes to the {} again", subject.leader)),
        Some(Fence::Command { unfence, .. }) => {
            let environment = subject.environment(Occasion::Unfence);
            match run_program(ports, (settings.program_timeout, abandon), unfence, &environment).await {
                Ok(output) => Ok(format!("the unfence's program ended well{}", quoted(&output))),
                Err(failure) => Err(format!("the unfence's program {unfence}: {failure}")),
            }
        }
    }
}

/// Runs a hook, if there is one.
pub async fn run_hook<P: Ports>(
    ports: &P,
    settings: &CutoverSettings,
    subject: &Subject,
    occasion: Occasion,
    hook: Option<&Program>,
) -> Option<Result<String, ProgramFailure>> {
    let hook = hook?;
    Some(ports.application().run(hook, &subject.environment(occasion), settings.program_timeout).await)
}

/// The end of what a program wrote, for a sentence.
pub(super) fn quoted(output: &str) -> String {
    let output = output.trim();
    let skipped = output.chars().count().saturating_sub(QUOTED);
    let end: String = output.chars().skip(skipped).collect();
    if end.is_empty() { String::new() } else { format!(", having said: {end}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What begins so is a setting (`config::PREFIX`): a program that calls shadowtable would give it a wrong one.
    #[test]
    fn no_variable_of_a_program_looks_like_a_setting() {
        let [migration, cutover, source, shadow, reason] = ["m", "c", "s", "t", ""].map(str::to_owned);
        let tables = Sides { source, shadow };
        let subject = Subject { migration, cutover, leader: Side::Source, tables, reason };
        for (name, _) in subject.environment(Occasion::Fence) {
            assert!(!name.starts_with("SHADOWTABLE"), "{name}");
        }
    }
}
