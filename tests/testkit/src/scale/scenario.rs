//! What is tried.

use std::time::Duration;

/// A table, its application, and whoever else uses the service.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// What the table says it holds, in bytes.
    pub says_bytes: u64,
    /// Items that it really holds.
    pub items: u32,
    /// Partitions of the source: as many shards are open.
    pub shards: usize,
    /// Shards that are closed and still listed, for each open one.
    pub generations: usize,
    /// Partitions of the shadow and of each of its indexes: at first, and at most.
    pub partitions: (usize, usize),
    pub indexes: usize,
    /// Changes a second.
    pub writes: f64,
    /// Changes a second more, of few items that lie beside each other, or that share a value of the first index.
    pub hot: f64,
    pub hot_is: Hot,
    /// Read units a second that a provisioned source has, and those that the application uses.
    pub provisioned: Option<(f64, f64)>,
    /// Calls a second to each shard, by others.
    pub other_readers: f64,
    /// Calls a second to `DescribeStream`, by others in the account.
    pub other_listings: f64,
    /// What happens after the copy.
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hot {
    Partition,
    IndexKey,
}

/// What happens after the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on for so long.
    Steady(Duration),
    /// Nobody replicates for so long. Then it goes on until all is caught up.
    Away(Duration),
    /// The process dies, and another one takes over.
    Takeover,
}

/// In which time a cold table doubles, when it is used.
pub const DOUBLES: Duration = Duration::from_mins(3);
/// How often a shard rolls.
pub const ROLLS: Duration = Duration::from_hours(4);
/// Partitions of a table that serves 40,000 write units a second: what an account's tables may do by default.
const WARM: usize = 40;

const TERABYTE: u64 = 1 << 40;

fn base() -> Scenario {
    Scenario {
        name: "warm",
        about: "1 TB into a warm shadow",
        says_bytes: TERABYTE,
        items: 4_000_000,
        shards: 1_000,
        generations: 6,
        partitions: (WARM, WARM),
        indexes: 3,
        writes: 2_000.0,
        hot: 0.0,
        hot_is: Hot::Partition,
        provisioned: None,
        other_readers: 0.0,
        other_listings: 0.0,
        then: Then::Steady(Duration::from_mins(2)),
    }
}

/// All that is tried.
pub fn all() -> Vec<Scenario> {
    let small = Scenario { items: 400_000, ..base() };
    vec![
        base(),
        Scenario {
            name: "cold",
            about: "1 TB into a shadow that nobody warmed",
            items: 3_000_000,
            partitions: (4, WARM),
            writes: 1_000.0,
            ..base()
        },
        Scenario {
            name: "half-load",
            about: "changes at half of what the shadow can do, beside a copy and after it",
            writes: 20_000.0,
            then: Then::Steady(Duration::from_secs(30)),
            ..small.clone()
        },
        Scenario {
            name: "hot-partition",
            about: "one partition is written as fast as it can be, beside a copy and after it",
            hot: 950.0,
            ..small.clone()
        },
        Scenario {
            name: "hot-index-key",
            about: "a value of an index that a partition of it cannot bear",
            hot: 1_500.0,
            hot_is: Hot::IndexKey,
            then: Then::Steady(Duration::from_mins(1)),
            ..small.clone()
        },
        Scenario {
            name: "away",
            about: "20 hours without the replicator",
            writes: 40.0,
            then: Then::Away(Duration::from_hours(20)),
            ..small.clone()
        },
        Scenario {
            name: "two-lambdas",
            about: "two Lambda triggers on the stream",
            other_readers: 8.0,
            ..small.clone()
        },
        Scenario { name: "one-lambda", about: "one Lambda trigger on the stream", other_readers: 4.0, ..small.clone() },
        Scenario {
            name: "provisioned",
            about: "a source whose capacity is provisioned and used by 60 per cent",
            provisioned: Some((20_000.0, 12_000.0)),
            items: 2_000_000,
            ..base()
        },
        Scenario {
            name: "takeover",
            about: "7,000 shards are known when another process takes over",
            then: Then::Takeover,
            ..small.clone()
        },
        Scenario {
            name: "busy-account",
            about: "others list streams as often as an account may",
            other_listings: 9.5,
            ..small
        },
    ]
}
