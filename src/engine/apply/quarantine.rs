//! Quarantine entries in the state table.

use sha2::{Digest, Sha256};

use crate::engine::error::EngineError;
use crate::engine::state::entities::QuarantineRecord;
use crate::engine::state::entry::QUARANTINE;
use crate::engine::state::store::Store;
use crate::model::{Key, KeySchema, Timestamp};
use crate::ports::Ports;
use crate::protocol::slots::{Mark, Pair, Place, Quarantined, Recording};

/// Knows how pairs are written down.
#[derive(Clone, Debug)]
pub struct Quarantine {
    source: KeySchema,
    shadow: KeySchema,
}

impl Quarantine {
    /// For a source and a shadow with these primary keys.
    pub fn new(source: KeySchema, shadow: KeySchema) -> Self {
        Self { source, shadow }
    }

    /// Everything in quarantine.
    pub async fn load<P: Ports>(&self, store: &Store<P>) -> Result<Quarantined, EngineError> {
        let mut quarantined = Quarantined::default();
        for stored in store.load_all::<QuarantineRecord>(QUARANTINE).await? {
            let broken = |problem: String| EngineError::State { entry: stored.sort.clone(), problem };
            let source = self.source.from_json(&stored.value.source_key).map_err(|error| broken(error.to_string()))?;
            let place = match &stored.value.shadow_key {
                Some(key) => Place::Shadow(self.shadow.from_json(key).map_err(|error| broken(error.to_string()))?),
                None => Place::Unplaced(source.clone()),
            };
            quarantined.insert(Pair { place, source }, stored.value.reason);
        }
        Ok(quarantined)
    }

    /// Sets or clears one entry.
    pub async fn store<P: Ports>(
        &self,
        store: &Store<P>,
        recording: &Recording,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let id = id(&recording.pair);
        let sort = format!("{QUARANTINE}{id}");
        match &recording.mark {
            Mark::Clear => {
                tracing::info!(id, "an item left quarantine");
                store.delete(&sort).await
            }
            Mark::Set { reason, message } => {
                let source_key = self.source.to_json(&recording.pair.source);
                tracing::warn!(
                    %source_key, reason = reason.as_str(), problem = message,
                    "an item went to quarantine: see `shadowtable quarantine show {id}`"
                );
                let record = QuarantineRecord {
                    id,
                    source_key,
                    shadow_key: match &recording.pair.place {
                        Place::Shadow(key) => Some(self.shadow.to_json(key)),
                        Place::Unplaced(_) => None,
                    },
                    reason: *reason,
                    message: message.clone(),
                    since: now,
                };
                store.replace(&sort, &record).await
            }
        }
    }

    /// The source key of an entry.
    pub fn source_key(&self, record: &QuarantineRecord) -> Option<Key> {
        self.source.from_json(&record.source_key).ok()
    }
}

/// The digest of source key and place: 32 hexadecimal digits.
fn id(pair: &Pair) -> String {
    let mut digest = Sha256::new();
    digest.update(pair.source.as_bytes());
    digest.update([0]);
    if let Place::Shadow(key) = &pair.place {
        digest.update(key.as_bytes());
    }
    digest.finalize().iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
