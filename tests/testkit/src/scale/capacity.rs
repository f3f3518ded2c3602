//! What the service allows: token buckets, and partitions that split while they are used.

use std::time::Duration;

/// Write units a partition serves in a second.
const PARTITION_WRITES: f64 = 1_000.0;
/// So much unused capacity is kept for a burst. The service may keep 300 s, and promises nothing.
const BURST_SECONDS: f64 = 1.0;

/// A rate that is shared with others, who ask at a constant one and lose what they do not get.
#[derive(Clone, Debug)]
pub struct Bucket {
    tokens: f64,
    pub rate: f64,
    demand: f64,
    /// What the others asked for and did not get.
    pub lost: f64,
    /// What the others asked for.
    pub asked: f64,
    at: Duration,
}

impl Bucket {
    /// So many units a second, of which others ask for `demand`.
    pub fn new(rate: f64, demand: f64, now: Duration) -> Self {
        Self { tokens: rate * BURST_SECONDS, rate, demand, lost: 0.0, asked: 0.0, at: now }
    }

    fn refill(&mut self, now: Duration) {
        let mut left = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.asked += self.demand * left;
        if self.tokens < 0.0 {
            // Until the debt is paid, nobody gets anything.
            let span = left.min(-self.tokens / self.rate);
            self.tokens += self.rate * span;
            self.lost += self.demand * span;
            left -= span;
        }
        let net = (self.rate - self.demand) * left;
        self.lost += (-net - self.tokens.max(0.0)).max(0.0);
        let full = self.rate * BURST_SECONDS;
        self.tokens = (self.tokens + net).clamp(self.tokens.min(0.0), full);
    }

    /// Whether something is left.
    pub fn has(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.tokens > 0.0
    }

    /// Takes units, on credit if need be: a page is charged when it was read.
    pub fn take(&mut self, units: f64, now: Duration) {
        self.refill(now);
        self.tokens -= units;
    }

    /// One call among those of others. Where all ask for more than there is, chance decides who gets it.
    pub fn call(&mut self, ours_per_second: f64, chance: f64, now: Duration) -> bool {
        self.refill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return true;
        }
        let wins = self.demand > 0.0 && chance < self.rate / (self.demand + ours_per_second);
        if wins {
            self.lost += 1.0;
        }
        wins
    }
}

/// The partitions of a table or an index, over its key space.
#[derive(Clone, Debug)]
pub struct Partitions {
    buckets: Vec<Bucket>,
    most: usize,
    /// Units taken since it was looked at.
    taken: f64,
}

impl Partitions {
    /// So many to begin with, and so many at most.
    pub fn new(partitions: usize, most: usize) -> Self {
        Self { buckets: vec![Bucket::new(PARTITION_WRITES, 0.0, Duration::ZERO); partitions], most, taken: 0.0 }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    fn at(&mut self, place: f64) -> &mut Bucket {
        let index = (place * self.buckets.len() as f64) as usize;
        let last = self.buckets.len() - 1;
        &mut self.buckets[index.min(last)]
    }

    /// Whether the partition at this place of the key space, from 0 to 1, has something left.
    pub fn has(&mut self, place: f64, now: Duration) -> bool {
        self.at(place).has(now)
    }

    pub fn take(&mut self, place: f64, units: f64, now: Duration) {
        self.taken += units;
        self.at(place).take(units, now);
    }

    /// Units a second, all together.
    #[expect(clippy::cast_precision_loss, reason = "few")]
    pub fn capacity(&self) -> f64 {
        PARTITION_WRITES * self.buckets.len() as f64
    }

    /// Splits all partitions, if more than half of what they could do was asked of them in this span.
    pub fn look(&mut self, span: Duration) {
        let used = std::mem::take(&mut self.taken);
        if used > self.capacity() * span.as_secs_f64() / 2.0 && self.buckets.len() < self.most {
            self.buckets = self.buckets.iter().flat_map(|one| [one.clone(), one.clone()]).collect();
            self.buckets.truncate(self.most);
        }
    }
}

/// How long so many writes take at least, beside so many others a second.
pub fn ideal(mut writes: f64, others: f64, partitions: usize, most: usize, doubles: Duration) -> Duration {
    let (mut seconds, mut now) = (0.0, partitions);
    loop {
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let rate = PARTITION_WRITES * now as f64 - others;
        assert!(rate > 0.0, "the others take all");
        let span = if now < most { doubles.as_secs_f64() } else { f64::INFINITY };
        if writes <= rate * span {
            return Duration::from_secs_f64(seconds + writes / rate);
        }
        (writes, seconds, now) = (writes - rate * span, seconds + span, (2 * now).min(most));
    }
}
