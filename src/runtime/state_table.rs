//! The state table: set up by the same port that sets up users' tables.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::EngineError;
use crate::engine::retry::{Retry, until_answered};
use crate::engine::state::entry::DIRECTORY;
use crate::engine::tables::provision::describe;
use crate::model::{Billing, KeyType, TableLayout, TableStatus};
use crate::ports::{Clock, CreateOptions, Fault, Ports, Reaction, StateStore, TableAdmin};

/// How often a table in the making is looked at.
const POLL: Duration = Duration::from_millis(300);

/// The state table's layout: one partition a migration, one entry an entity.
fn layout() -> TableLayout {
    TableLayout {
        partition_key: ("pk".into(), KeyType::S),
        sort_key: Some(("sk".into(), KeyType::S)),
        global_indexes: BTreeMap::new(),
        local_indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
    }
}

fn options() -> CreateOptions {
    CreateOptions { deletion_protection: true, ttl_attribute: Some("expires_at".into()), point_in_time_recovery: true }
}

/// Creates the state table if it is not there: on demand, protected against deletion, with point-in-time recovery and
/// expiry of the audit trail where the endpoint offers them. A table with other keys is refused.
pub async fn prepare_state_table<P: Ports>(ports: &P) -> Result<(), EngineError> {
    let admin = ports.state_admin();
    let name = admin.name();
    let (mut retry, mut created) = (Retry::default(), false);
    loop {
        let Some(table) = describe(ports.clock(), admin).await? else {
            tracing::info!(table = name, "creating the state table");
            created = true;
            match admin.create(&layout(), &options()).await {
                Ok(()) => {}
                Err(error) if error.fault == Fault::Busy => ports.clock().sleep(POLL).await,
                Err(error) if error.fault.reaction() == Reaction::BackOff => retry.wait(ports.clock()).await,
                Err(error) => return Err(error.into()),
            }
            continue;
        };
        if table.layout.key_schema() != layout().key_schema() {
            return Err(EngineError::refused(
                format!(
                    "the table {name} is not a state table of shadowtable: its keys are not pk and sk, both strings"
                ),
                "choose another state.table; shadowtable creates it",
            ));
        }
        match table.status {
            TableStatus::Active | TableStatus::Updating => break,
            TableStatus::Creating => ports.clock().sleep(POLL).await,
            TableStatus::Deleting | TableStatus::Unusable => {
                return Err(EngineError::refused(
                    format!("the state table {name} cannot be used now"),
                    "wait until it is ACTIVE or gone, then run again",
                ));
            }
        }
    }
    // A process that ended between creating the table and setting it up left no migration in it.
    if created || is_unused(ports).await? { configure(ports, created).await } else { Ok(()) }
}

async fn is_unused<P: Ports>(ports: &P) -> Result<bool, EngineError> {
    let entries =
        until_answered(ports.clock(), "the state table could not be read", || ports.state().list(DIRECTORY, ""));
    Ok(entries.await?.is_empty())
}

/// Sets what can only be set on an active table. Where that is refused for a table that
/// somebody else made, it is only told.
async fn configure<P: Ports>(ports: &P, ours: bool) -> Result<(), EngineError> {
    let admin = ports.state_admin();
    let mut retry = Retry::default();
    loop {
        match admin.configure(&options()).await {
            Ok(missing) => {
                for setting in missing {
                    tracing::warn!(table = admin.name(), "the endpoint does not offer {setting} for the state table");
                }
                return Ok(());
            }
            Err(error) if matches!(error.fault, Fault::Denied | Fault::Rejected) && !ours => {
                tracing::warn!(%error, "time to live and point-in-time recovery of the state table are not looked after");
                return Ok(());
            }
            Err(error) if error.fault.reaction() == Reaction::BackOff || error.fault == Fault::Busy => {
                retry.wait(ports.clock()).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
