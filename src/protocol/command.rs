//! What operators ask of the active process, and whether it does it.
//!
//! [`decide`] is the one judge of verb and phase. A command that is too old is not asked about, and a cutover that it allows
//! may still be refused by its gates, or for want of a vouch.

use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// What an operator can ask of the active process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Verb {
    /// Pause or resume.
    Pause {
        /// What shall be paused from now on.
        paused: Paused,
    },
    /// End the migration.
    Abort,
    /// Begin a cutover, or only look at its gates.
    Cutover {
        /// Only look.
        dry_run: bool,
        /// Who asks.
        by: String,
        /// The operator vouches that writes to the source are stopped.
        fenced: bool,
    },
    /// Compare what surrounds source and shadow.
    Checklist,
    /// Try the switch again.
    SwitchAgain,
    /// The operator vouches that the application uses the shadow.
    DeclareSwitched,
    /// Give the cutover up and allow writes to the source again. After the switch's intent: the operator vouches that
    /// nothing writes to the shadow.
    GiveUp {
        /// The operator vouches for it.
        vouched: bool,
    },
    /// While a fence is being undone: the operator vouches that it is.
    DeclareUnfenced,
    /// Put cutovers off, or allow them again.
    Postpone {
        /// Whether they are put off.
        postponed: bool,
    },
    /// End the migration after its switch.
    Finish,
    /// Read quarantined items again.
    Retry {
        /// Their ids; all when empty.
        ids: Vec<String>,
    },
    /// What a later version of the program knows.
    #[serde(other)]
    Unknown,
}

impl Verb {
    /// What is changed by it, for the audit trail; none where it only looks.
    pub fn change(&self) -> Option<String> {
        Some(match self {
            Self::Pause { paused: Paused::None } => "resume".to_owned(),
            Self::Pause { paused } => format!("pause {}", paused.as_str()),
            Self::Abort => "abort".to_owned(),
            Self::Cutover { dry_run: false, .. } => "cutover".to_owned(),
            Self::SwitchAgain => "cutover --again".to_owned(),
            Self::DeclareSwitched => "cutover --declare-switched".to_owned(),
            Self::GiveUp { vouched: false } => "unfence".to_owned(),
            Self::GiveUp { vouched: true } | Self::DeclareUnfenced => "unfence --vouch".to_owned(),
            Self::Postpone { postponed: true } => "postpone".to_owned(),
            Self::Postpone { postponed: false } => "postpone --off".to_owned(),
            Self::Finish => "finish".to_owned(),
            Self::Retry { .. } => "quarantine retry".to_owned(),
            Self::Cutover { dry_run: true, .. } | Self::Checklist | Self::Unknown => return None,
        })
    }
}

/// What an operator paused. Durable: a restart stays paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    /// Nothing.
    None,
    /// The copy; the tail goes on.
    Copy,
    /// Copy and tail: headroom shrinks.
    All,
}

impl Paused {
    /// The word for people and for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Copy => "copy",
            Self::All => "all",
        }
    }
}

/// What the process that is asked is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It mirrors.
    Mirroring {
        /// A step of a cutover is under way.
        step: bool,
        /// What a step that was cut short left behind may still act.
        leftover: bool,
    },
    /// After the switch's intent, nothing can be mirrored: it waits for a decision.
    Waiting {
        /// The switch is under way again.
        step: bool,
    },
    /// It undoes a fence.
    Unfencing {
        /// The program failed, or had time: a vouch that comes earlier was meant for something else.
        tried: bool,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// Store what is paused.
    Pause(Paused),
    /// End the migration before its switch.
    Abort,
    /// Look at the gates; if all hold, begin a cutover, unless it is only looked.
    Cutover {
        /// Only look.
        dry_run: bool,
        /// Who asks.
        by: &'a str,
        /// The operator vouches that writes to the source are stopped.
        fenced: bool,
    },
    /// Compare what surrounds source and shadow.
    Compare,
    /// Try the switch again.
    TrySwitch,
    /// The application uses the shadow.
    Switched,
    /// Give the cutover up; the fence is undone next.
    GiveUp,
    /// Undo a fence that no cutover knows of.
    Unfence,
    /// The fence is undone.
    Unfenced,
    /// Put cutovers off, or allow them again.
    Postpone(bool),
    /// End the migration after its switch.
    Finish,
    /// Read these quarantined items again; all when empty.
    Retry(&'a [String]),
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One decision at a time.
    #[error("the switch is under way; wait until it ends")]
    SwitchUnderWay,
    /// No switch failed.
    #[error("there is no switch to decide about")]
    NoSwitch,
    /// The application may have been moved.
    #[error("the application may be writing to the shadow; vouch that nothing does: --vouch")]
    NotVouched,
    /// The cutover is over.
    #[error("the application uses the shadow already; `shadowtable finish` ends the migration")]
    AlreadySwitched,
    /// A cutover that is done is not given up.
    #[error("the application uses the shadow; there is no way back yet")]
    NoWayBack,
    /// There is nothing to undo.
    #[error("no cutover is under way, so nothing is fenced")]
    NothingFenced,
    /// There is nothing to vouch for.
    #[error("no fence is being undone")]
    NotUnfencing,
    /// The fence comes first.
    #[error("the fence is being undone; see `shadowtable audit`")]
    BeingUnfenced,
    /// There is nothing to finish.
    #[error("it is finished only after its switch")]
    NotSwitched,
    /// An application that waits comes first.
    #[error("not while the source may be fenced; `shadowtable unfence` gives the cutover up")]
    MayBeFenced,
    /// It needs a mirror.
    #[error("nothing can be mirrored; see `shadowtable status`")]
    NotMirrored,
    /// A later version's.
    #[error("the active process is of a version that does not know this command; update it")]
    UnknownVerb,
}

impl Refusal {
    /// For whoever asked.
    pub fn told(self, phase: Phase) -> String {
        format!("the migration is {phase}: {self}")
    }
}

/// Whether an operator is obeyed, and how.
pub fn decide(doing: Activity, phase: Phase, verb: &Verb) -> Result<Act<'_>, Refusal> {
    match (doing, verb) {
        (_, Verb::Unknown) => Err(Refusal::UnknownVerb),
        (Activity::Unfencing { tried: true }, Verb::DeclareUnfenced) => Ok(Act::Unfenced),
        (Activity::Unfencing { .. }, _) => Err(Refusal::BeingUnfenced),
        (Activity::Waiting { step: true }, _) => Err(Refusal::SwitchUnderWay),
        (Activity::Waiting { .. } | Activity::Mirroring { .. }, _) if phase == Phase::Switching && decides(verb) => {
            about_the_switch(doing, verb)
        }
        (Activity::Waiting { .. }, Verb::Finish) if phase == Phase::Switched => Ok(Act::Finish),
        (Activity::Waiting { .. }, _) => Err(Refusal::NotMirrored),
        (Activity::Mirroring { leftover, .. }, _) => while_mirroring(leftover, phase, verb),
    }
}

/// Whether it is a word about a switch that failed.
const fn decides(verb: &Verb) -> bool {
    matches!(verb, Verb::SwitchAgain | Verb::DeclareSwitched | Verb::GiveUp { .. })
}

/// The intent is stored, and an operator decides.
fn about_the_switch(doing: Activity, verb: &Verb) -> Result<Act<'_>, Refusal> {
    match verb {
        _ if matches!(doing, Activity::Mirroring { step: true, .. }) => Err(Refusal::SwitchUnderWay),
        Verb::SwitchAgain => Ok(Act::TrySwitch),
        Verb::DeclareSwitched => Ok(Act::Switched),
        Verb::GiveUp { vouched: true } => Ok(Act::GiveUp),
        _ => Err(Refusal::NotVouched),
    }
}

fn while_mirroring(leftover: bool, phase: Phase, verb: &Verb) -> Result<Act<'_>, Refusal> {
    match verb {
        Verb::Cutover { .. } | Verb::Pause { .. } | Verb::Abort if phase == Phase::Switched => {
            Err(Refusal::AlreadySwitched)
        }
        Verb::Cutover { dry_run, by, fenced } => Ok(Act::Cutover { dry_run: *dry_run, by, fenced: *fenced }),
        Verb::SwitchAgain | Verb::DeclareSwitched => Err(Refusal::NoSwitch),
        Verb::DeclareUnfenced => Err(Refusal::NotUnfencing),
        Verb::GiveUp { .. } => match phase {
            Phase::Fencing | Phase::Fenced | Phase::Drained => Ok(Act::GiveUp),
            Phase::Switched => Err(Refusal::NoWayBack),
            _ if leftover => Ok(Act::Unfence),
            _ => Err(Refusal::NothingFenced),
        },
        Verb::Postpone { postponed } => Ok(Act::Postpone(*postponed)),
        Verb::Finish if phase == Phase::Switched => Ok(Act::Finish),
        Verb::Finish => Err(Refusal::NotSwitched),
        Verb::Pause { .. } | Verb::Abort if phase.may_be_fenced() => Err(Refusal::MayBeFenced),
        Verb::Pause { paused } => Ok(Act::Pause(*paused)),
        Verb::Abort => Ok(Act::Abort),
        Verb::Checklist => Ok(Act::Compare),
        Verb::Retry { ids } => Ok(Act::Retry(ids)),
        Verb::Unknown => Err(Refusal::UnknownVerb),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn verbs() -> Vec<(&'static str, Verb)> {
        let cutover = |dry_run, fenced| Verb::Cutover { dry_run, by: "laptop".into(), fenced };
        vec![
            ("pause copy", Verb::Pause { paused: Paused::Copy }),
            ("resume", Verb::Pause { paused: Paused::None }),
            ("abort", Verb::Abort),
            ("cutover", cutover(false, false)),
            ("cutover --dry-run", cutover(true, false)),
            ("cutover --fenced", cutover(false, true)),
            ("cutover --again", Verb::SwitchAgain),
            ("cutover --declare-switched", Verb::DeclareSwitched),
            ("unfence", Verb::GiveUp { vouched: false }),
            ("unfence --vouch", Verb::GiveUp { vouched: true }),
            ("unfence --vouch, of a fence that is being undone", Verb::DeclareUnfenced),
            ("postpone", Verb::Postpone { postponed: true }),
            ("finish", Verb::Finish),
            ("checklist", Verb::Checklist),
            ("quarantine retry", Verb::Retry { ids: vec!["a".into()] }),
            ("a later version's", Verb::Unknown),
        ]
    }

    /// All answers, by what the process is at: for each verb the outcomes, and the phases that have them.
    fn table(doing: Activity) -> String {
        let mut table = String::new();
        for (name, verb) in verbs() {
            let mut outcomes: Vec<(String, Vec<String>)> = Vec::new();
            for phase in Phase::ALL {
                let outcome = match decide(doing, phase, &verb) {
                    Ok(act) => format!("{act:?}"),
                    Err(refusal) => format!("no: {refusal:?}"),
                };
                match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
                    Some((_, phases)) => phases.push(phase.to_string()),
                    None => outcomes.push((outcome, vec![phase.to_string()])),
                }
            }
            let always = outcomes.len() == 1;
            writeln!(table, "{name}").unwrap();
            for (outcome, phases) in outcomes {
                let phases = if always { "always".to_owned() } else { phases.join(", ") };
                writeln!(table, "    {outcome}: {phases}").unwrap();
            }
        }
        table
    }

    #[test]
    fn every_answer_of_a_process_that_mirrors() {
        insta::assert_snapshot!(table(Activity::Mirroring { step: false, leftover: false }));
    }

    #[test]
    fn every_answer_during_a_step_of_a_cutover() {
        insta::assert_snapshot!(table(Activity::Mirroring { step: true, leftover: false }));
    }

    #[test]
    fn every_answer_while_a_step_that_was_cut_short_may_act() {
        insta::assert_snapshot!(table(Activity::Mirroring { step: false, leftover: true }));
    }

    #[test]
    fn every_answer_where_nothing_can_be_mirrored() {
        insta::assert_snapshot!(table(Activity::Waiting { step: false }));
    }

    #[test]
    fn nothing_is_decided_while_the_switch_is_tried_again() {
        insta::assert_snapshot!(table(Activity::Waiting { step: true }));
    }

    #[test]
    fn every_answer_while_a_fence_is_undone() {
        insta::assert_snapshot!(table(Activity::Unfencing { tried: true }));
        insta::assert_snapshot!(table(Activity::Unfencing { tried: false }));
    }
}
