//! When a cutover may begin, and what it does in each phase.
//!
//! The steps are fixed: fence, drain, recheck, switch. Each belongs to a phase, so a restart knows from the phase alone
//! what to do; nothing else about a cutover needs to be right for it to end well.

use std::fmt;
use std::time::Duration;

use super::phase::{Event, Phase};
use crate::model::{counted, tenths};

/// What is done in a phase of a cutover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Stop writes to the leader.
    Fence,
    /// See that every change is applied.
    Drain,
    /// Compare the keys that changed lately.
    Recheck,
    /// Point the application at the other table.
    Switch,
    /// Allow writes to the leader again.
    Unfence,
}

impl Step {
    /// The step of a phase, if it has one.
    pub const fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Fencing => Some(Self::Fence),
            Phase::Fenced => Some(Self::Drain),
            Phase::Drained => Some(Self::Recheck),
            Phase::Switching => Some(Self::Switch),
            Phase::Unfencing => Some(Self::Unfence),
            _ => None,
        }
    }

    /// What happened when the step is done.
    pub const fn done(self) -> Event {
        match self {
            Self::Fence => Event::FenceStands,
            Self::Drain => Event::Drained,
            Self::Recheck => Event::SwitchIntended,
            Self::Switch => Event::Switched,
            Self::Unfence => Event::Unfenced,
        }
    }

    /// What a failure of the step leads to: before the switch's intent the fence is undone; afterwards nothing happens
    /// by itself, since the application may be writing to the other table already.
    pub const fn failed(self) -> Option<Event> {
        match self {
            Self::Fence | Self::Drain | Self::Recheck => Some(Event::CutoverGivenUp),
            Self::Switch | Self::Unfence => None,
        }
    }

    /// Whether it changes something outside, which may go on for a while after it was cut short.
    pub const fn acts(self) -> bool {
        matches!(self, Self::Fence | Self::Switch | Self::Unfence)
    }

    /// The word for people, logs and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Drain => "drain",
            Self::Recheck => "recheck",
            Self::Switch => "switch",
            Self::Unfence => "unfence",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What the pointer that the application reads was seen to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The switch moves none.
    Unused,
    /// This table.
    Names(String),
    /// This table, and it may not be written, for this reason.
    Locked(String, String),
    /// It is not there.
    Missing,
    /// It could not be read, for this reason.
    Unknown(String),
}

/// What the gates look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Where the migration stands.
    pub phase: Phase,
    /// Copy or tail is paused.
    pub paused: bool,
    /// An operator put cutovers off.
    pub postponed: bool,
    /// Segments whose copy is not complete.
    pub segments_left: usize,
    /// The age of the oldest change that may not be durable.
    pub lag: Option<Duration>,
    /// How long until unread history may be trimmed.
    pub headroom: Option<Duration>,
    /// Changes in quarantine.
    pub quarantined: usize,
    /// The shadow and its indexes that are not active, with their state.
    pub inactive: Vec<String>,
    /// The name of the table that leads.
    pub leader: String,
    /// What the application is pointed at.
    pub pointer: Pointer,
    /// What the configuration lacks for a cutover.
    pub missing: Vec<&'static str>,
    /// Programs that the active process cannot start, each with the reason.
    pub unusable: Vec<String>,
    /// Where source or shadow have replicas, and nobody vouched that nothing writes there.
    pub replicas: Vec<String>,
}

/// What must hold before a cutover begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The highest lag.
    pub max_lag: Duration,
    /// The least headroom.
    pub min_headroom: Duration,
}

/// One condition, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was seen.
    pub figure: String,
    /// What to do when it does not hold.
    pub remedy: String,
}

/// All gates, in the order in which an operator would see to them. A cutover begins only when each holds; what is not
/// known does not hold.
pub fn gates(figures: &Figures, limits: &Limits) -> Vec<Gate> {
    let mut gates = Vec::from(gates_outside(figures));
    gates.extend(gates_of_the_operator(figures));
    gates.extend(gates_of_the_mirror(figures, limits));
    gates
}

fn gate(name: &str, holds: bool, figure: String, remedy: &str) -> Gate {
    Gate { name: name.to_owned(), holds, figure, remedy: remedy.to_owned() }
}

/// What a cutover does its work with.
fn gates_outside(figures: &Figures) -> [Gate; 4] {
    [
        gate(
            "configured",
            figures.missing.is_empty(),
            if figures.missing.is_empty() { "yes".into() } else { format!("no {}", figures.missing.join(", no ")) },
            "add what is missing to the configuration of the active process, and restart it",
        ),
        gate(
            "programs",
            figures.unusable.is_empty(),
            if figures.unusable.is_empty() { "can be started".into() } else { figures.unusable.join("; ") },
            "let the active process's machine have them, executable, or correct the configuration and restart it",
        ),
        gate(
            "pointer",
            match &figures.pointer {
                Pointer::Unused => true,
                Pointer::Names(named) => *named == figures.leader,
                Pointer::Locked(..) | Pointer::Missing | Pointer::Unknown(_) => false,
            },
            match &figures.pointer {
                Pointer::Unused => "the switch moves none".into(),
                Pointer::Names(named) => format!("names {named:?}"),
                Pointer::Locked(named, reason) => format!("names {named:?}, and may not be written: {reason}"),
                Pointer::Missing => "there is none".into(),
                Pointer::Unknown(reason) => format!("not known: {reason}"),
            },
            "let it name the source, where the application is now, and let the active process read and write it",
        ),
        gate(
            "one region",
            figures.replicas.is_empty(),
            if figures.replicas.is_empty() { "no replica".into() } else { figures.replicas.join(", ") },
            "a write in another region may arrive after the fence and be lost. If nothing writes there, restart the active \
             process once with `shadowtable run --single-writer-region`; a shadow gets replicas after the switch",
        ),
    ]
}

/// What an operator said.
fn gates_of_the_operator(figures: &Figures) -> [Gate; 2] {
    [
        gate(
            "not postponed",
            !figures.postponed,
            if figures.postponed { "postponed".into() } else { "not postponed".into() },
            "allow cutovers again: `shadowtable postpone --off`",
        ),
        gate(
            "not paused",
            !figures.paused,
            if figures.paused { "paused".into() } else { "running".into() },
            "go on: `shadowtable resume`",
        ),
    ]
}

/// Whether the shadow is what the source is.
fn gates_of_the_mirror(figures: &Figures, limits: &Limits) -> [Gate; 6] {
    let seconds = |span: Duration| format!("{} s", tenths(span.as_secs_f64()));
    let hours = |span: Duration| format!("{} h", tenths(span.as_secs_f64() / 3600.0));
    let or_unknown = |figure: Option<String>| figure.unwrap_or_else(|| "not known".to_owned());
    [
        gate(
            "copy complete",
            figures.segments_left == 0,
            format!("{} left", counted(figures.segments_left, "segment")),
            "wait until the copy is complete; `shadowtable status` shows its progress",
        ),
        gate(
            "tailing",
            figures.phase == Phase::Tailing,
            figures.phase.to_string(),
            "a cutover begins only while the migration is tailing; `shadowtable status` says what it is doing",
        ),
        gate(
            "lag",
            figures.lag.is_some_and(|lag| lag <= limits.max_lag),
            format!("{} (at most {})", or_unknown(figures.lag.map(seconds)), seconds(limits.max_lag)),
            "wait until the tail has caught up; if it does not, look for throttling in `shadowtable status`",
        ),
        gate(
            "headroom",
            figures.headroom.is_some_and(|headroom| headroom >= limits.min_headroom),
            format!("{} (at least {})", or_unknown(figures.headroom.map(hours)), hours(limits.min_headroom)),
            "let the tail catch up: a cutover that fails must find its history still there",
        ),
        gate(
            "quarantine empty",
            figures.quarantined == 0,
            counted(figures.quarantined, "change"),
            "see `shadowtable quarantine list`: fix the items in the source; another layout needs a reseed",
        ),
        gate(
            "indexes active",
            figures.inactive.is_empty(),
            if figures.inactive.is_empty() { "all".into() } else { figures.inactive.join(", ") },
            "wait until the shadow and all its indexes are ACTIVE",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::phase::{Standing, next};
    use super::*;

    const LIMITS: Limits = Limits { max_lag: Duration::from_secs(10), min_headroom: Duration::from_hours(12) };

    fn ready() -> Figures {
        Figures {
            phase: Phase::Tailing,
            paused: false,
            postponed: false,
            segments_left: 0,
            lag: Some(Duration::from_secs(10)),
            headroom: Some(Duration::from_hours(12)),
            quarantined: 0,
            inactive: Vec::new(),
            leader: "orders".into(),
            pointer: Pointer::Names("orders".into()),
            missing: Vec::new(),
            unusable: Vec::new(),
            replicas: Vec::new(),
        }
    }

    fn closed(figures: &Figures) -> Vec<String> {
        gates(figures, &LIMITS).into_iter().filter(|gate| !gate.holds).map(|gate| gate.name).collect()
    }

    #[test]
    fn all_hold_at_their_limits() {
        assert!(closed(&ready()).is_empty());
        assert!(closed(&Figures { pointer: Pointer::Unused, ..ready() }).is_empty());
    }

    #[test]
    fn each_refuses_alone() {
        let beyond = |span: Duration| span + Duration::from_millis(1);
        let short = |span: Duration| span.saturating_sub(Duration::from_millis(1));
        for (figures, gate) in [
            (Figures { missing: vec!["[switch]"], ..ready() }, "configured"),
            (Figures { pointer: Pointer::Names("orders-new".into()), ..ready() }, "pointer"),
            (Figures { pointer: Pointer::Missing, ..ready() }, "pointer"),
            (Figures { pointer: Pointer::Unknown("denied".into()), ..ready() }, "pointer"),
            (Figures { pointer: Pointer::Locked("orders".into(), "denied".into()), ..ready() }, "pointer"),
            (Figures { unusable: vec!["switch is not there".into()], ..ready() }, "programs"),
            (Figures { replicas: vec!["the source in us-east-1".into()], ..ready() }, "one region"),
            (Figures { postponed: true, ..ready() }, "not postponed"),
            (Figures { paused: true, ..ready() }, "not paused"),
            (Figures { segments_left: 1, ..ready() }, "copy complete"),
            (Figures { phase: Phase::Fenced, ..ready() }, "tailing"),
            (Figures { lag: Some(beyond(LIMITS.max_lag)), ..ready() }, "lag"),
            (Figures { lag: None, ..ready() }, "lag"),
            (Figures { headroom: Some(short(LIMITS.min_headroom)), ..ready() }, "headroom"),
            (Figures { headroom: None, ..ready() }, "headroom"),
            (Figures { quarantined: 1, ..ready() }, "quarantine empty"),
            (Figures { inactive: vec!["by-user is CREATING".into()], ..ready() }, "indexes active"),
        ] {
            assert_eq!(closed(&figures), [gate]);
        }
    }

    #[test]
    fn every_step_that_ends_leads_on() {
        for standing in Standing::all() {
            let Some(step) = Step::of(standing.phase) else { continue };
            assert!(standing.allows(step.done()), "{standing:?}");
            if let Some(event) = step.failed() {
                let unfencing = Standing { phase: Phase::Unfencing, ..standing };
                assert_eq!(next(standing, event), Ok(unfencing), "{standing:?}");
            }
        }
    }

    #[test]
    fn after_the_intent_no_failure_unfences() {
        assert_eq!(Step::of(Phase::Switching).unwrap().failed(), None);
    }
}
