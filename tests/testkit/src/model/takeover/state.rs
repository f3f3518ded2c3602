//! What there is: one item and its stream, a shadow, the lease, one checkpoint, and two processes.

use crate::model::few::Few;

/// A write to the shadow that was given up and may still take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Abandoned {
    pub epoch: u8,
    /// The number of the record whose image it carries.
    pub image: u8,
    /// It took effect.
    pub landed: bool,
}

/// A checkpoint on its way to the state table. It may arrive at any time, also when its sender is long gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Save {
    pub epoch: u8,
    /// The version that it must find.
    pub version: u8,
    pub passed: u8,
}

/// The checkpoint as it lies in the state table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    pub epoch: u8,
    pub version: u8,
    /// Records that are passed.
    pub passed: u8,
}

/// The lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Goes up at every takeover.
    pub epoch: u8,
    /// It ran out, was given back, or was never held: it may be taken.
    pub free: bool,
    /// It was given back, and nothing of the last holder can land.
    pub quiet: bool,
}

/// What a new holder has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It waits until the requests of earlier holders can land no more.
    Settling,
    /// It is about to claim, or read, the checkpoint.
    Preparing {
        claimed: bool,
        /// What it read, if it did so already.
        read: Option<u8>,
    },
    /// It tails.
    Working,
}

/// The slot of the one shadow key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing to do.
    #[default]
    Free,
    /// This image is to be sent, now or when no abandoned request of this holder is younger than the bound.
    Waiting(u8),
    /// It is in a request.
    Sent(u8),
}

/// The memory of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    pub epoch: u8,
    /// Its deadline is not over, by its own clock.
    pub in_time: bool,
    pub stage: Stage,
    /// The version under which the checkpoint lies, as far as it knows.
    pub version: u8,
    /// Records offered; the last of them is in the slot or waits behind it.
    pub offered: u8,
    /// Records that are durable.
    pub settled: u8,
    pub slot: Slot,
    /// What it said last in a checkpoint.
    pub saved: u8,
    /// A checkpoint is on its way.
    pub saving: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Records written so far; each is a new image of the one item.
    pub written: u8,
    /// The image in the shadow.
    pub shadow: u8,
    pub lease: Lease,
    pub entry: Entry,
    pub abandoned: Few<Abandoned, 6>,
    pub saves: Few<Save, 4>,
    /// `None`: it stands by, or is being started.
    pub processes: [Option<Holder>; 2],
    pub writes_left: u8,
    pub faults_left: u8,
    /// Crashes, pauses past the lease, and stops.
    pub ends_left: u8,
}
