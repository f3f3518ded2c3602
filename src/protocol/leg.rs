//! A direction of replication, and what becomes of the changes that it reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::phase::{Phase, Standing};
use crate::model::Side;

/// One direction of replication: changes of one table are applied to the other, while the application writes to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leg {
    /// The table whose changes are read.
    pub from: Side,
    /// Goes up with every leg that a generation gets. Pin, checkpoints and quarantine lie under it: what an earlier leg left
    /// behind is never read as a later one's.
    pub round: u32,
}

impl Leg {
    /// The leg that every migration begins with.
    pub const FIRST: Self = Self { from: Side::Source, round: 1 };

    /// The table that is written.
    pub const fn to(self) -> Side {
        self.from.other()
    }
}

/// As state keys have it.
impl fmt::Display for Leg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}#{}", self.from, self.round)
    }
}

/// What becomes of a leg's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intake {
    /// They are applied.
    Open,
    /// The application is being pointed at the other table. Nothing is written to that any more: a change goes to quarantine
    /// as late, and the tail stores no checkpoint, so that it is read again and applied if the switch does not take place.
    Held,
    /// The application writes to the other table. As before, but quarantine is where a late change stays.
    Closed,
}

impl Intake {
    /// That of `leg`, while the migration stands there.
    pub fn of(leg: Leg, standing: Standing) -> Self {
        if leg.from != standing.leader {
            Self::Closed
        } else if standing.phase == Phase::Switching {
            Self::Held
        } else {
            Self::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::phase::{Event, next};
    use super::*;

    /// What is applied to a table that the application may use would undo its writes. (Of the leg of the table that leads: one
    /// that was closed is not opened again, but followed by one of a later round.)
    #[test]
    fn a_leg_is_closed_by_the_switch_and_opened_only_by_an_operator_who_gives_up() {
        for standing in Standing::all() {
            let leg = Leg { from: standing.leader, round: 1 };
            for event in Event::ALL {
                let Ok(to) = next(standing, event) else { continue };
                match (Intake::of(leg, standing), Intake::of(leg, to)) {
                    (Intake::Held, Intake::Open) => assert_eq!(event, Event::CutoverGivenUp),
                    (before, Intake::Closed) => assert_eq!((before, event), (Intake::Held, Event::Switched)),
                    (before, after) => {
                        assert!(before == after || event == Event::SwitchIntended, "{standing:?} {event:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_two_legs_write_at_a_time() {
        for standing in Standing::all() {
            let legs = Side::BOTH.map(|from| Intake::of(Leg { from, round: 1 }, standing));
            assert_eq!(legs.iter().filter(|intake| **intake == Intake::Closed).count(), 1, "{standing:?}");
        }
    }
}
