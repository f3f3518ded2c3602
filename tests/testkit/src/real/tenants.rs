//! Tenants who swap places: items whose shadow key is an attribute that another item takes over.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use fastrand::Rng;

use super::items::{item, n, s};
use super::layout::{Keys, Kind};
use super::table::{Item, Table};

/// What identifies a tenant.
pub const BY_ID: Keys = &[("id", Kind::S)];
/// What two tenants claim at the same time, for a moment or for good.
pub const BY_SLOT: Keys = &[("slot", Kind::S)];

const TENANTS: usize = 24;

/// Each in a slot of its own.
pub fn tenants() -> Vec<Item> {
    (0..TENANTS).map(|number| item([("id", id(number)), ("slot", slot(number)), ("size", n(number))])).collect()
}

/// Swaps two of them so many times. Between its two halves both claim one slot; one time in twelve it stays at that.
pub fn swap(source: &Table, swaps: usize, pause: Duration, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut slots: Vec<usize> = (0..TENANTS).collect();
    let move_to = |tenant, to| source.set(&item([("id", id(tenant))]), "slot", slot(to));
    for _ in 0..swaps {
        let (one, other) = (rng.usize(..TENANTS), rng.usize(..TENANTS));
        move_to(one, slots[other]);
        if rng.u8(..12) != 0 {
            move_to(other, slots[one]);
            slots.swap(one, other);
        } else {
            slots[one] = slots[other];
        }
        std::thread::sleep(pause);
    }
}

fn id(number: usize) -> AttributeValue {
    s(format!("tenant-{number:02}"))
}

fn slot(number: usize) -> AttributeValue {
    s(format!("slot-{number:02}"))
}
