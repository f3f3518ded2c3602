//! Compares the keys that changed lately on both sides. It cannot find what was never read: that is the drain's business.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Failure, Steps};
use crate::engine::EngineError;
use crate::engine::replicate::apply::mapping::Mapping;
use crate::engine::retry::until_answered;
use crate::model::{Item, Key, Side};
use crate::ports::{Ports, TableReader};
use crate::protocol::slots::{Effect, Place};

/// Keys compared at the same time.
const AT_ONCE: usize = 16;
/// Differences told at most.
const TOLD: usize = 3;

impl<P: Ports> Steps<P> {
    /// Fails when keys differ, or when something is in quarantine.
    pub(super) async fn recheck(&self) -> Result<String, Failure> {
        let mut keys = self.applier.recent().keys().into_iter();
        let (mut compared, mut different, mut flying) = (0_usize, Vec::new(), JoinSet::new());
        loop {
            while flying.len() < AT_ONCE {
                let Some(key) = keys.next() else { break };
                let (ports, applier, leader) =
                    (Arc::clone(&self.deeds.ports), Arc::clone(&self.applier), self.deeds.subject.leader);
                flying.spawn(async move { differs(&*ports, applier.mapping(), leader, &key).await });
            }
            let Some(ended) = flying.join_next().await else { break };
            compared += 1;
            different.extend(ended.map_err(|error| EngineError::Task(error.to_string()))??);
        }
        // What was quarantined since the gates held need not be among the keys compared.
        let quarantined = self.applier.figures().quarantined;
        if quarantined > 0 {
            return Err(Failure::Quarantined(quarantined));
        }
        if different.is_empty() {
            return Ok(format!("{compared} keys that changed lately are equal on both sides"));
        }
        different.truncate(TOLD);
        Err(Failure::Different(different))
    }
}

/// How a key of the leader differs in the other table, without naming it: this goes into the log and the audit trail.
async fn differs<P: Ports>(
    ports: &P,
    mapping: &Mapping,
    leader: Side,
    source: &Key,
) -> Result<Option<String>, EngineError> {
    let other = leader.other();
    let item = get(ports, ports.reader(leader), source).await?;
    let expected = match item {
        Some(item) => mapping.item(source, item)?,
        None => None,
    };
    let (place, image) = match expected {
        Some(mapped) => match (mapped.place, mapped.effect) {
            (Place::Shadow(key), Effect::Write(write)) => (key, write.image.clone()),
            _ => return Ok(Some(format!("an item has no place in the {other}"))),
        },
        // Where it was before is known only if its key says so.
        None => match mapping.place_of(source) {
            Some(key) => (key, None),
            None => return Ok(None),
        },
    };
    let found = get(ports, ports.reader(other), &place).await?;
    Ok(match (image, found) {
        (None, None) => None,
        (Some(expected), Some(found)) if expected.same_as(&found) => None,
        (Some(_), Some(_)) => Some(format!("an item's image is another one in the {other}")),
        (Some(_), None) => Some(format!("an item is missing in the {other}")),
        // Under a transform that is not injective it may be another item's.
        (None, Some(_)) if mapping.is_owned() => None,
        (None, Some(_)) => Some(format!("an item that is gone from the {leader} is in the {other}")),
    })
}

async fn get<P: Ports>(ports: &P, table: &impl TableReader, key: &Key) -> Result<Option<Item>, EngineError> {
    Ok(until_answered(ports.clock(), "a key could not be compared", || table.get(key)).await?)
}
