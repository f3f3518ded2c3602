//! Whose a table is, as the state table says: `protocol::claims` decides, this asks and stores.
//!
//! An entry is changed under the version that was read, so of two migrations that want one table at the same time, one
//! sees the other. A request that was given up does no harm later: the entry has another version by then, or says the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::error::EngineError;
use crate::engine::state::entities::{ClaimRecord, LeaseRecord, Meta, TableIdentity};
use crate::engine::state::entry::{LEASE, META, decode, encode, partition_of};
use crate::engine::state::lease::Lease;
use crate::engine::state::store::FAILED;
use crate::model::{Moment, Side};
use crate::ports::{Clock, Entry, Fault, Guard, StateKey, StatePorts, StateStore};
use crate::protocol::claims::{TableClaims, Taken, claim};
use crate::protocol::phase::Phase;

/// Partition of all claims, by table.
pub const TABLE: &str = "TABLE";

/// How often it is looked whether a migration that was ended has ended its work.
const ENDING: Duration = Duration::from_secs(1);

/// The claims that one migration makes, under its lease.
pub struct Claims<P> {
    ports: Arc<P>,
    lease: Arc<Lease<P>>,
    migration: String,
}

impl<P: StatePorts> Claims<P> {
    /// Those of `migration`.
    pub fn new(ports: Arc<P>, lease: Arc<Lease<P>>, migration: &str) -> Self {
        Self { ports, lease, migration: migration.to_owned() }
    }

    /// Claims a table, or says whose it is. What was claimed before is claimed again.
    pub async fn claim(&self, table: &TableIdentity, side: Side) -> Result<(), EngineError> {
        let decide = |held: &TableClaims, phases: &_| claim(held, &self.migration, side, phases);
        self.edit(&Owned::of(table), decide).await?.map_err(|taken| {
            EngineError::refused(
                format!("the {side} table {} is not to be had: {taken}", table.place),
                remedy(&taken, side),
            )
        })
    }

    /// Whether a table could be claimed now.
    pub async fn may_claim(&self, table: &TableIdentity, side: Side) -> Result<bool, EngineError> {
        let held = claims_of(self.fetch(&Owned::of(table).key()).await?.as_ref())?;
        Ok(claim(&held, &self.migration, side, &self.phases(&held).await?).is_ok())
    }

    /// The other migrations whose source a table is.
    pub async fn others(&self, table: &TableIdentity) -> Result<Vec<(String, Phase)>, EngineError> {
        let held = claims_of(self.fetch(&Owned::of(table).key()).await?.as_ref())?;
        let phases = self.phases(&held).await?;
        Ok(phases.into_iter().filter(|(other, _)| held.sources_of.contains(other)).collect())
    }

    /// Takes back the claim on a shadow that this migration has given up.
    pub async fn give_back(&self, table: &TableIdentity) -> Result<(), EngineError> {
        let mine = |held: &TableClaims, _: &_| {
            let shadow_of = held.shadow_of.clone().filter(|holder| *holder != self.migration);
            Ok::<_, Taken>(TableClaims { shadow_of, ..held.clone() })
        };
        // It refuses nothing.
        self.edit(&Owned::of(table), mine).await.map(drop)
    }

    /// Takes back all claims of this migration, but for that on a source of the name that it keeps.
    pub async fn give_back_all(&self, keeps: Option<&str>) -> Result<(), EngineError> {
        for entry in self.lease.until_answered(FAILED, || self.ports.state().list(TABLE, "")).await? {
            let ClaimRecord { arn, table_id, .. } = decode(&entry)?;
            let kept = keeps.is_some() && arn.rsplit('/').next() == keeps;
            let without = |held: &TableClaims, _: &_| {
                let shadow_of = held.shadow_of.clone().filter(|holder| *holder != self.migration);
                let sources_of = held.sources_of.iter().filter(|source| kept || **source != self.migration);
                Ok::<_, Taken>(TableClaims { shadow_of, sources_of: sources_of.cloned().collect() })
            };
            // It refuses nothing.
            drop(self.edit(&Owned { arn, table_id }, without).await?);
        }
        Ok(())
    }

    /// Stores what `decide` makes of the claims on a table.
    async fn edit(
        &self,
        table: &Owned,
        decide: impl Fn(&TableClaims, &BTreeMap<String, Phase>) -> Result<TableClaims, Taken>,
    ) -> Result<Result<(), Taken>, EngineError> {
        let key = table.key();
        loop {
            let found = self.fetch(&key).await?;
            let held = claims_of(found.as_ref())?;
            let wanted = match decide(&held, &self.phases(&held).await?) {
                Ok(wanted) if wanted == held => return Ok(Ok(())),
                Ok(wanted) => wanted,
                Err(taken) => return Ok(Err(taken)),
            };
            if let Some(former) = &held.shadow_of
                && *former != self.migration
                && wanted.shadow_of != held.shadow_of
            {
                self.outlast(former).await?;
            }
            let (version, guard) = match &found {
                None => (1, Guard::Absent),
                Some(entry) => (entry.version + 1, Guard::Unchanged { version: entry.version, epoch: 0 }),
            };
            let body = ClaimRecord {
                arn: table.arn.clone(),
                table_id: table.table_id.clone(),
                shadow_of: wanted.shadow_of,
                sources_of: wanted.sources_of,
            };
            let entry = encode(&key, version, 0, &body)?;
            match self.lease.until_definite(FAILED, || self.ports.state().put(&entry, guard)).await?.outcome {
                // Whether it was stored, or somebody else was faster, is read.
                Ok(()) => {}
                Err(error) if error.fault == Fault::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A migration that was ended may still have a process that winds down, and requests of it may land: waits until neither
    /// can be.
    async fn outlast(&self, migration: &str) -> Result<(), EngineError> {
        let (clock, key) = (self.ports.clock(), StateKey { partition: partition_of(migration), sort: LEASE.into() });
        let mut seen = None::<(u64, Moment)>;
        loop {
            let Some(entry) = self.fetch(&key).await? else { return Ok(()) };
            let record: LeaseRecord = decode(&entry)?;
            let since = match seen {
                Some((version, since)) if version == entry.version => since,
                _ => clock.now(),
            };
            seen = Some((entry.version, since));
            let dead = clock.now().since(since) > Duration::from_millis(record.duration_millis);
            if record.released && record.quiet {
                return Ok(());
            }
            if record.released || dead {
                clock.sleep(Duration::from_millis(record.abandon_millis)).await;
                return Ok(());
            }
            tracing::info!(migration, "waiting until the migration that had this shadow has ended its work");
            clock.sleep(ENDING).await;
        }
    }

    /// Where the other migrations stand that claims name.
    async fn phases(&self, held: &TableClaims) -> Result<BTreeMap<String, Phase>, EngineError> {
        let mut phases = BTreeMap::new();
        let named = held.shadow_of.iter().chain(&held.sources_of);
        for other in named.filter(|other| **other != self.migration) {
            let key = StateKey { partition: partition_of(other), sort: META.into() };
            if let Some(entry) = self.fetch(&key).await? {
                phases.insert(other.clone(), decode::<Meta>(&entry)?.phase);
            }
        }
        Ok(phases)
    }

    async fn fetch(&self, key: &StateKey) -> Result<Option<Entry>, EngineError> {
        self.lease.until_answered(FAILED, || self.ports.state().get(key)).await
    }
}

/// A table as claims know it: one that was made again under its name is another one.
struct Owned {
    arn: String,
    table_id: String,
}

impl Owned {
    fn of(table: &TableIdentity) -> Self {
        Self { arn: table.arn.clone(), table_id: table.table_id.clone() }
    }

    fn key(&self) -> StateKey {
        StateKey { partition: TABLE.into(), sort: format!("{}#{}", self.table_id, self.arn) }
    }
}

fn claims_of(entry: Option<&Entry>) -> Result<TableClaims, EngineError> {
    let Some(entry) = entry else { return Ok(TableClaims::default()) };
    let ClaimRecord { shadow_of, sources_of, .. } = decode(entry)?;
    Ok(TableClaims { shadow_of, sources_of })
}

fn remedy(taken: &Taken, side: Side) -> String {
    match (taken, side) {
        (Taken::Shadow(other, _), Side::Source) => {
            format!("wait until migration {other} is switched; `shadowtable list` shows all of them")
        }
        (Taken::Shadow(other, _), Side::Shadow) => {
            format!(
                "choose another shadow.table, or end migration {other} first: `shadowtable --migration {other} abort`"
            )
        }
        (Taken::Live(_) | Taken::Source(_), _) => {
            "choose another shadow.table; `shadowtable list` shows which migration has which tables".to_owned()
        }
        (Taken::Itself, _) => "give the shadow a name of its own".to_owned(),
    }
}
