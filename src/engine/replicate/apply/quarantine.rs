//! Quarantine entries in the state table.

use sha2::{Digest, Sha256};

use crate::engine::error::EngineError;
use crate::engine::state::entities::QuarantineRecord;
use crate::engine::state::entry::{quarantine_of, quarantine_sort};
use crate::engine::state::store::Store;
use crate::model::{Key, KeyJsonError, KeySchema, Side, Sides, Timestamp};
use crate::ports::StatePorts;
use crate::protocol::leg::Leg;
use crate::protocol::slots::{Mark, Pair, Place, Quarantined, Recording};

/// Knows how pairs are written down.
#[derive(Clone, Debug)]
pub struct Quarantine {
    leg: Leg,
    keys: Sides<KeySchema>,
}

impl Quarantine {
    /// That of a leg between tables with these primary keys.
    pub fn new(leg: Leg, keys: Sides<KeySchema>) -> Self {
        Self { leg, keys }
    }

    /// Everything in quarantine.
    pub async fn load<P: StatePorts>(&self, store: &Store<P>) -> Result<Quarantined, EngineError> {
        let mut quarantined = Quarantined::default();
        for stored in store.load_all::<QuarantineRecord>(&quarantine_of(self.leg)).await? {
            let broken = |problem: String| EngineError::State { entry: stored.sort.clone(), problem };
            let key = |side| self.key(&stored.value, side).map_err(|error| broken(error.to_string()));
            let source = key(self.leg.from)?.ok_or_else(|| broken(format!("has no key in the {}", self.leg.from)))?;
            let place = key(self.leg.to())?.map_or_else(|| Place::Unplaced(source.clone()), Place::Shadow);
            quarantined.insert(Pair { place, source }, stored.value.reason);
        }
        Ok(quarantined)
    }

    /// Sets or clears one entry.
    pub async fn store<P: StatePorts>(
        &self,
        store: &Store<P>,
        recording: &Recording,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let id = id(&recording.pair);
        let sort = quarantine_sort(self.leg, &id);
        match &recording.mark {
            Mark::Clear => {
                tracing::info!(id, "an item left quarantine");
                store.delete(&sort).await
            }
            Mark::Set { reason, message } => {
                let Leg { from, .. } = self.leg;
                let mut keys = Sides::of(|_| None);
                let key = self.keys[from].to_json(&recording.pair.source);
                tracing::warn!(
                    table = %from, %key, reason = reason.as_str(), problem = message,
                    "an item went to quarantine: see `shadowtable quarantine show {id}`"
                );
                keys[from] = Some(key);
                if let Place::Shadow(key) = &recording.pair.place {
                    keys[self.leg.to()] = Some(self.keys[self.leg.to()].to_json(key));
                }
                let record = QuarantineRecord { id, keys, reason: *reason, message: message.clone(), since: now };
                store.replace(&sort, &record).await
            }
        }
    }

    /// The key in the table that is read, of an entry.
    pub fn key_read(&self, record: &QuarantineRecord) -> Option<Key> {
        self.key(record, self.leg.from).ok().flatten()
    }

    fn key(&self, record: &QuarantineRecord, side: Side) -> Result<Option<Key>, KeyJsonError> {
        record.keys[side].as_ref().map(|key| self.keys[side].from_json(key)).transpose()
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
