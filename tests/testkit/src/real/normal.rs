//! Values in one form each, so that equal means equal to the service: numbers by value, sets and maps without order.
//!
//! Written a second time on purpose: the program's own notion of equality is what is being tested.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::layout::Keys;
use super::table::Item;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Normal {
    S(String),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    L(Vec<Self>),
    M(Image),
    Ss(BTreeSet<String>),
    Ns(BTreeSet<Number>),
    Bs(BTreeSet<Vec<u8>>),
}

/// An item, or a part of it such as its key.
pub type Image = BTreeMap<String, Normal>;

/// `0.digits × 10^exponent`, where the digits neither begin nor end with a zero; zero has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    negative: bool,
    exponent: i32,
    digits: String,
}

impl Number {
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or_else(|_| bad_number(text))),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return bad_number(text);
        }
        let from_first = all.trim_start_matches('0');
        let digits = from_first.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Self { negative: false, exponent: 0, digits };
        }
        let count = |text: &str| i32::try_from(text.len()).unwrap();
        let exponent = exponent + count(from_first) - count(fraction);
        Self { negative: mantissa.starts_with('-'), exponent, digits }
    }
}

fn bad_number<T>(text: &str) -> T {
    panic!("an endpoint gave {text:?} as a number")
}

impl From<&AttributeValue> for Normal {
    fn from(value: &AttributeValue) -> Self {
        match value {
            AttributeValue::S(text) => Self::S(text.clone()),
            AttributeValue::N(text) => Self::N(Number::parse(text)),
            AttributeValue::B(blob) => Self::B(blob.as_ref().to_vec()),
            AttributeValue::Bool(truth) => Self::Bool(*truth),
            AttributeValue::Null(_) => Self::Null,
            AttributeValue::L(values) => Self::L(values.iter().map(Self::from).collect()),
            AttributeValue::M(values) => Self::M(values.iter().map(|(name, v)| (name.clone(), v.into())).collect()),
            AttributeValue::Ss(texts) => Self::Ss(texts.iter().cloned().collect()),
            AttributeValue::Ns(texts) => Self::Ns(texts.iter().map(|text| Number::parse(text)).collect()),
            AttributeValue::Bs(blobs) => Self::Bs(blobs.iter().map(|blob| blob.as_ref().to_vec()).collect()),
            other => panic!("an endpoint gave a value of a type that the tests do not know: {other:?}"),
        }
    }
}

pub fn image(item: &Item) -> Image {
    item.iter().map(|(name, value)| (name.clone(), value.into())).collect()
}

/// The part of an image that is its key; fails the test when it has none.
pub fn key(image: &Image, keys: Keys) -> Image {
    let part = |&(name, _): &(&str, _)| {
        let value = image.get(name).unwrap_or_else(|| panic!("no key attribute {name} in {image:?}"));
        (name.to_owned(), value.clone())
    };
    keys.iter().map(part).collect()
}

impl fmt::Debug for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(out, "{sign}0.{}E{}", self.digits, self.exponent)
    }
}

/// Short enough for a report of many keys.
impl fmt::Debug for Normal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        match self {
            Self::S(text) if text.chars().count() > SHOWN => {
                write!(out, "{:?}… ({} bytes)", text.chars().take(SHOWN).collect::<String>(), text.len())
            }
            Self::S(text) => write!(out, "{text:?}"),
            Self::N(number) => write!(out, "{number:?}"),
            Self::B(bytes) if bytes.len() > SHOWN => write!(out, "{} bytes", bytes.len()),
            Self::B(bytes) => write!(out, "b\"{}\"", bytes.escape_ascii()),
            Self::Bool(truth) => write!(out, "{truth}"),
            Self::Null => out.write_str("null"),
            Self::L(values) => write!(out, "{values:?}"),
            Self::M(values) => write!(out, "{values:?}"),
            Self::Ss(texts) => write!(out, "set{texts:?}"),
            Self::Ns(numbers) => write!(out, "set{numbers:?}"),
            Self::Bs(blobs) => write!(out, "set of {} binaries", blobs.len()),
        }
    }
}
