//! How an entity lies in the state table: under which key, in which form.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::ports::{Clock, Entry, StateKey};
use crate::protocol::leg::Leg;

/// Something stored as one entry.
pub trait Entity: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// What is to be known of all such entries.
    const KIND: Kind;
}

/// A kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What it is called in messages.
    pub name: &'static str,
    /// The version of its form. A change that an older binary would misread raises it.
    pub form: u64,
    /// The oldest form that this binary reads.
    pub oldest: u64,
    /// Its sort key, or what its sort keys begin with, in the partition of the migration.
    pub sort: &'static str,
    /// Who writes it.
    pub written: Written,
    /// It belongs to a generation: a reseed deletes it.
    pub of_generation: bool,
}

/// Who writes a kind of entry, and so what a new lease holder does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The lease holder alone. A new one claims it before it is read: what an earlier one wrote late then fails.
    ByHolder,
    /// Processes without the lease too. The version that was read keeps them apart.
    ByAnybody,
    /// Once, by whoever made it.
    Once,
}

/// Sort key of the migration itself.
pub const META: &str = "META";
/// Sort key of the lease.
pub const LEASE: &str = "LEASE";
/// Prefix of the legs' pins.
pub const PIN: &str = "PIN#";
/// Sort key of the figures for `status`.
pub const LIVE: &str = "LIVE";
/// Prefix of the shards' checkpoints.
pub const SHARD: &str = "SHARD#";
/// Prefix of the segments' cursors.
pub const SEGMENT: &str = "SEGMENT#";
/// Prefix of quarantine entries.
pub const QUARANTINE: &str = "QUARANTINE#";
/// Sort key of what changed when the last drain failed.
pub const RESTLESS: &str = "RESTLESS";
/// Prefix of operators' commands.
pub const COMMAND: &str = "COMMAND#";
/// Prefix of the audit trail.
pub const EVENT: &str = "EVENT#";
/// Partition of the directory of migrations.
pub const DIRECTORY: &str = "DIRECTORY";

/// The partition of a migration.
pub fn partition_of(migration: &str) -> String {
    format!("MIGRATION#{migration}")
}

/// The sort key of a leg's pin.
pub fn pin_sort(leg: Leg) -> String {
    format!("{PIN}{leg}")
}

/// What the sort keys of a leg's checkpoints begin with.
pub fn shards_of(leg: Leg) -> String {
    format!("{SHARD}{leg}#")
}

/// The sort key of a shard's checkpoint.
pub fn shard_sort(leg: Leg, shard: &str) -> String {
    shards_of(leg) + shard
}

/// What the sort keys of a leg's quarantine begin with.
pub fn quarantine_of(leg: Leg) -> String {
    format!("{QUARANTINE}{leg}#")
}

/// The sort key of a quarantine entry.
pub fn quarantine_sort(leg: Leg, id: &str) -> String {
    quarantine_of(leg) + id
}

/// The sort key of a segment: padded, so that a listing is in order.
pub fn segment_sort(segment: u32) -> String {
    format!("{SEGMENT}{segment:07}")
}

/// A name that nothing else has: sorted by time, and random.
pub fn unique_name(clock: &impl Clock) -> String {
    let millis = u64::try_from(clock.wall().millis()).unwrap_or(0);
    // 80 random bits, from five draws of 16.
    let random = (0..5).fold(0_u128, |bits, _| {
        let draw = Duration::try_from_secs_f64(clock.random() * 65.536).unwrap_or_default().as_millis();
        (bits << 16) | (draw & 0xffff)
    });
    ulid::Ulid::from_parts(millis, random).to_string()
}

/// An entity as an entry.
pub fn encode<T: Entity>(key: &StateKey, version: u64, epoch: u64, value: &T) -> Result<Entry, EngineError> {
    let broken = |problem: String| EngineError::State { entry: key.sort.clone(), problem };
    let mut body = serde_json::to_value(value).map_err(|error| broken(format!("cannot be written: {error}")))?;
    match body.as_object_mut() {
        Some(object) => object.insert("schema".into(), json!(T::KIND.form)),
        None => return Err(broken("is not a map".into())),
    };
    Ok(Entry { key: key.clone(), version, epoch, expires: None, body })
}

/// An entry as an entity. What a newer binary wrote is refused, and so is a form that is read no more.
pub fn decode<T: Entity>(entry: &Entry) -> Result<T, EngineError> {
    let broken = |problem: String| EngineError::State { entry: entry.key.sort.clone(), problem };
    match entry.body.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema > T::KIND.form => Err(broken(format!(
            "was written by a newer version of shadowtable (form {schema} of {}, this binary knows {})",
            T::KIND.name,
            T::KIND.form
        ))),
        Some(schema) if schema < T::KIND.oldest => Err(broken(format!(
            "was written by an older version of shadowtable (form {schema} of {}, this binary reads {} and later): finish or \
             abort the migration with that version",
            T::KIND.name,
            T::KIND.oldest
        ))),
        Some(_) => {
            T::deserialize(&entry.body).map_err(|error| broken(format!("is not a valid {}: {error}", T::KIND.name)))
        }
        None => Err(broken(format!("is not a {} of shadowtable", T::KIND.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::entities::Meta;

    /// What is said of the migration's entry, had it been written in this form.
    fn read_in_form(form: u64) -> Result<Meta, String> {
        let key = StateKey { partition: partition_of("orders"), sort: META.into() };
        let mut entry = encode(&key, 1, 1, &Meta::example()).unwrap();
        entry.body["schema"] = form.into();
        decode(&entry).map_err(|error| error.to_string())
    }

    #[test]
    fn another_form_is_refused_with_what_to_do() {
        let Kind { form, oldest, .. } = Meta::KIND;
        assert_eq!(read_in_form(form), Ok(Meta::example()));
        let newer = read_in_form(form + 1).unwrap_err();
        assert!(newer.contains("written by a newer version"), "{newer}");
        let older = read_in_form(oldest - 1).unwrap_err();
        assert!(older.contains("written by an older version") && older.contains("with that version"), "{older}");
    }
}
