//! What to send next, and what an outcome means.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use super::slot::{Op, Stage};
use super::{BATCH_BYTES, BATCH_OPERATIONS, Batch, Effect, Mark, Place, Reason, Slots};
use crate::model::{Key, Moment, Write};
use crate::protocol::invariant::Violation;

/// What an applied owned write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The key was free or the owner's.
    Mine,
    /// The key is another source item's: nothing was written.
    Anothers,
}

/// The queues, in the order in which they are served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Again,
    Tail,
    Copy,
}

impl Slots {
    /// The next request, if anything may be sent now. What was sent before goes first, then changes, then copied images.
    pub fn take(&mut self, now: Moment) -> Result<Option<Batch>, Violation> {
        self.release(now);
        if let Some(places) = self.halves.pop_front() {
            let mut batch = Batch { writes: Vec::with_capacity(places.len()), estimated_units: 0.0, half: true };
            for place in &places {
                self.send(place, &mut batch, now)?;
            }
            return Ok(Some(batch));
        }
        let most = if self.rules.owned { 1 } else { BATCH_OPERATIONS };
        let mut batch = Batch { writes: Vec::new(), estimated_units: 0.0, half: false };
        let mut bytes = 0;
        while batch.writes.len() < most {
            let Some((place, line, size)) = self.peek() else { break };
            if !batch.writes.is_empty() && bytes + size > BATCH_BYTES {
                break;
            }
            self.line(line).pop_front();
            self.send(&place, &mut batch, now)?;
            bytes += size;
        }
        Ok((!batch.writes.is_empty()).then_some(batch))
    }

    /// How many operations may be sent now; a floor, for deciding whether a fuller batch is worth a moment's wait.
    pub fn ready(&self) -> usize {
        self.again.len() + self.tail.len() + self.copy.len() + self.halves.iter().map(Vec::len).sum::<usize>()
    }

    /// When the next fence falls.
    pub fn next_release(&self) -> Option<Moment> {
        self.timers.peek().map(|Reverse((until, _))| *until)
    }

    /// The service took the batch, but for `unprocessed`, which is sent again.
    pub fn processed(&mut self, batch: &Batch, unprocessed: &[Key], now: Moment) {
        for write in &batch.writes {
            let place = Place::Shadow(write.key.clone());
            if unprocessed.contains(&write.key) {
                self.send_again(place);
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

    /// Definitely not done for lack of capacity: sent again.
    pub fn throttled(&mut self, batch: &Batch) {
        self.resend(batch);
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
        self.halve(batch);
    }

    /// The service refuses the request for its content: nothing of it was done. A single write goes to quarantine, a
    /// larger batch is halved until the culprit stands alone.
    pub fn refused(&mut self, batch: &Batch, message: &str) {
        let places: Vec<_> = batch.writes.iter().map(|write| Place::Shadow(write.key.clone())).collect();
        if let [place] = places.as_slice() {
            let mark = Mark::Set { reason: Reason::Refused, message: message.to_owned() };
            self.outcome(place, |slots| slots.record(place, mark));
            return;
        }
        self.halve(batch);
    }

    /// Sends the batch's writes again as two groups that nothing else joins.
    fn halve(&mut self, batch: &Batch) {
        let places: Vec<_> = batch.writes.iter().map(|write| Place::Shadow(write.key.clone())).collect();
        for place in &places {
            self.outcome(place, |slots| slots.set_stage(place, Stage::Again));
        }
        let (left, right) = places.split_at(places.len() / 2);
        self.halves.extend([left, right].into_iter().filter(|half| !half.is_empty()).map(<[_]>::to_vec));
    }

    /// Fences that fell: what waited behind them may go.
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
    }

    /// The next place to send and its image's size, without removing it. Entries that no longer wait in their line are
    /// dropped on the way.
    fn peek(&mut self) -> Option<(Place, Line, usize)> {
        for line in [Line::Again, Line::Tail, Line::Copy] {
            let expected = if line == Line::Again { Stage::Again } else { Stage::Ready };
            while let Some(place) = self.line(line).front().cloned() {
                match self.places.get(&place) {
                    Some(slot) if slot.stage == expected => return Some((place, line, slot.current.stored_bytes)),
                    _ => self.line(line).pop_front(),
                };
            }
        }
        None
    }

    fn line(&mut self, line: Line) -> &mut VecDeque<Place> {
        match line {
            Line::Again => &mut self.again,
            Line::Tail => &mut self.tail,
            Line::Copy => &mut self.copy,
        }
    }

    fn send(&mut self, place: &Place, batch: &mut Batch, now: Moment) -> Result<(), Violation> {
        let Some(slot) = self.places.get(place) else { return Ok(()) };
        self.check_sendable(place, slot.stage, now)?;
        let Effect::Write(write) = &slot.current.effect else { return Ok(()) };
        batch.writes.push(Arc::clone(write));
        batch.estimated_units += estimated_units(&slot.current, write);
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

    fn resend(&mut self, batch: &Batch) {
        let places: Vec<_> = batch.writes.iter().map(|write| Place::Shadow(write.key.clone())).collect();
        if batch.half {
            for place in &places {
                self.outcome(place, |slots| slots.set_stage(place, Stage::Again));
            }
            self.halves.push_back(places);
        } else {
            for place in places {
                self.send_again(place);
            }
        }
    }

    fn send_again(&mut self, place: Place) {
        self.outcome(&place, |slots| slots.set_stage(&place, Stage::Again));
        self.again.push_back(place);
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

/// One unit for each started KB; a deletion is charged by the deleted item, which is not known here.
fn estimated_units(op: &Op, write: &Write) -> f64 {
    let kilobytes = if write.image.is_some() { op.stored_bytes.div_ceil(1024).max(1) } else { 1 };
    u32::try_from(kilobytes).map_or(f64::MAX, f64::from)
}
