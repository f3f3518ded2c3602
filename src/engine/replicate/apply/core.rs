//! What the applier knows, behind one lock: slots, ledgers and overtaken copies. Pure; time is an argument.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::mapping::{Mapped, late};
use super::recent::Recent;
use super::shares::{Shares, Turn, Want};
use crate::model::{Key, Moment, Position, Timestamp};
use crate::protocol::invariant::Violation;
use crate::protocol::ledger::{Ledger, Unit};
use crate::protocol::leg::Intake;
use crate::protocol::overtaken::{Overtaken, PageRead};
use crate::protocol::slots::{
    Admission, Batch, Counts, Effect, Held, Lane, Offer, Place, Recording, Slots, Taken, Ticket,
};

/// What a reader's progress may say once a unit is settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A shard: this record, and all before it.
    Record {
        /// Its position.
        position: Position,
        /// When the change was made.
        created: Timestamp,
    },
    /// A segment: this page, and all before it.
    Page {
        /// Where the next page begins; `None` at the segment's end.
        next: Option<Key>,
        /// Items on all pages so far.
        items: u64,
    },
    /// An item that was read again.
    Reread,
}

/// A reader: a shard, a segment, or the re-reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader(u32);

/// What a change means for the table that is written.
#[derive(Debug)]
pub struct Changed {
    /// Its operations.
    pub mapped: Vec<Mapped>,
    /// No request made it; after a switch that is the other table's own business.
    pub expired: bool,
}

/// A page whose items are being offered.
#[derive(Clone, Copy, Debug)]
pub struct OpenPage {
    reader: Reader,
    unit: Unit,
    page: PageRead,
}

/// How far a reader is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The mark of the longest settled prefix.
    pub settled: Option<Mark>,
    /// The mark of the oldest unit that is not settled.
    pub oldest_open: Option<Mark>,
}

/// The applier's state.
#[derive(Debug)]
pub struct Core {
    slots: Slots,
    overtaken: Overtaken,
    shares: Shares,
    ledgers: HashMap<Reader, Ledger<Mark>>,
    readers: u32,
    recordings: VecDeque<Recording>,
    rereads: VecDeque<Key>,
    wanted: HashSet<Key>,
    latencies: Vec<Duration>,
    dropped: u64,
    intake: Intake,
    late: u64,
    recent: Recent,
}

impl Core {
    /// Nothing offered yet. Source keys in collision are read again: a crash may have lost that one was freed. `recent`
    /// goes on remembering which source keys changed last. All that is held fits into `memory_bytes`.
    pub fn new(slots: Slots, overtaken: Overtaken, recent: Recent, intake: Intake, memory_bytes: usize) -> Self {
        let mut core = Self {
            overtaken,
            shares: Shares::new(memory_bytes),
            ledgers: HashMap::new(),
            readers: 0,
            recordings: VecDeque::new(),
            rereads: VecDeque::new(),
            wanted: HashSet::new(),
            latencies: Vec::new(),
            dropped: 0,
            intake,
            late: 0,
            recent,
            slots,
        };
        let colliding: Vec<_> = core.slots.quarantined().collisions().cloned().collect();
        for source in colliding {
            core.want(source);
        }
        core
    }

    /// Decides what becomes of changes from now on.
    pub fn set_intake(&mut self, intake: Intake) {
        self.intake = intake;
    }

    /// What becomes of changes.
    pub fn intake(&self) -> Intake {
        self.intake
    }

    /// Changes that came after the applier was closed.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// The source keys that changed last.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// A new reader.
    pub fn add_reader(&mut self) -> Reader {
        let reader = Reader(self.readers);
        self.readers = self.readers.wrapping_add(1);
        self.ledgers.insert(reader, Ledger::default());
        reader
    }

    /// A reader is done, and all it offered is settled.
    pub fn end_reader(&mut self, reader: Reader) {
        self.ledgers.remove(&reader);
    }

    /// A reader waits for room; `served` is told when it was given some.
    pub(super) fn wait_for_room(&mut self, reader: Reader, want: Want, served: Arc<Notify>) -> Turn {
        let turn = self.shares.wait(reader.0, want, served);
        self.shares.serve(&self.slots);
        turn
    }

    /// The room that was given, once it was.
    pub(super) fn room_given(&self, turn: Turn) -> Option<usize> {
        self.shares.given(turn)
    }

    /// What was read has been offered, or nobody waits any more.
    pub(super) fn give_room_back(&mut self, turn: Turn) {
        self.shares.end(turn);
        self.shares.serve(&self.slots);
    }

    /// To be called before a page's, or an item's, consistent read is sent.
    pub fn begin_page(&mut self) -> PageRead {
        self.overtaken.begin()
    }

    /// The page was read and will offer its items.
    pub fn open_page(&mut self, reader: Reader, page: PageRead, mark: Mark) -> Option<OpenPage> {
        let unit = self.ledger(reader)?.open(mark);
        Some(OpenPage { reader, unit, page })
    }

    /// Offers some of the page's items. `false`: the page must be read again.
    pub fn offer_items(
        &mut self,
        page: OpenPage,
        items: Vec<(Key, Option<Mapped>)>,
        now: Moment,
    ) -> Result<bool, Violation> {
        if self.intake != Intake::Open || !self.overtaken.is_current(page.page) {
            if let Some(ledger) = self.ledger(page.reader) {
                ledger.give_up(page.unit);
            }
            return Ok(false);
        }
        for (source, mapped) in items {
            if self.overtaken.overtook(&source, page.page)? {
                self.dropped += 1;
            } else {
                self.offer(page.reader, page.unit, &source, mapped, Lane::Copy, now);
            }
        }
        // What the transform refuses goes to quarantine now: the page may wait for the room that it takes.
        self.absorb();
        Ok(true)
    }

    /// All of the page's items were offered.
    pub fn close_page(&mut self, page: OpenPage) {
        self.overtaken.end(page.page);
        if let Some(ledger) = self.ledger(page.reader) {
            ledger.close(page.unit);
        }
        self.absorb();
    }

    /// The page could not be read, or will be read again.
    pub fn drop_page(&mut self, page: PageRead) {
        self.overtaken.end(page);
    }

    /// Offers an item that was read again, unless a change overtook the read: then it must be read once more.
    pub fn offer_reread(
        &mut self,
        reader: Reader,
        page: PageRead,
        source: &Key,
        mapped: Option<Mapped>,
        now: Moment,
    ) -> Result<bool, Violation> {
        let current =
            self.intake == Intake::Open && self.overtaken.is_current(page) && !self.overtaken.overtook(source, page)?;
        self.overtaken.end(page);
        if !current {
            self.rereads.push_back(source.clone());
            return Ok(false);
        }
        let Some(unit) = self.ledger(reader).map(|ledger| ledger.open(Mark::Reread)) else { return Ok(false) };
        self.offer(reader, unit, source, mapped, Lane::Copy, now);
        if let Some(ledger) = self.ledger(reader) {
            ledger.close(unit);
        }
        self.wanted.remove(source);
        self.absorb();
        Ok(true)
    }

    /// Offers a change: all of its operations, in one unit.
    pub fn offer_change(
        &mut self,
        reader: Reader,
        mark: Mark,
        source: &Key,
        Changed { mapped, expired }: Changed,
        now: Moment,
    ) {
        self.overtaken.offered(source);
        self.recent.note(source);
        let mapped = match self.intake {
            Intake::Open => mapped,
            Intake::Held | Intake::Closed if expired => Vec::new(),
            Intake::Held | Intake::Closed => {
                self.late += 1;
                vec![late(source)]
            }
        };
        let Some(unit) = self.ledger(reader).map(|ledger| ledger.open(mark)) else { return };
        self.offer(reader, unit, source, mapped, Lane::Tail, now);
        if let Some(ledger) = self.ledger(reader) {
            ledger.close(unit);
        }
        self.absorb();
    }

    /// The next request.
    pub fn take(&mut self, admitted: Admission, now: Moment) -> Result<Taken, Violation> {
        self.slots.take(admitted, now)
    }

    /// The next quarantine entry to store.
    pub fn take_recording(&mut self) -> Option<Recording> {
        self.recordings.pop_front()
    }

    /// The next source key to be read again.
    pub fn take_reread(&mut self) -> Option<Key> {
        if self.intake == Intake::Open { self.rereads.pop_front() } else { None }
    }

    /// A re-read could not be read: it is not forgotten.
    pub fn reread_later(&mut self, source: Key) {
        self.rereads.push_back(source);
    }

    /// Reads a source key again as soon as possible.
    pub fn want(&mut self, source: Key) {
        if self.wanted.insert(source.clone()) {
            self.rereads.push_back(source);
        }
    }

    /// The batch was done, but for `unprocessed`. `chance`, from 0 to 1, spreads what is sent again.
    pub fn processed(&mut self, batch: &Batch, unprocessed: &[Key], chance: f64, now: Moment) {
        self.slots.processed(batch, unprocessed, chance, now);
        self.absorb();
    }

    /// The owned write was done, or found the key another's.
    pub fn owned(&mut self, batch: &Batch, held: Held, now: Moment) {
        self.slots.owned(batch, held, now);
        self.absorb();
    }

    /// Definitely not done, for lack of the table's or the account's capacity.
    pub fn throttled(&mut self, batch: &Batch, now: Moment) {
        self.slots.throttled(batch, now);
    }

    /// Definitely not done, for lack of a partition's capacity.
    pub fn partition_throttled(&mut self, batch: &Batch, chance: f64, now: Moment) {
        self.slots.partition_throttled(batch, chance, now);
    }

    /// Given up: it may still take effect.
    pub fn abandoned(&mut self, batch: &Batch, now: Moment) {
        self.slots.abandoned(batch, now);
    }

    /// Refused for its content.
    pub fn refused(&mut self, batch: &Batch, message: &str, now: Moment) {
        self.slots.refused(batch, message, now);
        self.absorb();
    }

    /// The entry was stored.
    pub fn recorded(&mut self, recording: &Recording, now: Moment) {
        self.slots.recorded(recording, now);
        self.absorb();
    }

    /// How far a reader is.
    pub fn progress(&self, reader: Reader) -> Progress {
        let ledger = self.ledgers.get(&reader);
        Progress {
            settled: ledger.and_then(Ledger::settled).cloned(),
            oldest_open: ledger.and_then(Ledger::oldest_open).cloned(),
        }
    }

    /// Latencies since the last call.
    pub fn take_latencies(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.latencies)
    }

    /// Totals, and copied images dropped because a change overtook them.
    pub fn counts(&self) -> (Counts, u64) {
        let counts = self.slots.counts();
        (counts, self.dropped + counts.superseded)
    }

    /// Pages that had to be read again for lack of room.
    pub fn pages_discarded(&self) -> u64 {
        self.overtaken.discarded()
    }

    /// Bytes for which pages are being read.
    pub fn reading_bytes(&self) -> usize {
        self.shares.reading()
    }

    /// Pairs in quarantine.
    pub fn quarantined(&self) -> usize {
        self.slots.quarantined().len()
    }

    /// When something that waits for a time may go.
    pub fn next_release(&self) -> Option<Moment> {
        self.slots.next_release()
    }

    /// Nothing is held, wanted or still able to land.
    pub fn is_quiet(&self, now: Moment) -> bool {
        self.slots.is_quiet(now) && self.wanted.is_empty() && self.recordings.is_empty()
    }

    /// No abandoned request is younger than the bound.
    pub fn nothing_can_land(&self, now: Moment) -> bool {
        self.slots.nothing_can_land(now)
    }

    /// Offers all operations of one change or item. If the transform refused the item before and does no more, whatever
    /// became of it since, its quarantine entry is cleared.
    fn offer(
        &mut self,
        reader: Reader,
        unit: Unit,
        source: &Key,
        mapped: impl IntoIterator<Item = Mapped>,
        lane: Lane,
        now: Moment,
    ) {
        let mut refused = false;
        for Mapped { place, effect, memory_bytes, stored_bytes } in mapped {
            refused |= matches!(place, Place::Unplaced(_));
            let ticket = self.ticket(reader, unit);
            let offer = Offer { place, effect, source: source.clone(), ticket, lane, memory_bytes, stored_bytes };
            self.slots.offer(offer, now);
        }
        // A late change stays told whatever becomes of its item: only an operator knows which table is right.
        if !refused && self.intake == Intake::Open && self.slots.is_unplaced(source) {
            let ticket = self.ticket(reader, unit);
            let (place, source) = (Place::Unplaced(source.clone()), source.clone());
            let offer = Offer { place, effect: Effect::Accept, source, ticket, lane, memory_bytes: 0, stored_bytes: 0 };
            self.slots.offer(offer, now);
        }
    }

    fn ticket(&mut self, reader: Reader, unit: Unit) -> Ticket {
        if let Some(ledger) = self.ledger(reader) {
            ledger.add(unit);
        }
        Ticket { reader: reader.0, unit }
    }

    /// Takes what came of outcomes: settles tickets, queues entries and re-reads.
    fn absorb(&mut self) {
        let outcomes = self.slots.drain();
        let freed = !outcomes.settled.is_empty();
        for ticket in outcomes.settled {
            if let Some(ledger) = self.ledger(Reader(ticket.reader)) {
                ledger.settle(ticket.unit);
            }
        }
        self.latencies.extend(outcomes.latencies);
        self.recordings.extend(outcomes.recordings);
        for source in outcomes.reread {
            self.want(source);
        }
        if freed {
            self.shares.serve(&self.slots);
        }
    }

    fn ledger(&mut self, reader: Reader) -> Option<&mut Ledger<Mark>> {
        self.ledgers.get_mut(&reader)
    }
}
