//! What was put into the shadow.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Seen;
use super::http::now_instant;

/// Every put so far.
#[derive(Default)]
pub(super) struct Written {
    writes: u64,
    /// By item's number: whether it was put at all.
    items: Vec<bool>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Written {
    pub(super) fn add(&mut self, items: &[usize]) {
        for &item in items {
            if item >= self.items.len() {
                self.items.resize(item + 1, false);
            }
            if let Some(put) = self.items.get_mut(item) {
                *put = true;
            }
            self.writes += 1;
        }
        let now = now_instant();
        self.first = self.first.or(Some(now));
        self.last = Some(now);
    }

    pub(super) fn seen(&self, taken: u64, requests: &BTreeMap<String, u64>) -> Seen {
        let span = self.first.zip(self.last).map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64());
        Seen {
            writes: self.writes,
            items: self.items.iter().filter(|put| **put).count() as u64,
            writing_seconds: span,
            taken,
            requests: requests.get("BatchWriteItem").copied().unwrap_or(0),
        }
    }
}

/// The numbers of the items in a `BatchWriteItem`: nothing else in an item looks like its key.
pub(super) fn keys_of(body: &[u8]) -> Vec<usize> {
    const BEFORE: &str = r#":"order-"#;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let keys = text.match_indices(BEFORE).filter_map(|(place, _)| text.get(place + BEFORE.len()..)?.split('"').next());
    keys.filter_map(|digits| digits.parse().ok()).collect()
}
