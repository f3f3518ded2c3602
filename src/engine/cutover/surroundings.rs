//! What is around the tables and the application, as gates and the checklist want it.

use std::collections::BTreeMap;

use crate::engine::error::EngineError;
use crate::engine::settings::{CutoverSettings, Switch};
use crate::model::{Aspect, Side};
use crate::ports::{Application, Fault, PortError, Ports, TableAdmin};
use crate::protocol::checklist::{Point, Surroundings, checklist};
use crate::protocol::cutover::Pointer;

/// Where the application is pointed at.
pub async fn pointer<P: Ports>(ports: &P, switch: Option<&Switch>) -> Pointer {
    if !matches!(switch, Some(Switch::Pointer | Switch::SsmParameter)) {
        return Pointer::Unused;
    }
    match ports.application().pointer().await {
        Ok(Some(named)) => Pointer::Names(named),
        Ok(None) => Pointer::Missing,
        Err(error) => Pointer::Unknown(reason(&error)),
    }
}

/// The same, and whether a switch may move it.
pub async fn movable_pointer<P: Ports>(ports: &P, switch: Option<&Switch>) -> Pointer {
    match pointer(ports, switch).await {
        Pointer::Names(named) => match ports.application().may_point().await {
            Ok(()) => Pointer::Names(named),
            Err(error) => Pointer::Locked(named, reason(&error)),
        },
        other => other,
    }
}

/// The programs of a cutover that cannot be started here, each with the reason.
pub async fn unusable_programs<P: Ports>(ports: &P, settings: &CutoverSettings) -> Vec<String> {
    let mut unusable = Vec::new();
    for (key, program) in settings.programs() {
        if let Err(reason) = ports.application().check(program).await {
            unusable.push(format!("{key}: {reason}"));
        }
    }
    unusable
}

/// How the shadow's surroundings differ from the source's.
pub async fn compare_surroundings<P: Ports>(ports: &P) -> Result<Vec<Point>, EngineError> {
    let (source, shadow) = tokio::join!(look(ports.admin(Side::Source)), look(ports.admin(Side::Shadow)));
    Ok(checklist(&source?, &shadow?))
}

async fn look<A: TableAdmin>(admin: &A) -> Result<Surroundings, EngineError> {
    let place = admin.place().clone();
    let Some(table) = admin.describe().await? else {
        return Err(EngineError::refused(format!("there is no table {place}"), "look at `shadowtable status`"));
    };
    let mut aspects = BTreeMap::new();
    for aspect in Aspect::ALL {
        aspects.insert(aspect, admin.aspect(&table.arn, aspect).await.map_err(|error| reason(&error)));
    }
    Ok(Surroundings { place, table, aspects })
}

/// A permission that is missing is named; what was answered says no more.
fn reason(error: &PortError) -> String {
    error.hint().filter(|_| error.fault == Fault::Denied).unwrap_or_else(|| error.to_string())
}
