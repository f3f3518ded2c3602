//! Items as real tables hold them, from a seed.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use fastrand::Rng;

use super::layout::{Keys, Kind};
use super::table::Item;

pub const STATUSES: [&str; 4] = ["open", "paid", "shipped", "lost"];

pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub fn n(number: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(format!("{number}"))
}

pub fn b(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// An item from pairs.
pub fn item<const COUNT: usize>(attributes: [(&str, AttributeValue); COUNT]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The string in an attribute; fails the test when there is none.
pub fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).unwrap_or_else(|| panic!("no string {name} in {item:?}"))
}

/// `count` orders under the keys numbered from 0.
pub fn orders(keys: Keys, count: usize, seed: u64) -> Vec<Item> {
    let mut rng = Rng::with_seed(seed);
    (0..count).map(|number| order(keys, number, &mut rng)).collect()
}

/// An order under the key of this number, with every type of value in it: about a kilobyte.
pub fn order(keys: Keys, number: usize, rng: &mut Rng) -> Item {
    let mut item = key(keys, number);
    item.extend(self::item([
        ("customer", s(format!("CUST-{:04}", rng.u32(..200)))),
        ("email", s(format!("user{}@example.com", rng.u32(..10_000)))),
        ("status", s(STATUSES[rng.usize(..STATUSES.len())])),
        ("updated_at", n(1_700_000_000 + rng.u64(..100_000_000))),
        ("total", n(format!("{}.{:02}", rng.u32(..100_000), rng.u32(..100)))),
        ("precise", n(digits38(rng))),
        ("paid", AttributeValue::Bool(rng.bool())),
        ("coupon", AttributeValue::Null(true)),
        ("note", s(if rng.bool() { String::new() } else { words(rng, 12) })),
        ("signature", b(if rng.bool() { Vec::new() } else { bytes(rng, 48) })),
        ("tags", AttributeValue::Ss((0..3).map(|part| format!("{part}-{}", rng.u16(..))).collect())),
        ("codes", AttributeValue::Ns((0..3).map(|part| format!("{}.5", part * 1000 + rng.u32(..1000))).collect())),
        ("seals", AttributeValue::Bs((0..2).map(|part| Blob::new([vec![part], bytes(rng, 6)].concat())).collect())),
        ("lines", AttributeValue::L((0..rng.usize(1..4)).map(|_| line(rng)).collect())),
        ("address", address(rng)),
    ]));
    item
}

/// The key of this number: numbers apart give keys apart, and with a sort key five of them share a partition.
pub fn key(keys: Keys, number: usize) -> Item {
    let places = if keys.len() == 2 { vec![number / 5, number % 5] } else { vec![number] };
    keys.iter().zip(places).map(|(&(name, kind), place)| (name.to_owned(), key_value(kind, place))).collect()
}

fn key_value(kind: Kind, number: usize) -> AttributeValue {
    match kind {
        Kind::S => s(format!("käy-{number:05}")),
        Kind::B => b([&[0, 255], number.to_be_bytes().as_slice()].concat()),
        // Unlike each other in value, whatever the form.
        Kind::N => n(match number % 4 {
            0 => format!("{number}"),
            1 => format!("-{number}.50"),
            2 => format!("{number}.000000000000000000000000000001"),
            _ => format!("{number}E+40"),
        }),
    }
}

/// The smallest item: its key.
pub fn smallest(keys: Keys, number: usize) -> Item {
    key(keys, number)
}

/// An item of about `kibibytes`, of which the service allows 400.
pub fn large(keys: Keys, number: usize, kibibytes: usize, rng: &mut Rng) -> Item {
    let mut item = order(keys, number, rng);
    let bulk = kibibytes * 1024 - 3 * 1024;
    item.insert("bulk".to_owned(), s("x".repeat(bulk / 2)));
    item.insert("binary".to_owned(), b(bytes(rng, bulk - bulk / 2)));
    item
}

/// Values at the edges of what the service takes.
pub fn odd(keys: Keys, number: usize) -> Item {
    let mut item = key(keys, number);
    let inner = self::item([
        (
            "numbers",
            AttributeValue::Ns(["1E-130", "-0.1", "12345678901234567890123456789012345678"].map(str::to_owned).into()),
        ),
        ("binaries", AttributeValue::Bs(vec![Blob::new([0]), Blob::new(vec![255; 300])])),
        ("texts", AttributeValue::Ss(["ß", "a b", "\"quoted\\\""].map(str::to_owned).into())),
    ]);
    item.extend(self::item([
        ("status", s("open")),
        ("updated_at", n("1")),
        ("largest", n("9.9999999999999999999999999999999999999E+125")),
        ("smallest", n("1E-130")),
        ("digits", n("-0.12345678901234567890123456789012345678")),
        ("zero", n("-0.00")),
        ("empty_text", s("")),
        ("empty_binary", b([])),
        ("empty_list", AttributeValue::L(Vec::new())),
        ("empty_map", AttributeValue::M(HashMap::new())),
        ("unicode 🦀 \n\t\u{1}", s("🦀 \u{0} \u{7f} \u{2028} \"\\")),
        ("deep", nest(AttributeValue::M(inner), 20)),
    ]));
    item
}

fn nest(value: AttributeValue, levels: u32) -> AttributeValue {
    (0..levels).fold(value, |value, level| {
        if level % 2 == 0 {
            AttributeValue::L(vec![AttributeValue::Bool(true), value, AttributeValue::Null(true)])
        } else {
            AttributeValue::M(item([("inside", value), ("level", n(level))]))
        }
    })
}

fn line(rng: &mut Rng) -> AttributeValue {
    AttributeValue::M(item([
        ("sku", s(format!("SKU-{:06}", rng.u32(..1_000_000)))),
        ("quantity", n(rng.u8(1..20))),
        ("price", n(format!("{}E-2", rng.u32(..100_000)))),
        ("sizes", AttributeValue::Ns(vec!["1".into(), format!("{}", rng.u32(2..50))])),
    ]))
}

fn address(rng: &mut Rng) -> AttributeValue {
    let place = AttributeValue::L(vec![n(format!("-{}.{}", rng.u8(..90), rng.u32(1..))), n(rng.i32(..))]);
    AttributeValue::M(item([("street", s(words(rng, 3))), ("zip", s("01067")), ("geo", place)]))
}

/// A number with all the 38 digits that the service keeps.
fn digits38(rng: &mut Rng) -> String {
    let digits: String = (0..37).map(|_| rng.digit(10)).collect();
    format!("{}{}.{}9", rng.u8(1..=9), &digits[..10], &digits[10..36])
}

fn words(rng: &mut Rng, count: usize) -> String {
    const WORDS: [&str; 8] = ["ship", "before", "Ömer's", "door", "fragile", "左", "blue", "…"];
    (0..count).map(|_| WORDS[rng.usize(..WORDS.len())]).collect::<Vec<_>>().join(" ")
}

fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.u8(..)).collect()
}
