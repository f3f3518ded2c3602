//! Prepared pages. A place of fixed width is left for whatever differs between two items or two records.

use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::{Options, http};

/// Items of a Scan page: a page ends at 1 MB, and items are about 1 KB.
const PAGE_ITEMS: u64 = 1_000;
/// Records of a stream page: it ends at 1,000 records or 1 MB, and a record carries one image, or two.
const PAGE_RECORDS: u64 = 800;
const PAGE_RECORDS_WITH_OLD_IMAGES: u64 = 400;

/// Digits of an item's number in its key, after `order-`.
const KEY_DIGITS: usize = 12;
/// Digits of a sequence number: as many as DynamoDB's shortest.
const SEQUENCE_DIGITS: usize = 21;
/// So that sequence numbers have no leading zeros.
const SEQUENCE_BASE: u64 = 1;

/// Items from a number on, as the reply of a Scan.
pub(super) struct ScanPage {
    template: Template,
}

/// Records from a number on, as the reply of a `GetRecords`.
pub(super) struct RecordPage {
    template: Template,
    options: Options,
}

/// One element of a page, and where its places are.
struct Template {
    bytes: Vec<u8>,
    keys: Vec<usize>,
    sequences: Vec<usize>,
    times: Vec<usize>,
}

impl ScanPage {
    pub(super) fn new() -> Self {
        Self { template: Template::new(&item()) }
    }

    /// Items `from..end`, or as many of them as a page and `most` allow.
    pub(super) fn fill(&self, from: u64, end: u64, most: u64, page: &mut Vec<u8>) {
        let stop = end.min(from.saturating_add(most.min(PAGE_ITEMS)));
        let count = stop.saturating_sub(from);
        page.extend_from_slice(br#"{"Items":["#);
        for number in from..stop {
            self.template.push(number, 0, 0, page);
            page.push(b',');
        }
        close_list(count, page);
        if stop < end {
            let key = format!(r#","LastEvaluatedKey":{{"id":{{"S":"{}"}}}}"#, id(stop - 1));
            page.extend_from_slice(key.as_bytes());
        }
        // A consistent read of 4 KB costs one unit.
        let units = count.div_ceil(4);
        let rest =
            format!(r#","Count":{count},"ScannedCount":{count},"ConsumedCapacity":{{"CapacityUnits":{units}}}}}"#);
        page.extend_from_slice(rest.as_bytes());
    }
}

impl RecordPage {
    pub(super) fn new(options: Options) -> Self {
        Self { template: Template::new(&record(options.old_images)), options }
    }

    /// Records `from..end` of a shard, or as many of them as a page and `limit` allow.
    pub(super) fn fill(&self, shard: u64, from: u64, end: u64, limit: u64, page: &mut Vec<u8>) {
        let most = if self.options.old_images { PAGE_RECORDS_WITH_OLD_IMAGES } else { PAGE_RECORDS };
        let stop = end.min(from + most.min(limit)).max(from);
        let seconds = http::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        page.extend_from_slice(br#"{"Records":["#);
        for number in from..stop {
            self.template.push(self.changed_item(number), number, seconds, page);
            page.push(b',');
        }
        close_list(stop - from, page);
        page.extend_from_slice(format!(r#","NextShardIterator":"{shard}:{stop}"}}"#).as_bytes());
    }

    fn changed_item(&self, record: u64) -> u64 {
        let items = self.options.changed_items.max(1);
        if self.options.skewed { skewed(record, items) } else { record % items }
    }
}

/// A number below `items` for a record, the same each time: its chance falls with its rank, as in a Zipf distribution.
/// One of the ranks 1, 2–3, 4–7 and so on is as likely as the next, and all within one are equally likely.
fn skewed(record: u64, items: u64) -> u64 {
    // SplitMix64: neighbouring records have nothing in common.
    let mut bits = record.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let octaves = u64::from(items.max(1).ilog2()) + 1;
    let first = 1_u64 << (bits % octaves);
    ((first + (bits >> 32) % first) - 1) % items.max(1)
}

/// Takes the last comma back.
fn close_list(count: u64, page: &mut Vec<u8>) {
    if count > 0 {
        page.pop();
    }
    page.push(b']');
}

/// The number in an item's key.
pub(super) fn number_of(id: &Value) -> Option<u64> {
    id.as_str()?.strip_prefix("order-")?.parse().ok()
}

/// The number of the record with this sequence number.
pub(super) fn record_of(sequence: &Value) -> Option<u64> {
    sequence.as_str()?.strip_prefix(&SEQUENCE_BASE.to_string())?.parse().ok()
}

fn id(number: u64) -> String {
    format!("order-{number:0KEY_DIGITS$}")
}

const KEY_MARK: &str = "kkkkkkkkkkkk";
const SEQUENCE_MARK: &str = "qqqqqqqqqqqqqqqqqqqq";
const TIME_MARK: &str = "7777777777";

impl Template {
    fn new(text: &str) -> Self {
        assert_eq!((KEY_MARK.len(), SEQUENCE_MARK.len()), (KEY_DIGITS, SEQUENCE_DIGITS - 1));
        let places = |mark: &str| text.match_indices(mark).map(|(place, _)| place).collect();
        Self {
            bytes: text.as_bytes().to_vec(),
            keys: places(KEY_MARK),
            sequences: places(SEQUENCE_MARK),
            times: places(TIME_MARK),
        }
    }

    fn push(&self, number: u64, sequence: u64, seconds: u64, page: &mut Vec<u8>) {
        let start = page.len();
        page.extend_from_slice(&self.bytes);
        let element = page.get_mut(start..).unwrap_or_default();
        for (places, width, value) in [
            (&self.keys, KEY_MARK.len(), number),
            (&self.sequences, SEQUENCE_MARK.len(), sequence),
            (&self.times, TIME_MARK.len(), seconds),
        ] {
            for &place in places {
                digits(value, element.get_mut(place..place + width).unwrap_or_default());
            }
        }
    }
}

/// Writes a number with leading zeros over a place.
fn digits(mut value: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// About 1 KB by the service's rules, in 13 attributes of the usual types.
fn item() -> String {
    let note = "Leave with the neighbour if nobody answers the bell. ".repeat(9);
    let lines = r#"{"M":{"price":{"N":"129.90"},"quantity":{"N":"2"},"sku":{"S":"SKU-004711"}}}"#;
    format!(
        concat!(
            r#"{{"id":{{"S":"order-{key}"}},"customer":{{"S":"CUST-0815"}},"email":{{"S":"somebody@example.com"}},"#,
            r#""status":{{"S":"shipped"}},"updated_at":{{"N":"1700000000"}},"total":{{"N":"389.70"}},"#,
            r#""paid":{{"BOOL":true}},"coupon":{{"NULL":true}},"tags":{{"SS":["fragile","gift","priority"]}},"#,
            r#""lines":{{"L":[{lines},{lines},{lines}]}},"address":{{"M":{{"city":{{"S":"Dresden"}},"#,
            r#""street":{{"S":"Hauptstrasse 12"}},"zip":{{"S":"01067"}}}}}},"note":{{"S":"{note}"}},"#,
            r#""signature":{{"B":"{signature}"}}}}"#
        ),
        key = KEY_MARK,
        lines = lines,
        note = note,
        signature = "q83vEjRWeJCrze8SNFZ4kA==".replace('=', "A").repeat(12),
    )
}

fn record(old_image: bool) -> String {
    let (old, view) = if old_image {
        (format!(r#""OldImage":{},"#, item()), "NEW_AND_OLD_IMAGES")
    } else {
        (String::new(), "NEW_IMAGE")
    };
    format!(
        concat!(
            r#"{{"awsRegion":"us-east-1","dynamodb":{{"ApproximateCreationDateTime":{time},"#,
            r#""Keys":{{"id":{{"S":"order-{key}"}}}},"NewImage":{item},{old}"#,
            r#""SequenceNumber":"{base}{sequence}","SizeBytes":1024,"StreamViewType":"{view}"}},"#,
            r#""eventID":"{sequence}","eventName":"MODIFY","eventSource":"aws:dynamodb","eventVersion":"1.1"}}"#
        ),
        time = TIME_MARK,
        key = KEY_MARK,
        item = item(),
        old = old,
        view = view,
        base = SEQUENCE_BASE,
        sequence = SEQUENCE_MARK,
    )
}
