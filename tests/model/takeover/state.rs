//! What there is: one item and its stream, a shadow, the lease, one checkpoint, and two processes.

use crate::few::Few;

/// A write to the shadow that was given up and may still take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Abandoned {
    pub(crate) epoch: u8,
    /// The number of the record whose image it carries.
    pub(crate) image: u8,
    /// It took effect.
    pub(crate) landed: bool,
}

/// A checkpoint on its way to the state table. It may arrive at any time, also when its sender is long gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Save {
    pub(crate) epoch: u8,
    /// The version that it must find.
    pub(crate) version: u8,
    pub(crate) passed: u8,
}

/// The checkpoint as it lies in the state table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) epoch: u8,
    pub(crate) version: u8,
    /// Records that are passed.
    pub(crate) passed: u8,
}

/// The lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    /// Goes up at every takeover.
    pub(crate) epoch: u8,
    /// It ran out, was given back, or was never held: it may be taken.
    pub(crate) free: bool,
    /// It was given back, and nothing of the last holder can land.
    pub(crate) quiet: bool,
}

/// What a new holder has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
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
pub(crate) enum Slot {
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
pub(crate) struct Holder {
    pub(crate) epoch: u8,
    /// Its deadline is not over, by its own clock.
    pub(crate) in_time: bool,
    pub(crate) stage: Stage,
    /// The version under which the checkpoint lies, as far as it knows.
    pub(crate) version: u8,
    /// Records offered; the last of them is in the slot or waits behind it.
    pub(crate) offered: u8,
    /// Records that are durable.
    pub(crate) settled: u8,
    pub(crate) slot: Slot,
    /// What it said last in a checkpoint.
    pub(crate) saved: u8,
    /// A checkpoint is on its way.
    pub(crate) saving: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Records written so far; each is a new image of the one item.
    pub(crate) written: u8,
    /// The image in the shadow.
    pub(crate) shadow: u8,
    pub(crate) lease: Lease,
    pub(crate) entry: Entry,
    pub(crate) abandoned: Few<Abandoned, 6>,
    pub(crate) saves: Few<Save, 4>,
    /// `None`: it stands by, or is being started.
    pub(crate) processes: [Option<Holder>; 2],
    pub(crate) writes_left: u8,
    pub(crate) faults_left: u8,
    /// Crashes, pauses past the lease, and stops.
    pub(crate) ends_left: u8,
}
