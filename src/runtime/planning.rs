//! What happens before the mirror: the migration's entry, the tables that it claims, and the shadow.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Job;
use super::active::Active;
use super::agreement::{disagreements, means};
use super::standby::begun_otherwise;
use crate::engine::EngineError;
use crate::engine::retry::until_answered;
use crate::engine::state::entities::{Made, Meta, Product, Recorded, TableIdentity};
use crate::engine::state::journal::Journal;
use crate::engine::tables::claims::Claims;
use crate::engine::tables::provision::{
    Making, Source, check_replicas, check_source, create_shadow, describe, enable_stream, find_source,
    provision_shadow, same_table,
};
use crate::layout::{CopyEstimate, CopyVolume};
use crate::model::{Side, Sides};
use crate::ports::{Clock, Ports, ScanRequest, TableAdmin, TableReader};
use crate::protocol::command::Paused;
use crate::protocol::leg::Leg;
use crate::protocol::phase::{Event, Phase};
use crate::protocol::trial::{Outcome, Trial};

/// Items tried of each of three segments.
const TRIED_ITEMS: u32 = 100;

impl<P: Ports> Active<P> {
    /// The claims of this migration.
    pub(super) fn claims(&self) -> Claims<P> {
        Claims::new(Arc::clone(&self.ports), Arc::clone(self.store.lease()), &self.job.migration)
    }

    /// The migration's entry, made on its first run. Another target or transform than the recorded one is refused once
    /// anything may have been copied. Where no target was configured, the recorded one holds: the source's layout may change
    /// while it is copied.
    pub(super) async fn open_journal(&mut self) -> Result<Journal<P>, EngineError> {
        let Some(mut journal) = Journal::open(self.trail.clone(), None).await? else {
            return Journal::begin(self.trail.clone(), &planned(&*self.ports, &self.job)).await;
        };
        if journal.meta().phase.is_final() {
            return Ok(journal);
        }
        if self.job.like_source && journal.meta().like_source {
            self.job.target.clone_from(&journal.meta().target);
        }
        let changed = disagreements(journal.meta(), &self.job, Sides::of(|side| self.ports.admin(side).place()));
        if !changed.is_empty() {
            if !matches!(journal.meta().phase, Phase::Planned | Phase::Provisioned) {
                return Err(begun_otherwise(&self.job.migration, &changed));
            }
            self.plan_anew(&mut journal, &changed).await?;
        }
        let means = means(&self.job.engine.cutover);
        // How the source was fenced is not forgotten while it may be.
        if journal.meta().means != means && !journal.meta().phase.may_be_fenced() {
            journal.edit(|meta| meta.means = means).await?;
        }
        Ok(journal)
    }

    /// Nothing was copied yet: another configuration is another plan. A shadow that was made for the old one is looked at
    /// anew.
    async fn plan_anew(&self, journal: &mut Journal<P>, changed: &[String]) -> Result<(), EngineError> {
        tracing::info!(changed = changed.join("; "), "nothing was copied yet: the migration is planned anew");
        let value = replanned(journal.meta(), planned(&*self.ports, &self.job));
        if journal.meta().phase == Phase::Planned {
            journal.edit(|meta| *meta = value).await?;
        } else {
            journal.transition_with(Event::Reseed, None, |meta| replace_plan(meta, value)).await?;
        }
        // Only now: what it no longer has anything to do with may be another's from here on.
        self.claims().give_back_all(Some(self.ports.admin(Side::Source).name())).await
    }

    /// Claims both tables, and makes the shadow.
    pub(super) async fn provision(&self, journal: &mut Journal<P>) -> Result<(), EngineError> {
        let claims = self.claims();
        let identity = self.claim_source(journal, &claims).await?;
        self.try_transform().await?;
        let source = self.source_with_stream(journal).await?;
        self.announce(&source);
        let shadow = self.shadow(journal, &claims).await?;
        let made = identified(&journal.meta().made, &shadow);
        let found = Sides { source: identity, shadow };
        let segments = self.job.engine.copy.segments_of(source.table.size_bytes);
        journal
            .edit(|meta| {
                (meta.made, meta.segments) = (made, segments);
                for side in Side::BOTH {
                    meta.tables[side].identity = Some(found[side].clone());
                }
            })
            .await?;
        journal.transition(Event::ShadowReady, None).await
    }

    /// Before anything about the source is changed.
    async fn claim_source(&self, journal: &Journal<P>, claims: &Claims<P>) -> Result<TableIdentity, EngineError> {
        let (admin, clock) = (self.ports.admin(Side::Source), self.ports.clock());
        let found = find_source(clock, admin).await?;
        if let Some(recorded) = &journal.meta().tables.source.identity {
            same_table(Side::Source, recorded, &found)?;
        }
        check_replicas(&found, admin.place(), journal.meta().single_writer_region)?;
        let identity = TableIdentity::of(&found, admin.place());
        if describe(clock, self.ports.state_admin()).await?.is_some_and(|state| identity.is(&state)) {
            return Err(EngineError::refused(
                format!("the source table {} is the state table", identity.place),
                "give shadowtable a state.table of its own; it creates it",
            ));
        }
        claims.claim(&identity, Side::Source).await?;
        for (other, phase) in claims.others(&identity).await? {
            tracing::info!(other, %phase, "another migration has the same source");
        }
        Ok(identity)
    }

    /// An operator's word that no other region writes is durable, and in the audit trail.
    pub(super) async fn vouch(&self, journal: &mut Journal<P>) -> Result<(), EngineError> {
        if self.job.allowed.single_writer_region && !journal.meta().single_writer_region {
            journal.edit(|meta| meta.single_writer_region = true).await?;
            let who = &self.job.who;
            self.audit(&format!("{who} vouches that nothing writes to the source's replicas in other regions")).await?;
        }
        Ok(())
    }

    /// The source, with a stream that carries what is needed. One is enabled where that was asked for.
    async fn source_with_stream(&self, journal: &mut Journal<P>) -> Result<Source, EngineError> {
        let admin = self.ports.admin(Side::Source);
        let found = find_source(self.ports.clock(), admin).await?;
        if found.stream.is_none() && self.job.allowed.enable_stream {
            let id = Some(found.table_id);
            let stream = Made { what: Product::Stream, place: admin.place().clone(), table_id: id };
            tracing::info!(table = admin.name(), "enabling the source's stream with new and old images");
            self.make(journal, stream, enable_stream(&*self.ports)).await?;
        }
        check_source(&*self.ports, self.job.transform.properties().needs_old_images).await
    }

    /// The shadow, claimed; made if it is not there.
    async fn shadow(&self, journal: &mut Journal<P>, claims: &Claims<P>) -> Result<TableIdentity, EngineError> {
        let (ports, recorded) = (&*self.ports, journal.meta().tables.shadow.identity.clone());
        let admin = ports.admin(Side::Shadow);
        if recorded.is_none() && describe(ports.clock(), admin).await?.is_none() {
            let table = Made { what: Product::Shadow, place: admin.place().clone(), table_id: None };
            self.make(journal, table, create_shadow(ports, &self.job.target)).await?;
        }
        let table = provision_shadow(ports, claims, &self.job.target, recorded.as_ref()).await?;
        Ok(TableIdentity::of(&table, admin.place()))
    }

    /// Makes something, noted before. The note is taken back where it was for certain not this migration's doing.
    async fn make(
        &self,
        journal: &mut Journal<P>,
        made: Made,
        making: impl Future<Output = Making>,
    ) -> Result<(), EngineError> {
        let before = journal.meta().made.clone();
        let mut noted = before.clone();
        noted.retain(|other| other.what != made.what || !other.place.is_same(&made.place));
        noted.push(made);
        Self::note_made(journal, noted).await?;
        match making.await {
            Making::Ours => Ok(()),
            Making::Unknown(error) => Err(error),
            Making::Others => Self::note_made(journal, before).await,
            Making::Refused(error) => {
                Self::note_made(journal, before).await?;
                Err(error)
            }
        }
    }

    async fn note_made(journal: &mut Journal<P>, made: Vec<Made>) -> Result<(), EngineError> {
        if made == journal.meta().made {
            return Ok(());
        }
        journal.edit(|meta| meta.made = made).await
    }

    /// Tries the transform on a few pages of the source, before anything is written.
    async fn try_transform(&self) -> Result<(), EngineError> {
        if self.job.allowed.refused_items {
            return Ok(());
        }
        let (clock, segments) = (self.ports.clock(), self.job.engine.copy.segments_of(0));
        let mut trial = Trial::new(&self.job.transform, &self.job.target);
        let looked = BTreeSet::from([0, segments / 2, segments - 1]);
        for segment in looked {
            let request = ScanRequest { segment, segments, start: None, limit: Some(TRIED_ITEMS) };
            let page = until_answered(clock, "the source could not be read", || {
                self.ports.reader(Side::Source).scan(&request)
            })
            .await?;
            page.items.into_iter().for_each(|item| trial.see(item));
        }
        match trial.outcome() {
            Outcome::Fits(odd) => {
                for line in &odd {
                    tracing::warn!("{line}");
                }
                Ok(())
            }
            Outcome::Refused(problem) => Err(EngineError::refused(
                problem,
                "correct the rules or the layout, then run again: nothing was made or copied. If it is meant so: `shadowtable \
                 run --accept-refused`",
            )),
        }
    }

    /// What lies ahead, said before it begins.
    fn announce(&self, source: &Source) {
        let volume = CopyVolume {
            item_count: source.table.item_count,
            size_bytes: source.table.size_bytes,
            read_units_per_second: self.job.engine.copy.read_budget(source.table.layout.billing),
            write_units_per_second: self.job.engine.apply.write_units_per_second,
        };
        let estimate = CopyEstimate::new(&volume, &self.job.target).to_string();
        for line in self.job.transform.properties().to_string().lines().chain(estimate.lines()) {
            tracing::info!("{line}");
        }
        tracing::info!(
            "the stream allows two readers per shard: this is one; a Lambda trigger or another consumer is the other"
        );
    }
}

/// What was made, the shadow's id being known now. What else had its name is gone.
fn identified(made: &[Made], shadow: &TableIdentity) -> Vec<Made> {
    let is_other = |made: &&Made| {
        made.is_shadow_at(&shadow.place) && made.table_id.as_ref().is_some_and(|id| *id != shadow.table_id)
    };
    let kept = made.iter().filter(|made| !is_other(made)).cloned();
    kept.map(|made| {
        let table_id = if made.is_shadow_at(&shadow.place) { Some(shadow.table_id.clone()) } else { made.table_id };
        Made { table_id, ..made }
    })
    .collect()
}

/// A migration's entry for another plan: as if it were new, but for what it made, and for what an operator said of a source
/// that stays.
pub fn replanned(old: &Meta, new: Meta) -> Meta {
    let same_source = old.tables.source.place.is_same(&new.tables.source.place);
    Meta {
        phase: old.phase,
        phase_since: old.phase_since,
        made: old.made.clone(),
        single_writer_region: old.single_writer_region && same_source,
        paused: old.paused,
        postponed: old.postponed,
        last_command: old.last_command.clone(),
        generation: old.generation,
        created: old.created,
        ..new
    }
}

/// Another plan, in the phase that was entered with it.
pub fn replace_plan(meta: &mut Meta, plan: Meta) {
    *meta = Meta { phase: meta.phase, phase_since: meta.phase_since, ..plan };
}

/// A migration that was never run.
pub fn planned<P: Ports>(ports: &P, job: &Job) -> Meta {
    let now = ports.clock().service();
    Meta {
        migration: job.migration.clone(),
        phase: Phase::Planned,
        leader: Side::Source,
        legs: vec![Leg::FIRST],
        phase_since: Some(now),
        reason: None,
        tables: Sides::of(|side| Recorded::at(ports.admin(side).place().clone())),
        made: Vec::new(),
        target: job.target.clone(),
        like_source: job.like_source,
        rules: job.transform.rules().to_vec(),
        means: means(&job.engine.cutover),
        single_writer_region: false,
        segments: job.engine.copy.segments_of(0),
        paused: Paused::None,
        cutover: None,
        postponed: false,
        told_ready: false,
        last_command: None,
        generation: 1,
        created: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    fn place(table: &str) -> Place {
        Place { table: table.to_owned(), region: Some("eu-central-1".into()), ..Place::default() }
    }

    /// A plan for these tables, of which nothing is made yet.
    fn fresh(source: &str, shadow: &str) -> Meta {
        let [source, shadow] = [source, shadow].map(|table| Recorded::at(place(table)));
        Meta { tables: Sides { source, shadow }, ..Meta::example() }
    }

    /// One that has made its shadow and the source's stream, and was vouched for.
    fn meta(source: &str, shadow: &str) -> Meta {
        let made = |what, table: &str, id: &str| Made { what, place: place(table), table_id: Some(id.to_owned()) };
        let made = vec![made(Product::Shadow, shadow, "1"), made(Product::Stream, source, "0")];
        let identity = TableIdentity { arn: "a".into(), table_id: "1".into(), place: place(shadow) };
        let mut meta = Meta { single_writer_region: true, made, ..fresh(source, "b") };
        meta.tables.shadow.identity = Some(identity);
        meta
    }

    #[test]
    fn another_plan_for_the_same_tables_keeps_what_was_made_and_said() {
        let planned = replanned(&meta("a", "b"), fresh("a", "b"));
        assert!(planned.made.len() == 2 && planned.single_writer_region);
        assert_eq!(planned.tables.shadow.identity, None);
    }

    /// An operator's word is about one table. What was made is known whatever is planned.
    #[test]
    fn a_word_does_not_carry_over_to_another_table() {
        let planned = replanned(&meta("a", "b"), fresh("c", "d"));
        assert!(planned.made.len() == 2 && !planned.single_writer_region);
        let mut elsewhere = fresh("a", "b");
        for side in Side::BOTH {
            elsewhere.tables[side].place.region = Some("us-east-1".into());
        }
        assert!(!replanned(&meta("a", "b"), elsewhere).single_writer_region, "the same names in another region");
    }

    #[test]
    fn a_table_of_the_same_name_is_not_the_one_that_was_made() {
        let old = meta("a", "b");
        let mut other = old.tables.shadow.identity.clone().unwrap();
        assert!(old.has_made(&other));
        "2".clone_into(&mut other.table_id);
        assert!(!old.has_made(&other));
        let known = identified(&old.made, &other);
        assert!(known.iter().all(|made| made.what == Product::Stream), "what had the name is gone: {known:?}");
        let asked = [Made { table_id: None, ..old.made[0].clone() }];
        assert_eq!(identified(&asked, &other)[0].table_id.as_deref(), Some("2"), "it is what was asked for");
        "c".clone_into(&mut other.place.table);
        assert_eq!(identified(&old.made, &other), old.made, "a table of another name says nothing");
    }
}
