//! The rules that can be seen from outside, looked at after every write to the state table and to the shadow.

use std::collections::{BTreeMap, BTreeSet};

use shadowtable::model::{Item, Key, Timestamp};
use shadowtable::ports::{Entry, Guard, StateKey};
use shadowtable::protocol::phase::{Event, Phase, Standing, next};
use shadowtable::protocol::transform::Target;

use super::{Event as Happened, State, Waiting, source_schema, version_of};

/// Sort keys and their prefixes, as `docs/adr/0002-state-table.md` has them.
const LEASE: &str = "LEASE";
const META: &str = "META";
const PIN: &str = "PIN#source#1";
const SHARD: &str = "SHARD#source#1#";
const SEGMENT: &str = "SEGMENT#";
const QUARANTINE: &str = "QUARANTINE#";

impl State {
    /// An entry was stored where this was found: no progress may pass what is not durable.
    pub(super) fn audit_entry(&mut self, process: u32, found: Option<&Entry>, entry: &Entry) {
        self.settle();
        let sort = entry.key.sort.as_str();
        let broken = if sort == LEASE {
            self.epochs.insert(process, entry.epoch);
            Vec::new()
        } else if let Some(shard) = sort.strip_prefix(SHARD) {
            let mut broken = self.unsettled_records(shard, entry);
            broken.extend(self.untrue_time(shard, entry));
            broken
        } else if sort.starts_with(SEGMENT) && entry.body["segment"].is_u64() {
            self.unsettled_pages(process, found, entry)
        } else if sort == META {
            let before = self.stored_phase();
            let mut broken = self.odd_phase(entry);
            if self.stored_phase() == Some(Phase::Switching) && before != self.stored_phase() {
                broken.extend(self.undrained());
            }
            broken
        } else {
            Vec::new()
        };
        self.violations.extend(broken);
    }

    /// Invariant 6: a holder writes under its epoch, and once it has changed anything, nothing of an earlier one takes
    /// effect. `found`: what lies there, `wanted`: what is to lie there, if anything.
    pub(super) fn audit_holder(
        &mut self,
        process: u32,
        found: Option<&Entry>,
        wanted: (&StateKey, Option<&Entry>),
        guard: Guard,
    ) {
        let (StateKey { sort, .. }, wanted) = wanted;
        let Some(epoch) = self.epochs.get(&process).copied().filter(|_| sort != LEASE) else { return };
        if matches!(guard, Guard::Unchanged { epoch: given, .. } | Guard::Epoch(given) if given > epoch) {
            self.violations.push(format!("invariant 6: a write of {sort} is not conditional on the epoch {epoch}"));
        }
        let depends = [META, PIN, SHARD, SEGMENT, QUARANTINE].iter().any(|prefix| sort.starts_with(prefix));
        // One that is created where nothing lies may land within the bound; one that deletes nothing changes nothing.
        if !depends || found.is_none() && (wanted.is_none() || guard == Guard::Absent) {
            return;
        }
        if epoch < self.acted {
            let acted = self.acted;
            self.violations.push(format!("invariant 6: {sort} is changed by epoch {epoch} after one of {acted} acted"));
        }
        // One that only puts its epoch on what it found has not read it yet.
        if wanted.map(|wanted| &wanted.body) != found.map(|found| &found.body) {
            self.acted = self.acted.max(epoch);
        }
    }

    fn stored_phase(&self) -> Option<Phase> {
        self.standing.map(|standing| standing.phase)
    }

    /// Invariant 7: each phase follows from the one that was stored.
    fn odd_phase(&mut self, entry: &Entry) -> Vec<String> {
        // One that somebody else wrote may say anything.
        let part = |name: &str| entry.body[name].clone();
        let (Ok(phase), Ok(leader)) = (serde_json::from_value(part("phase")), serde_json::from_value(part("leader")))
        else {
            return Vec::new();
        };
        let now = Standing { phase, leader };
        let before = self.standing.replace(now);
        let follows = |before| before == now || Event::ALL.into_iter().any(|event| next(before, event) == Ok(now));
        let odd = before.is_some_and(|before| !follows(before));
        odd.then(|| format!("invariant 7: {now:?} is stored after {:?}", before.unwrap())).into_iter().collect()
    }

    /// The promise of the drain: when the switch is intended, all that was written before the fence is durable. (Items that
    /// expire are no changes to it.)
    fn undrained(&self) -> Vec<String> {
        let Some(fenced) = self.fenced_at.filter(|_| self.drains) else { return Vec::new() };
        let before = self.history.iter().enumerate().filter(|(_, written)| written.at < fenced);
        let last: BTreeMap<&Key, usize> = before.map(|(version, written)| (&written.key, version)).collect();
        let missing = last.into_iter().filter(|(key, version)| {
            !self.history[*version].expired
                && !self.is_shown(key, *version, false)
                && !self.is_kept(key, *version, false)
        });
        let told = missing.map(|(key, version)| {
            let id = source_schema(self).to_json(key);
            format!("the switch is intended, and version {version} of {id}, from before the fence, is not durable")
        });
        told.collect()
    }

    /// After a switch an item that expires is the shadow's own business.
    fn is_own_business(&self, version: usize) -> bool {
        self.is_closed() && self.history[version].expired
    }

    /// The application may be writing to the shadow.
    fn is_closed(&self) -> bool {
        matches!(self.stored_phase(), Some(Phase::Switching | Phase::Switched | Phase::Finished))
    }

    /// Invariant 3.
    fn unsettled_records(&self, shard: &str, entry: &Entry) -> Vec<String> {
        let finished = entry.body["stage"] == "finished";
        let Some(known) = self.stream.shard(shard) else { return Vec::new() };
        let position = entry.body["position"].as_str();
        let passed = known.due().iter().filter(|record| {
            finished && position.is_some()
                || position.is_some_and(|passed| is_passed(record.change.position.as_str(), passed))
        });
        // Where items move, a record may be superseded at its new place by the next record's deletion there.
        let moves = !self.setup.transform.properties().key_preserving;
        let unsettled = passed.filter(|record| {
            let (key, version) = (&record.change.key, record.version);
            let superseded = moves && self.is_still_to_be_read(key, version + 1);
            !superseded && !self.is_own_business(version) && !self.shows(key, version, true)
        });
        let told = unsettled.map(|record| {
            let id = source_schema(self).to_json(&record.change.key);
            format!(
                "invariant 3: the checkpoint of {shard} passes version {} of {id}, which is not durable",
                record.version
            )
        });
        let mut told: Vec<_> = told.collect();
        if finished && known.closed.is_none() {
            told.push(format!("invariant 4: {shard} is stored as finished while it is open"));
        }
        told
    }

    /// Invariant 8: what was made before a shard's known-through time is durable.
    fn untrue_time(&self, shard: &str, entry: &Entry) -> Vec<String> {
        // A pin that was not finished is made anew, and is not stored yet.
        let pinned = !matches!(self.stored_phase(), None | Some(Phase::Planned | Phase::Provisioned));
        let read = pinned && entry.body["stage"] != "before-pin";
        let Some(known) = self.stream.shard(shard).filter(|_| read) else { return Vec::new() };
        let Some(through) = entry.body["known_through"].as_i64().map(Timestamp::from_millis) else { return Vec::new() };
        let due = known.due().iter().map(|record| record.version).collect();
        let untrue = self.waiting_of(&due).filter(|waiting| waiting.at < through);
        let told = untrue.map(|waiting| {
            format!("invariant 8: {shard} counts as known through {through}, {waiting:?} is older and not durable")
        });
        told.collect()
    }

    /// Invariant 5, for the pages between the cursor that was found and the new one. A process that does not know yet that it
    /// was replaced may have read other pages meanwhile.
    fn unsettled_pages(&self, process: u32, found: Option<&Entry>, entry: &Entry) -> Vec<String> {
        let segment = u32::try_from(entry.body["segment"].as_u64().unwrap()).unwrap();
        let is_done = |entry: &Entry| entry.body["done"] == true;
        let cursor_of = |entry: &Entry| {
            let cursor = &entry.body["cursor"];
            (!cursor.is_null()).then(|| source_schema(self).from_json(cursor).unwrap())
        };
        if found.is_some_and(is_done) {
            return Vec::new();
        }
        let (done, cursor) = (is_done(entry), cursor_of(entry));
        let (mut at, mut told) = (found.and_then(cursor_of), Vec::new());
        while done || cursor.is_some() && at != cursor {
            let Some(page) = self.pages.get(&(process, segment, at.clone())) else {
                told.push(format!("invariant 5: the cursor of segment {segment} passes a page that was never read"));
                break;
            };
            let unsettled = page
                .versions
                .iter()
                .filter(|(key, version)| !self.shows(key, *version, false) && !self.is_still_to_be_read(key, *version));
            told.extend(unsettled.map(|(key, version)| {
                let id = source_schema(self).to_json(key);
                format!("invariant 5: the cursor of segment {segment} passes version {version} of {id}, which is not durable")
            }));
            at.clone_from(&page.next);
            if at.is_none() {
                break;
            }
        }
        told
    }

    /// Whether the stream still brings this version or a later one: then a copied image of it may have been dropped.
    fn is_still_to_be_read(&self, source: &Key, version: usize) -> bool {
        self.stream.shards.iter().any(|shard| {
            let stored = self.entry(&format!("{SHARD}{}", shard.id));
            let finished = stored.is_some_and(|entry| entry.body["stage"] == "finished");
            let checkpoint = stored.and_then(|entry| entry.body["position"].as_str());
            shard.read().iter().any(|record| {
                let passed = checkpoint.is_some_and(|passed| is_passed(record.change.position.as_str(), passed));
                record.change.key == *source && record.version >= version && !finished && !passed
            })
        })
    }

    /// Whether the shadow shows this version of a source item, or a later one; or the quarantine says why it does not.
    /// `nothing_older`: and none of its older images remains.
    fn shows(&self, source: &Key, version: usize, nothing_older: bool) -> bool {
        self.is_shown(source, version, nothing_older) || self.is_kept(source, version, true)
    }

    fn is_shown(&self, source: &Key, version: usize, nothing_older: bool) -> bool {
        let schema = source_schema(self);
        let images: Vec<usize> = self
            .shadow
            .values()
            .filter(|item| schema.key_of(item.attributes()).is_ok_and(|key| key == *source))
            .map(version_of)
            .collect();
        let shown = match images.iter().max() {
            Some(newest) => *newest >= version,
            None => self
                .history
                .iter()
                .skip(version)
                .any(|written| written.key == *source && self.is_gone(written.image.as_ref())),
        };
        let clean = !nothing_older || images.iter().all(|image| *image >= version);
        shown && clean
    }

    /// Whether the quarantine says why this version of a source item, or a later one, is not where it belongs. `late`: or
    /// that it came too late.
    fn is_kept(&self, source: &Key, version: usize, late: bool) -> bool {
        let schema = source_schema(self);
        let entries = self.entries_at(QUARANTINE);
        let mut entries =
            entries.filter(|entry| schema.from_json(&entry.body["keys"]["source"]).is_ok_and(|key| key == *source));
        entries.any(|entry| {
            if entry.body["reason"] == "late" {
                return late;
            }
            let place = self.setup.target.key_schema().from_json(&entry.body["keys"]["shadow"]).ok();
            let mut versions = self.history.iter().skip(version).filter(|written| written.key == *source);
            versions.any(|written| match written.image.as_ref().map(|item| self.setup.transform.apply(item.clone())) {
                Some(Ok(Target::Item { key, .. })) => place.as_ref() == Some(&key),
                Some(Err(_)) => true,
                Some(Ok(Target::Nothing)) | None => false,
            })
        })
    }

    /// Whether an item in this state has no place in the shadow.
    fn is_gone(&self, image: Option<&Item>) -> bool {
        image.is_none_or(|item| matches!(self.setup.transform.apply(item.clone()), Ok(Target::Nothing)))
    }

    pub fn is_quarantined(&self, source: &Key) -> bool {
        let schema = source_schema(self);
        self.entries_at(QUARANTINE)
            .any(|entry| schema.from_json(&entry.body["keys"]["source"]).is_ok_and(|key| key == *source))
    }

    /// Prints all that happened, for somebody who looks into a failure.
    pub fn tell(&self) {
        let schema = source_schema(self);
        for (version, written) in self.history.iter().enumerate() {
            println!(
                "version {version} of {}: {:?}",
                schema.to_json(&written.key),
                written.image.as_ref().map(Item::attributes)
            );
        }
        for shard in &self.stream.shards {
            let records: Vec<_> = shard.records.iter().map(|record| (record.version, record.at.to_string())).collect();
            println!("{} after {:?}: {records:?}, closed {:?}", shard.id, shard.parent, shard.closed);
        }
        for (at, process, event) in &self.log {
            match event {
                Happened::Stored(entry) => println!("{at} {process} stored {} {}", entry.key.sort, entry.body),
                other => println!("{at} {process} {other:?}"),
            }
        }
    }

    /// Notes which changes have become durable: what was once stays so, whatever becomes of the item later.
    pub(super) fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|waiting| !self.shows(&waiting.key, waiting.version, false));
        self.waiting = waiting;
    }

    /// The oldest change that is the tail's business and is not durable: lag may not tell less than its age.
    pub fn oldest_waiting(&self) -> Option<&Waiting> {
        let stage = |shard: &str| self.entry(&format!("{SHARD}{shard}")).map(|entry| &entry.body["stage"]);
        let shards =
            self.stream.shards.iter().filter(|shard| stage(&shard.id).is_none_or(|stage| stage != "before-pin"));
        let due: BTreeSet<usize> = shards.flat_map(|shard| shard.due().iter().map(|record| record.version)).collect();
        self.waiting_of(&due).min_by_key(|waiting| waiting.at)
    }

    /// Of these changes, those that came after the pin and are not durable.
    fn waiting_of(&self, due: &BTreeSet<usize>) -> impl Iterator<Item = &Waiting> {
        let pin = self.entry(PIN).and_then(|pin| pin.body["at"].as_i64()).map(Timestamp::from_millis);
        // Where items move, a change is durable, too, when the next one has taken its item away from its place.
        let moves = !self.setup.transform.properties().key_preserving;
        let last =
            |waiting: &Waiting| self.history.iter().skip(waiting.version + 1).all(|write| write.key != waiting.key);
        let waiting = self.waiting.iter().filter(|waiting| due.contains(&waiting.version));
        let waiting = waiting.filter(move |waiting| pin.is_some_and(|pin| waiting.at >= pin));
        let waiting = waiting.filter(move |waiting| !moves || last(waiting));
        waiting.filter(|waiting| !self.is_own_business(waiting.version))
    }

    /// Whether a page showed this source key.
    pub fn was_read(&self, source: &Key) -> bool {
        self.pages.values().flat_map(|page| &page.versions).any(|(key, _)| key == source)
    }

    /// Invariant 4: reading of a shard begins when its parent's final checkpoint is stored.
    pub(super) fn audit_parent(&mut self, shard: &str) {
        let Some(parent) = self.stream.shard(shard).and_then(|shard| shard.parent.clone()) else { return };
        let stage = self.entry(&format!("{SHARD}{parent}")).map(|entry| entry.body["stage"].clone());
        if stage.as_ref().is_some_and(|stage| stage != "finished" && stage != "before-pin") {
            self.violations.push(format!("invariant 4: {shard} is read while its parent is stored as {stage:?}"));
        }
    }

    /// Invariant 6: nothing of an earlier holder lands after a later one has changed anything.
    pub(super) fn audit_writer(&mut self, process: u32) {
        if self.is_closed() {
            self.violations.push("the shadow is written while the application may write to it".into());
        }
        let epoch = self.epochs.get(&process).copied().unwrap_or(0);
        if epoch < self.acted {
            self.violations
                .push(format!("invariant 6: a write of epoch {epoch} landed after one of {} acted", self.acted));
        }
        self.acted = self.acted.max(epoch);
    }
}

fn is_passed(position: &str, checkpoint: &str) -> bool {
    (position.len(), position) <= (checkpoint.len(), checkpoint)
}
