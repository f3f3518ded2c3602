//! What a cutover does outside, and what the operator's programs are told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Failure, StepFailure};
use crate::engine::settings::{CutoverSettings, Fence, Hooks, Switch};
use crate::model::{Side, Sides};
use crate::ports::{Application, Clock, Fault, Ports, Program, ProgramFailure, Reaction, TableAdmin};

/// As much of a program's output as goes into the audit trail, in characters.
const QUOTED: usize = 200;
/// How often a pointer that could not be reached is tried again.
const POINTER_POLL: Duration = Duration::from_secs(1);

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
    /// Stop writes to the leader.
    Fence,
    /// Allow them again.
    Unfence,
    /// Point the application at the other table.
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

    /// The hook that it is for.
    const fn hook(self, hooks: &Hooks) -> Option<&Program> {
        match self {
            Self::OnReady => hooks.on_ready.as_ref(),
            Self::BeforeFence => hooks.before_fence.as_ref(),
            Self::AfterSwitch => hooks.after_switch.as_ref(),
            Self::OnFailure => hooks.on_failure.as_ref(),
            Self::Fence | Self::Unfence | Self::Switch => None,
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

/// What a cutover does outside: to the fence, to the pointer, and with the operator's programs.
pub struct Deeds<P> {
    /// The ports.
    pub ports: Arc<P>,
    /// How it is done.
    pub settings: CutoverSettings,
    /// What programs are told.
    pub subject: Subject,
    /// How long after a request was given up, or a program cut short, it may still take effect.
    pub abandon: Duration,
}

impl<P: Ports> Deeds<P> {
    /// Stops writes to the leader.
    pub async fn fence(&self) -> Result<String, StepFailure> {
        if let Some(Err(failure)) = self.hook(Occasion::BeforeFence).await {
            return Err(Failure::Hook { occasion: Occasion::BeforeFence, failure }.into());
        }
        match &self.settings.fence {
            None => Err(Failure::NotConfigured("fence").into()),
            Some(Fence::Manual) => {
                Ok(format!("the operator vouches that writes to the {} are stopped", self.subject.leader))
            }
            Some(Fence::Command { fence, .. }) => Ok(self.program(Occasion::Fence, fence).await?),
        }
    }

    /// Allows writes to the leader again.
    pub async fn unfence(&self) -> Result<String, StepFailure> {
        match &self.settings.fence {
            None => Err(Failure::NoUnfence.into()),
            Some(Fence::Manual) => Ok(format!("the operator may allow writes to the {} again", self.subject.leader)),
            Some(Fence::Command { unfence, .. }) => Ok(self.program(Occasion::Unfence, unfence).await?),
        }
    }

    /// Points the application at the other table than the leader.
    pub async fn switch(&self) -> Result<String, StepFailure> {
        match &self.settings.switch {
            None => Err(StepFailure::not_begun(Failure::NotConfigured("switch"))),
            Some(Switch::Command(program)) => self.program(Occasion::Switch, program).await.map_err(|why| {
                let not_begun = matches!(&why, Failure::Program { failure: ProgramFailure::NotStarted(_), .. });
                StepFailure { why, not_begun }
            }),
            Some(Switch::Pointer | Switch::SsmParameter) => self.point().await,
        }
    }

    /// Runs the hook for an occasion, if there is one.
    pub async fn hook(&self, occasion: Occasion) -> Option<Result<String, ProgramFailure>> {
        let hook = occasion.hook(&self.settings.hooks)?;
        let environment = self.subject.environment(occasion);
        Some(self.ports.application().run(hook, &environment, self.settings.program_timeout).await)
    }

    /// Runs a program. What one that was cut short has sent before may still take effect, for as long as a request that was
    /// given up: nobody goes on before.
    async fn program(&self, occasion: Occasion, program: &Program) -> Result<String, Failure> {
        let environment = self.subject.environment(occasion);
        match self.ports.application().run(program, &environment, self.settings.program_timeout).await {
            Ok(output) => Ok(format!("the {occasion}'s program ended well{}", quoted(&output))),
            Err(failure) => {
                if matches!(failure, ProgramFailure::TimedOut { .. }) {
                    self.ports.clock().sleep(self.abandon).await;
                }
                Err(Failure::Program { occasion, program: program.clone(), failure })
            }
        }
    }

    /// Lets the pointer name the other table. A reply that was lost is looked after, so that the outcome is definite.
    async fn point(&self) -> Result<String, StepFailure> {
        let (application, clock, leader) = (self.ports.application(), self.ports.clock(), self.subject.leader);
        let (from, to) = (self.ports.admin(leader).name(), self.ports.admin(leader.other()).name());
        let (began, mut abandoned) = (clock.now(), false);
        loop {
            let moved = application.point(from, to).await;
            abandoned |= moved.as_ref().is_err_and(|error| error.fault == Fault::Abandoned);
            let problem = match moved {
                Ok(()) => return Ok(format!("the pointer names {to}")),
                Err(error) if error.fault == Fault::Conflict => match application.pointer().await {
                    Ok(Some(named)) if named == to => return Ok(format!("the pointer names {to}")),
                    Ok(Some(named)) => {
                        let why = Failure::PointsElsewhere { named, expected: from.to_owned() };
                        return Err(StepFailure { why, not_begun: !abandoned });
                    }
                    Ok(None) => return Err(StepFailure { why: Failure::NoPointer, not_begun: !abandoned }),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let over =
                clock.now().since(began) >= self.settings.program_timeout || problem.fault.reaction() == Reaction::Stop;
            if over {
                if abandoned {
                    // What was given up may still move it: whoever decides must know the end.
                    clock.sleep(self.abandon).await;
                    if application.pointer().await.is_ok_and(|named| named.is_some_and(|named| named == to)) {
                        return Ok(format!("the pointer names {to}"));
                    }
                }
                let not_begun = !abandoned && problem.fault == Fault::Denied;
                return Err(StepFailure { why: Failure::Pointer(problem), not_begun });
            }
            clock.sleep(POINTER_POLL).await;
        }
    }
}

/// The end of what a program wrote, for a sentence.
fn quoted(output: &str) -> String {
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
