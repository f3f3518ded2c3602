//! What to send next, and what an outcome means.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::slot::{Op, Slot, Stage};
use super::{BATCH_BYTES, BATCH_OPERATIONS, Batch, Effect, Group, Lane, Mark, Place, Reason, Slots};
use crate::model::{Key, Moment};
use crate::protocol::invariant::Violation;

/// What an applied owned write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The key was free or the owner's.
    Mine,
    /// The key is another source item's: nothing was written.
    Anothers,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Admission {
    /// A request with changes that were not sent before.
    pub changes: bool,
    /// Copied images that were not.
    pub copied: bool,
    /// A request with what was.
    pub again: bool,
    /// Write capacity units that are left of the budget; infinite where there is none.
    pub units: f64,
}

/// Requests that are admitted each for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With a change that was not sent before.
    Changes,
    /// With copied images only, that were not.
    Copied,
    /// With what was sent before.
    Again,
}

impl Admission {
    fn fresh(&self, lane: Lane) -> bool {
        match lane {
            Lane::Tail => self.changes,
            Lane::Copy => self.copied,
        }
    }
}

/// What is to be sent.
#[derive(Debug)]
pub enum Taken {
    /// This.
    Batch(Batch),
    /// Something that has to wait until so many units are left.
    TooDear(f64),
    /// Nothing that may be sent now.
    Nothing,
}

impl Slots {
    /// The next request, if anything may be sent now: changes before copied images, and what was sent before first among
    /// them. A change goes as long as the budget is not overdrawn. A copied image goes only when the budget has its units, so
    /// that no change waits for it to be paid off. Nothing more joins a request than the budget has.
    pub fn take(&mut self, admitted: Admission, now: Moment) -> Result<Taken, Violation> {
        self.release(now);
        for lane in [Lane::Tail, Lane::Copy] {
            let (again, units) = if let Some(units) = self.next_group(lane).filter(|_| admitted.again) {
                (true, units)
            } else if let Some((_, _, units)) = self.next_fresh(lane).filter(|_| admitted.fresh(lane)) {
                (false, units)
            } else {
                continue;
            };
            let needed = if lane == Lane::Tail { 0.0 } else { units };
            if admitted.units < needed {
                return Ok(Taken::TooDear(needed));
            }
            let batch = if again { self.take_group(lane, now)? } else { self.take_fresh(admitted, now)? };
            return Ok(Taken::Batch(batch));
        }
        Ok(Taken::Nothing)
    }

    /// The first group that is sent again.
    fn take_group(&mut self, lane: Lane, now: Moment) -> Result<Batch, Violation> {
        let places = self.lines.of(lane).again.pop_front().map(|group| group.places).unwrap_or_default();
        let mut batch = Batch { writes: Vec::with_capacity(places.len()), estimated_units: 0.0, kind: Kind::Again };
        for place in &places {
            self.send(place, &mut batch, now)?;
        }
        Ok(batch)
    }

    /// As much as fits into a request, and into the budget.
    fn take_fresh(&mut self, admitted: Admission, now: Moment) -> Result<Batch, Violation> {
        let most = if self.rules.owned { 1 } else { BATCH_OPERATIONS };
        let mut batch = Batch { writes: Vec::new(), estimated_units: 0.0, kind: Kind::Copied };
        let mut bytes = 0;
        for lane in [Lane::Tail, Lane::Copy].into_iter().filter(|lane| admitted.fresh(*lane)) {
            while batch.writes.len() < most {
                let Some((place, size, cost)) = self.next_fresh(lane) else { break };
                if !batch.writes.is_empty()
                    && (bytes + size > BATCH_BYTES || batch.estimated_units + cost > admitted.units)
                {
                    return Ok(batch);
                }
                self.lines.of(lane).fresh.pop_front();
                if lane == Lane::Tail {
                    batch.kind = Kind::Changes;
                }
                self.send(&place, &mut batch, now)?;
                bytes += size;
            }
        }
        Ok(batch)
    }

    /// When the next fence falls, or the next group is sent again.
    pub fn next_release(&self) -> Option<Moment> {
        let fence = self.timers.peek().map(|Reverse((until, _))| *until);
        let group = self.later.first_key_value().map(|((at, _), _)| *at);
        fence.into_iter().chain(group).min()
    }

    /// The service took the batch, but for `unprocessed`, each of which is sent again alone. `chance`, from 0 to 1, spreads
    /// that.
    pub fn processed(&mut self, batch: &Batch, unprocessed: &[Key], chance: f64, now: Moment) {
        for write in &batch.writes {
            let place = Place::Shadow(write.key.clone());
            if unprocessed.contains(&write.key) {
                self.back_off(place, chance, now);
            } else {
                self.applied(&place, now);
            }
        }
    }

    /// The owned write was done, or found the key another's.
    pub fn owned(&mut self, batch: &Batch, held: Held, now: Moment) {
        for write in &batch.writes {
            let place = Place::Shadow(write.key.clone());
            match (held, &write.image) {
                (Held::Mine, _) => self.applied(&place, now),
                (Held::Anothers, None) => self.outcome(&place, |slots| slots.record_clear_or_finish(&place, now)),
                (Held::Anothers, Some(_)) => self.outcome(&place, |slots| {
                    let message = "the shadow key belongs to another source item".into();
                    slots.record(&place, Mark::Set { reason: Reason::Collision, message });
                }),
            }
        }
    }

    /// Definitely not done, since the table or the account lacks capacity: the same is sent again as soon as the caller sends
    /// anything.
    pub fn throttled(&mut self, batch: &Batch, now: Moment) {
        self.send_again(places_of(batch), now);
    }

    /// Definitely not done, since a partition serves no more: each write is sent again alone, later. `chance`, from 0 to 1,
    /// spreads that.
    pub fn partition_throttled(&mut self, batch: &Batch, chance: f64, now: Moment) {
        for place in places_of(batch) {
            self.back_off(place, chance, now);
        }
    }

    /// Given up: it may still take effect. The same images are sent again, and different ones wait for the bound. They go
    /// in two halves: a batch that is too slow for its time-out would be so for ever.
    pub fn abandoned(&mut self, batch: &Batch, now: Moment) {
        self.last_abandoned = Some(now);
        let until = now.plus(self.rules.abandon);
        for write in &batch.writes {
            let place = Place::Shadow(write.key.clone());
            self.fences.insert(place.clone(), until);
            self.timers.push(Reverse((until, place)));
        }
        self.halve(batch, now);
    }

    /// The service refuses the request for its content: nothing of it was done. A single write goes to quarantine, a
    /// larger batch is halved until the culprit stands alone.
    pub fn refused(&mut self, batch: &Batch, message: &str, now: Moment) {
        if let [place] = places_of(batch).as_slice() {
            let mark = Mark::Set { reason: Reason::Refused, message: message.to_owned() };
            self.outcome(place, |slots| slots.record(place, mark));
            return;
        }
        self.halve(batch, now);
    }

    /// Sends the batch's writes again as two groups that nothing else joins.
    fn halve(&mut self, batch: &Batch, now: Moment) {
        let mut left = places_of(batch);
        let right = left.split_off(left.len() / 2);
        for half in [left, right].into_iter().filter(|half| !half.is_empty()) {
            self.send_again(half, now);
        }
    }

    /// Sends one write again alone, the later the more often the service did not take it.
    fn back_off(&mut self, place: Place, chance: f64, now: Moment) {
        let Some(slot) = self.places.get_mut(&place) else { return };
        let wait = waits_for(slot.throttles, chance);
        slot.throttles = slot.throttles.saturating_add(1);
        self.send_again(vec![place], now.plus(wait));
    }

    /// What was in flight at these places is sent again, together, from then on.
    fn send_again(&mut self, places: Vec<Place>, at: Moment) {
        for place in &places {
            self.outcome(place, |slots| slots.set_stage(place, Stage::Again { group: 0, at }));
        }
        self.group(places, at);
    }

    /// What is sent again at these places goes together.
    pub(super) fn group(&mut self, places: Vec<Place>, at: Moment) {
        self.groups += 1;
        let number = self.groups;
        for place in &places {
            if let Some(Stage::Again { group, .. }) = self.places.get_mut(place).map(|slot| &mut slot.stage) {
                *group = number;
            }
        }
        self.later.insert((at, number), Group { number, places });
    }

    /// Fences that fell: what waited behind them may go. So may the groups whose time has come.
    fn release(&mut self, now: Moment) {
        while self.timers.peek().is_some_and(|Reverse((until, _))| *until <= now) {
            let Some(Reverse((_, place))) = self.timers.pop() else { break };
            if self.fences.get(&place).is_some_and(|&until| until > now) {
                continue;
            }
            self.fences.remove(&place);
            if self.places.get(&place).is_some_and(|slot| slot.stage == Stage::Fenced) {
                self.start(place, now);
            }
        }
        while let Some(due) = self.later.first_entry().filter(|group| group.key().0 <= now) {
            let group = due.remove();
            let changes = self.members(&group).any(|slot| slot.lane() == Lane::Tail);
            self.lines.of(if changes { Lane::Tail } else { Lane::Copy }).again.push_back(group);
        }
    }

    /// What the first group of the lane costs at least. Groups and places that no longer wait in it are dropped on the way.
    fn next_group(&mut self, lane: Lane) -> Option<f64> {
        while let Some(mut group) = self.lines.of(lane).again.pop_front() {
            group.places.retain(|place| self.places.get(place).is_some_and(|slot| is_member(slot, group.number)));
            if !group.places.is_empty() {
                let units = self.members(&group).map(|slot| estimated_units(&slot.current)).sum();
                self.lines.of(lane).again.push_front(group);
                return Some(units);
            }
        }
        None
    }

    /// The slots that are still of this group.
    fn members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Slot> {
        let slots = group.places.iter().filter_map(|place| self.places.get(place));
        slots.filter(|slot| is_member(slot, group.number))
    }

    /// The first place of the lane that was not sent yet, its image's size, and what it costs at least. Places that no
    /// longer wait in the lane are dropped on the way.
    fn next_fresh(&mut self, lane: Lane) -> Option<(Place, usize, f64)> {
        while let Some(place) = self.lines.of(lane).fresh.front().cloned() {
            match self.places.get(&place) {
                Some(slot) if slot.stage == Stage::Ready => {
                    return Some((place, slot.current.stored_bytes, estimated_units(&slot.current)));
                }
                _ => self.lines.of(lane).fresh.pop_front(),
            }
        }
        None
    }

    fn send(&mut self, place: &Place, batch: &mut Batch, now: Moment) -> Result<(), Violation> {
        let Some(slot) = self.places.get(place) else { return Ok(()) };
        self.check_sendable(place, slot.stage, now)?;
        let Effect::Write(write) = &slot.current.effect else { return Ok(()) };
        batch.writes.push(Arc::clone(write));
        batch.estimated_units += estimated_units(&slot.current);
        self.set_stage(place, Stage::Sent);
        self.counts.in_flight += 1;
        Ok(())
    }

    /// The write took effect. A deletion that frees an owned place asks for what collided there.
    fn applied(&mut self, place: &Place, now: Moment) {
        self.outcome(place, |slots| {
            let Some(slot) = slots.places.get(place) else { return };
            let freed =
                slots.rules.owned && matches!(&slot.current.effect, Effect::Write(write) if write.image.is_none());
            if freed {
                let source = &slot.current.source;
                slots
                    .outcomes
                    .reread
                    .extend(slots.quarantined.colliding_at(place).filter(|other| *other != source).cloned());
            }
            slots.record_clear_or_finish(place, now);
        });
    }

    /// An outcome for what is in flight at `place`; one for anything else is passed over.
    fn outcome(&mut self, place: &Place, act: impl FnOnce(&mut Self)) {
        if self.places.get(place).is_some_and(|slot| slot.stage == Stage::Sent) {
            self.counts.in_flight -= 1;
            act(self);
        }
    }

    fn set_stage(&mut self, place: &Place, stage: Stage) {
        if let Some(slot) = self.places.get_mut(place) {
            slot.stage = stage;
        }
    }
}

fn places_of(batch: &Batch) -> Vec<Place> {
    batch.writes.iter().map(|write| Place::Shadow(write.key.clone())).collect()
}

fn is_member(slot: &Slot, number: u64) -> bool {
    matches!(slot.stage, Stage::Again { group, .. } if group == number)
}

/// How long an operation that was not taken so often in a row before waits: from 50 ms to 5 s, of which the upper half is
/// chance.
fn waits_for(throttles: u32, chance: f64) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);
    let span = FIRST.saturating_mul(2_u32.saturating_pow(throttles)).min(LONGEST);
    span.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// One unit for each started KB; a deletion is charged by the deleted item, which is not known here.
fn estimated_units(op: &Op) -> f64 {
    let has_image = matches!(&op.effect, Effect::Write(write) if write.image.is_some());
    let kilobytes = if has_image { op.stored_bytes.div_ceil(1024).max(1) } else { 1 };
    u32::try_from(kilobytes).map_or(f64::MAX, f64::from)
}
