//! Sees when somebody changes the tables under a running migration.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::cutover::{movable_pointer, unusable_programs};
use crate::engine::state::entities::{Meta, Pin};
use crate::engine::{CutoverSettings, EngineError};
use crate::model::{IndexStatus, Side, Sides, TableDescription, TableStatus};
use crate::ports::{Clock, Ports, Reaction, TableAdmin};
use crate::protocol::cutover::Pointer;
use crate::protocol::leg::Intake;

/// `DescribeTable` is eventually consistent: so many answers in a row must agree that something is wrong.
const AGREEMENT: u32 = 3;
/// How soon it is asked again at the start.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What gates look at and is not the migration's own.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    /// What of the shadow is not active.
    pub(super) inactive: Vec<String>,
    /// What the application is pointed at.
    pub(super) pointer: Pointer,
    /// Programs that cannot be started.
    pub(super) unusable: Vec<String>,
    /// Where the source has replicas.
    pub(super) source_replicas: Vec<String>,
    /// Where the shadow has some, or that nobody knows.
    pub(super) other_replicas: Vec<String>,
}

impl Outside {
    /// `tables`: source and shadow, or why they cannot be seen. What is not known does not hold.
    pub(super) async fn look<P: Ports>(
        ports: &P,
        tables: Result<(&TableDescription, &TableDescription), String>,
        settings: &CutoverSettings,
    ) -> Self {
        let (inactive, source_replicas, other_replicas) = match tables {
            Ok((source, shadow)) => {
                let others = shadow.replicas.iter().map(|region| format!("the shadow in {region}")).collect();
                (not_active(shadow), source.replicas.clone(), others)
            }
            Err(why) => (vec![why.clone()], Vec::new(), vec![why]),
        };
        Self {
            inactive,
            pointer: movable_pointer(ports, settings.switch.as_ref()).await,
            unusable: unusable_programs(ports, settings).await,
            source_replicas,
            other_replicas,
        }
    }
}

/// What is looked at now and then, beside a mirror.
pub(super) struct TableWatch<P> {
    pub(super) ports: Arc<P>,
    /// As it was when the mirror began.
    pub(super) meta: Meta,
    pub(super) pin: Pin,
    pub(super) settings: CutoverSettings,
    /// How often.
    pub(super) interval: Duration,
    /// What was seen at the last look.
    pub(super) outside: Arc<Mutex<Outside>>,
}

impl<P: Ports> TableWatch<P> {
    /// Looks at source, shadow and pointer until something is definitely wrong with the tables.
    pub(super) async fn run(&self) -> Result<(), EngineError> {
        let mut wrong = 0;
        loop {
            self.ports.clock().sleep(self.interval).await;
            match self.look().await? {
                None => wrong = 0,
                Some(problem) => {
                    wrong += 1;
                    tracing::warn!(problem, wrong, "a table was changed from outside");
                    if wrong >= AGREEMENT {
                        return Err(EngineError::Lost(problem));
                    }
                }
            }
        }
    }

    async fn look(&self) -> Result<Option<String>, EngineError> {
        let ports = &self.ports;
        let (leg, intake) = (self.meta.leg(), Intake::of(self.meta.leg(), self.meta.standing()));
        let mut found = Sides::of(|_| None);
        for side in Side::BOTH {
            let admin = ports.admin(side);
            let name = admin.name();
            let table = match admin.describe().await {
                Ok(Some(table)) => table,
                Ok(None) => return Ok(Some(format!("the {side} table {name} was deleted"))),
                Err(error) if error.fault.reaction() == Reaction::BackOff => continue,
                Err(error) => return Err(error.into()),
            };
            if self.meta.tables[side].identity.as_ref().is_some_and(|recorded| !recorded.is(&table)) {
                return Ok(Some(format!("the {side} table {name} was deleted and created again")));
            }
            match &table.stream {
                None if side == leg.from => {
                    return Ok(Some(format!("the stream of the {side} table {name} was disabled")));
                }
                Some(stream) if side == leg.from && stream.arn != self.pin.stream_arn => {
                    return Ok(Some(format!("the stream of the {side} table {name} was disabled and enabled again")));
                }
                Some(_) if side == leg.to() && intake == Intake::Open => {
                    tracing::warn!(
                        table = name,
                        "somebody enabled the {side}'s stream; it must be off until the switch"
                    );
                }
                _ => {}
            }
            found[side] = Some(table);
        }
        if let Sides { source: Some(source), shadow: Some(shadow) } = &found {
            let seen = Outside::look(&**ports, Ok((source, shadow)), &self.settings).await;
            *self.outside.lock() = seen;
        }
        Ok(None)
    }
}

/// Past the pin, a stream that is off has lost history: enabling it makes another one.
pub(super) async fn stream_is_there<P: Ports>(ports: &P, side: Side) -> Result<(), EngineError> {
    let admin = ports.admin(side);
    for look in 1..=AGREEMENT {
        match admin.describe().await {
            Ok(Some(table)) if table.stream.is_none() && look == AGREEMENT => {
                return Err(EngineError::Lost(format!("the stream of the {side} table {} was disabled", admin.name())));
            }
            Ok(Some(table)) if table.stream.is_none() => ports.clock().sleep(LOOK_AGAIN).await,
            // Whatever else is wrong is told by whoever needs it.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// What of the shadow is not active, in words.
pub(super) fn not_active(shadow: &TableDescription) -> Vec<String> {
    let whole = (shadow.status != TableStatus::Active).then(|| format!("the shadow is {:?}", shadow.status));
    let indexes = shadow.index_status.iter().filter(|(_, status)| **status != IndexStatus::Active);
    whole.into_iter().chain(indexes.map(|(name, status)| format!("{name} is {status:?}"))).collect()
}
