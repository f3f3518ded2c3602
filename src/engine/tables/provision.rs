//! Checks the source and makes the shadow, idempotently.

use std::time::Duration;

use super::claims::Claims;
use crate::engine::error::EngineError;
use crate::engine::retry::{Retry, until_answered};
use crate::engine::state::entities::TableIdentity;
use crate::layout::differences;
use crate::model::{IndexStatus, Place, Side, StreamDescription, TableDescription, TableLayout, TableStatus, ViewType};
use crate::ports::{Clock, CreateOptions, Fault, Ports, Reaction, TableAdmin};

/// How often a table in the making is looked at.
const POLL: Duration = Duration::from_millis(500);
/// How many looks may miss a table that was just created.
const ABSENT_LOOKS: u32 = 120;
/// What is told of a fault that lasts.
const UNASKED: &str = "a table could not be asked";

/// The source, fit to be migrated.
#[derive(Clone, Debug)]
pub struct Source {
    /// The table.
    pub table: TableDescription,
    /// Its stream.
    pub stream: StreamDescription,
}

/// The source as it is, with a stream that carries what the transform needs. An existing stream is never toggled.
pub async fn check_source<P: Ports>(ports: &P, needs_old_images: bool) -> Result<Source, EngineError> {
    let admin = ports.admin(Side::Source);
    let place = admin.place();
    let enable_command =
        place.command("update-table") + " --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES";
    let table = find_source(ports.clock(), admin).await?;
    if matches!(table.status, TableStatus::Deleting | TableStatus::Unusable) {
        return Err(EngineError::refused(
            format!("the source table {place} is {:?}", table.status).to_lowercase(),
            "a migration needs a table that can be read; nothing was changed",
        ));
    }
    match &table.stream {
        Some(stream) if needs_old_images && !stream.view.has_old_images() => Err(EngineError::refused(
            format!(
                "the transform changes keys, so the stream of {place} must carry old images, but its view type is {}",
                stream.view.as_str()
            ),
            format!(
                "a view type cannot be edited: disable the stream (which ends its other consumers) and enable it again: {enable_command}"
            ),
        )),
        Some(stream) => Ok(Source { stream: stream.clone(), table }),
        None => Err(EngineError::refused(
            format!("the source table {place} has no stream"),
            format!("let it be enabled with `shadowtable run --enable-stream`, or enable it: {enable_command}"),
        )),
    }
}

/// A write that another region's replica took may arrive here after the fence and the drain, and would be lost. `vouched`:
/// an operator says that there are none.
pub fn check_replicas(source: &TableDescription, place: &Place, vouched: bool) -> Result<(), EngineError> {
    if source.replicas.is_empty() || vouched {
        return Ok(());
    }
    let regions = source.replicas.join(", ");
    Err(EngineError::refused(
        format!("the source table {place} is a global table with replicas in: {regions}"),
        "a write there may arrive after the fence and be lost. If nothing writes in other regions, say so, once: `shadowtable \
         run --single-writer-region`",
    ))
}

/// The source as it is; a missing one is refused.
pub async fn find_source(clock: &impl Clock, admin: &impl TableAdmin) -> Result<TableDescription, EngineError> {
    describe(clock, admin).await?.ok_or_else(|| {
        EngineError::refused(
            format!("the source table {} does not exist", admin.place()),
            "check source.table, and that region, profile and endpoint lead to where it is",
        )
    })
}

/// What came of asking the service to make something.
#[derive(Debug)]
pub enum Making {
    /// It is there, and a request of this process may have made it.
    Ours,
    /// It is there, and somebody else made it.
    Others,
    /// It was refused, for certain.
    Refused(EngineError),
    /// Nobody knows: a request was given up before.
    Unknown(EngineError),
}

impl Making {
    fn failed(error: EngineError, given_up: bool) -> Self {
        if given_up { Self::Unknown(error) } else { Self::Refused(error) }
    }
}

/// Enables the source's stream with new and old images, and waits until it is there.
pub async fn enable_stream<P: Ports>(ports: &P) -> Making {
    let (admin, clock) = (ports.admin(Side::Source), ports.clock());
    let (mut retry, mut given_up, mut ours) = (Retry::default(), false, false);
    loop {
        match find_source(clock, admin).await {
            Ok(found) if found.stream.is_some() => return if ours || given_up { Making::Ours } else { Making::Others },
            Ok(_) if ours => {
                clock.sleep(POLL).await;
                continue;
            }
            Ok(_) => {}
            Err(error) => return Making::failed(error, given_up || ours),
        }
        match admin.enable_stream(ViewType::NewAndOldImages).await {
            Ok(()) => ours = true,
            Err(error) if error.fault.reaction() == Reaction::BackOff => {
                given_up |= error.fault == Fault::Abandoned;
                retry.outlast(clock, &error, UNASKED).await;
            }
            // Enabled already, or the table is being changed: it is looked at, and asked again.
            Err(error) if error.fault == Fault::Busy => clock.sleep(POLL).await,
            Err(error) => return Making::failed(error.into(), given_up),
        }
    }
}

/// Creates the shadow where there is none.
pub async fn create_shadow<P: Ports>(ports: &P, target: &TableLayout) -> Making {
    let (admin, clock) = (ports.admin(Side::Shadow), ports.clock());
    let (mut retry, mut given_up) = (Retry::default(), false);
    tracing::info!(table = admin.name(), "creating the shadow table");
    loop {
        match admin.create(target, &CreateOptions::default()).await {
            Ok(()) => return Making::Ours,
            // There is one of this name, or many are being created at this moment.
            Err(error) if error.fault == Fault::Busy => match describe(clock, admin).await {
                Ok(Some(_)) => return if given_up { Making::Ours } else { Making::Others },
                Ok(None) => clock.sleep(POLL).await,
                Err(error) => return Making::failed(error, given_up),
            },
            Err(error) if error.fault.reaction() == Reaction::BackOff => {
                given_up |= error.fault == Fault::Abandoned;
                retry.outlast(clock, &error, UNASKED).await;
            }
            Err(error) if error.fault == Fault::Rejected => {
                let refused = EngineError::refused(
                    format!("the service refuses the target layout: {}", error.message),
                    "correct the layout file, then run again; nothing was created",
                );
                return Making::failed(refused, given_up);
            }
            Err(error) => return Making::failed(error.into(), given_up),
        }
    }
}

/// The shadow once it is complete, with all its indexes, and active. It must be the recorded one, or empty and nobody's, and
/// have the target's layout.
pub async fn provision_shadow<P: Ports>(
    ports: &P,
    claims: &Claims<P>,
    target: &TableLayout,
    recorded: Option<&TableIdentity>,
) -> Result<TableDescription, EngineError> {
    let admin = ports.admin(Side::Shadow);
    let (place, mut absent) = (admin.place(), 0);
    loop {
        let Some(table) = describe(ports.clock(), admin).await? else {
            if let Some(recorded) = recorded {
                return Err(EngineError::refused(
                    format!("the shadow table {place}, recorded as {}, does not exist", recorded.arn),
                    "check that region, profile and endpoint lead to where it is; if it was deleted, start over with \
                     `shadowtable reseed`",
                ));
            }
            // It was just created, and a description may lag behind.
            absent += 1;
            if absent > ABSENT_LOOKS {
                return Err(EngineError::refused(
                    format!("the shadow table {place} was deleted while it was made"),
                    "run again; it is created anew",
                ));
            }
            ports.clock().sleep(POLL).await;
            continue;
        };
        match table.status {
            TableStatus::Creating | TableStatus::Updating => ports.clock().sleep(POLL).await,
            TableStatus::Active if !indexes_active(&table) => ports.clock().sleep(POLL).await,
            TableStatus::Active => {
                check_shadow(ports, claims, target, recorded, &table).await?;
                return Ok(table);
            }
            TableStatus::Deleting | TableStatus::Unusable => {
                return Err(EngineError::refused(
                    format!("the shadow table {place} is being deleted or cannot be used"),
                    "wait until it is gone, or choose another shadow.table, then run again",
                ));
            }
        }
    }
}

fn indexes_active(table: &TableDescription) -> bool {
    table.index_status.values().all(|status| *status == IndexStatus::Active)
}

async fn check_shadow<P: Ports>(
    ports: &P,
    claims: &Claims<P>,
    target: &TableLayout,
    recorded: Option<&TableIdentity>,
    table: &TableDescription,
) -> Result<(), EngineError> {
    let place = ports.admin(Side::Shadow).place();
    let identity = TableIdentity::of(table, place);
    if let Some(recorded) = recorded {
        same_table(Side::Shadow, recorded, table)?;
    } else if !claims.may_claim(&identity, Side::Shadow).await? {
        // What another migration does with it says more than how it looks by now.
        claims.claim(&identity, Side::Shadow).await?;
    } else {
        must_be_empty(ports).await?;
    }
    let drift: Vec<_> = differences(target, &table.layout).into_iter().filter(|one| !one.is_capacity()).collect();
    if !drift.is_empty() {
        let lines: Vec<_> = drift.iter().map(|difference| format!("  {difference}")).collect();
        return Err(EngineError::refused(
            format!("the shadow table {place} does not have the target's layout:\n{}", lines.join("\n")),
            "choose another shadow.table, which shadowtable creates with the right layout; or delete this one, if it is yours \
             to delete",
        ));
    }
    if table.stream.is_some() {
        return Err(EngineError::refused(
            format!("the shadow table {place} has a stream enabled"),
            "choose another shadow.table; or, if this one is yours, disable its stream, which must be off until the switch",
        ));
    }
    // Of one that is being mirrored a gate tells.
    if recorded.is_none() && !table.replicas.is_empty() {
        return Err(EngineError::refused(
            format!("the shadow table {place} is a global table with replicas in: {}", table.replicas.join(", ")),
            "choose another shadow.table; replicas can be added after the switch",
        ));
    }
    if recorded.is_some() {
        return claims.claim(&identity, Side::Shadow).await;
    }
    // An empty one is claimed only here, so that a table which is refused stays nobody's. It is looked at once more, since it
    // may have been another's until now.
    claims.claim(&identity, Side::Shadow).await?;
    let empty = must_be_empty(ports).await;
    if empty.is_err() {
        claims.give_back(&identity).await?;
    }
    empty
}

async fn must_be_empty<P: Ports>(ports: &P) -> Result<(), EngineError> {
    let admin = ports.admin(Side::Shadow);
    if until_answered(ports.clock(), UNASKED, || admin.is_empty()).await? {
        return Ok(());
    }
    Err(EngineError::refused(
        format!("the shadow table {} is neither empty nor the one that this migration recorded", admin.place()),
        "choose another shadow.table; this one is somebody's",
    ))
}

/// Refuses another region's or account's table, and stops for one that was deleted and created again.
pub fn same_table(side: Side, recorded: &TableIdentity, found: &TableDescription) -> Result<(), EngineError> {
    if recorded.arn != found.arn {
        return Err(EngineError::refused(
            format!("the {side} table is {}, but this migration was begun with {}", found.arn, recorded.arn),
            format!("check {side}.region, {side}.profile, {side}.role_arn and {side}.endpoint_url"),
        ));
    }
    if recorded.table_id != found.table_id {
        return Err(EngineError::Lost(format!(
            "the {side} table {} was deleted and created again: its table id is {}, recorded is {}",
            found.arn, found.table_id, recorded.table_id
        )));
    }
    Ok(())
}

/// The shadow, if it is still the one that was recorded, whatever its layout is by now.
pub async fn same_shadow<P: Ports>(ports: &P, recorded: &TableIdentity) -> Result<TableDescription, EngineError> {
    let admin = ports.admin(Side::Shadow);
    let table = describe(ports.clock(), admin).await?.ok_or_else(|| {
        EngineError::Lost(format!("the shadow table {}, recorded as {}, does not exist", admin.place(), recorded.arn))
    })?;
    same_table(Side::Shadow, recorded, &table)?;
    Ok(table)
}

/// A table as it is, however often the request must be repeated.
pub async fn describe(clock: &impl Clock, admin: &impl TableAdmin) -> Result<Option<TableDescription>, EngineError> {
    Ok(until_answered(clock, UNASKED, || admin.describe()).await?)
}
