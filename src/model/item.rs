//! An item, opaque to the rest of the program.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::{AttributeValue, Decimal, Key, KeyError, KeySchema};

/// A table item. It is asked for its key, an attribute, its size or equality; how it is held is nobody else's business.
#[derive(Clone, PartialEq)]
pub struct Item {
    attributes: HashMap<String, AttributeValue>,
}

/// An attribute has a type that this program does not know. It must not be copied, since it would be lost on the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute {attribute:?} has a type that this version does not know")]
pub struct UnknownType {
    /// The top-level attribute.
    pub attribute: String,
}

/// What one attribute costs in memory beyond its data: its share of the table, the name and the value headers.
const ATTRIBUTE_OVERHEAD_BYTES: usize = 120;

impl Item {
    /// Takes the attributes as they came; see [`Item::measure`] for the check that comes with it.
    pub fn new(attributes: HashMap<String, AttributeValue>) -> Self {
        Self { attributes }
    }

    /// The item's primary key under `schema`.
    pub fn key(&self, schema: &KeySchema) -> Result<Key, KeyError> {
        schema.key_of(&self.attributes)
    }

    /// One top-level attribute.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.get(name)
    }

    /// Sets a top-level attribute.
    pub fn set(&mut self, name: &str, value: AttributeValue) {
        self.attributes.insert(name.to_owned(), value);
    }

    /// Removes a top-level attribute and returns it.
    pub fn remove(&mut self, name: &str) -> Option<AttributeValue> {
        self.attributes.remove(name)
    }

    /// The names of the top-level attributes, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(String::as_str)
    }

    /// The attributes, by reference, for the layer that talks to the service.
    pub fn attributes(&self) -> &HashMap<String, AttributeValue> {
        &self.attributes
    }

    /// The attributes, given away.
    pub fn into_attributes(self) -> HashMap<String, AttributeValue> {
        self.attributes
    }

    /// The item's size by the service's rules and in this process, in one walk. Fails on a type that it does not know.
    pub fn measure(&self) -> Result<Measure, UnknownType> {
        let mut total = Measure { stored_bytes: 0, memory_bytes: 0 };
        for (name, value) in &self.attributes {
            let measure = measure(value).ok_or_else(|| UnknownType { attribute: name.clone() })?;
            total.stored_bytes += name.len() + measure.stored_bytes;
            total.memory_bytes += name.len() + measure.memory_bytes + ATTRIBUTE_OVERHEAD_BYTES;
        }
        Ok(total)
    }

    /// Equality as the service sees it: numbers by value, sets without order.
    pub fn same_as(&self, other: &Self) -> bool {
        same_map(&self.attributes, &other.attributes)
    }
}

/// Item values are customers' data: only the number of attributes is shown.
impl fmt::Debug for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Item({} attributes)", self.attributes.len())
    }
}

/// How large an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Bytes by the service's rules: names and values, one byte an element of a list or map and three for itself.
    /// An estimate within a few per cent for numbers; it drives budgets, never a decision about correctness.
    pub stored_bytes: usize,
    /// Bytes held in this process, estimated.
    pub memory_bytes: usize,
}

/// `None` for a type that is not known.
fn measure(value: &AttributeValue) -> Option<Measure> {
    const NESTED_OVERHEAD_BYTES: usize = 56;
    let flat = |stored_bytes: usize, held: usize| Some(Measure { stored_bytes, memory_bytes: held });
    let list = |sizes: &mut dyn Iterator<Item = usize>| {
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
        flat(bytes, bytes + count * NESTED_OVERHEAD_BYTES)
    };
    match value {
        AttributeValue::S(text) => flat(text.len(), text.len()),
        AttributeValue::N(text) => flat(number_bytes(text), text.len()),
        AttributeValue::B(blob) => flat(blob.as_ref().len(), blob.as_ref().len()),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => flat(1, 0),
        AttributeValue::Ss(texts) => list(&mut texts.iter().map(String::len)),
        AttributeValue::Ns(texts) => list(&mut texts.iter().map(|text| number_bytes(text))),
        AttributeValue::Bs(blobs) => list(&mut blobs.iter().map(|blob| blob.as_ref().len())),
        AttributeValue::L(values) => {
            values.iter().try_fold(Measure { stored_bytes: 3, memory_bytes: 0 }, |total, value| {
                let one = measure(value)?;
                Some(Measure {
                    stored_bytes: total.stored_bytes + 1 + one.stored_bytes,
                    memory_bytes: total.memory_bytes + NESTED_OVERHEAD_BYTES + one.memory_bytes,
                })
            })
        }
        AttributeValue::M(values) => {
            values.iter().try_fold(Measure { stored_bytes: 3, memory_bytes: 0 }, |total, (name, value)| {
                let one = measure(value)?;
                Some(Measure {
                    stored_bytes: total.stored_bytes + 1 + name.len() + one.stored_bytes,
                    memory_bytes: total.memory_bytes + name.len() + ATTRIBUTE_OVERHEAD_BYTES + one.memory_bytes,
                })
            })
        }
        _ => None,
    }
}

/// About one byte per two digits and one more; close enough without reading the number.
fn number_bytes(text: &str) -> usize {
    text.len().div_ceil(2) + 1
}

fn same_map(left: &HashMap<String, AttributeValue>, right: &HashMap<String, AttributeValue>) -> bool {
    left.len() == right.len()
        && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
}

fn same(left: &AttributeValue, right: &AttributeValue) -> bool {
    match (left, right) {
        (AttributeValue::N(left), AttributeValue::N(right)) => left == right || same_number(left, right),
        (AttributeValue::Ss(left), AttributeValue::Ss(right)) => same_set(left, right, String::as_str),
        (AttributeValue::Bs(left), AttributeValue::Bs(right)) => same_set(left, right, AsRef::<[u8]>::as_ref),
        (AttributeValue::Ns(left), AttributeValue::Ns(right)) => {
            let canonical = |numbers: &[String]| {
                let mut all: Vec<_> = numbers
                    .iter()
                    .map(|text| Decimal::parse(text).map_or_else(|| text.clone(), |n| n.to_string()))
                    .collect();
                all.sort_unstable();
                all
            };
            canonical(left) == canonical(right)
        }
        (AttributeValue::L(left), AttributeValue::L(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (AttributeValue::M(left), AttributeValue::M(right)) => same_map(left, right),
        _ => left == right,
    }
}

fn same_number(left: &str, right: &str) -> bool {
    matches!((Decimal::parse(left), Decimal::parse(right)), (Some(left), Some(right)) if left == right)
}

fn same_set<'a, T, K: std::hash::Hash + Eq + ?Sized + 'a>(
    left: &'a [T],
    right: &'a [T],
    key: impl Fn(&'a T) -> &'a K,
) -> bool {
    left.len() == right.len()
        && left.iter().map(&key).collect::<HashSet<_>>() == right.iter().map(&key).collect::<HashSet<_>>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Blob;

    fn item(values: &[(&str, AttributeValue)]) -> Item {
        Item::new(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(text.into())
    }

    #[test]
    fn numbers_are_equal_by_value_at_any_depth() {
        let nested =
            |text| item(&[("m", AttributeValue::M([("l".to_owned(), AttributeValue::L(vec![number(text)]))].into()))]);
        assert!(nested("1.50").same_as(&nested("15E-1")));
        assert!(!nested("1.5").same_as(&nested("1.51")));
    }

    #[test]
    fn sets_have_no_order() {
        let numbers = |all: &[&str]| item(&[("s", AttributeValue::Ns(all.iter().map(|&n| n.to_owned()).collect()))]);
        assert!(numbers(&["1", "2.0"]).same_as(&numbers(&["2", "1"])));
        assert!(!numbers(&["1", "2"]).same_as(&numbers(&["1", "3"])));
        let blobs = |all: &[&[u8]]| item(&[("s", AttributeValue::Bs(all.iter().map(|&b| Blob::new(b)).collect()))]);
        assert!(blobs(&[b"a", b"b"]).same_as(&blobs(&[b"b", b"a"])));
        let list = |all: &[&str]| item(&[("l", AttributeValue::L(all.iter().map(|&n| number(n)).collect()))]);
        assert!(!list(&["1", "2"]).same_as(&list(&["2", "1"])), "lists do");
    }

    #[test]
    fn a_missing_or_extra_attribute_is_a_difference() {
        assert!(!item(&[("a", number("1"))]).same_as(&item(&[("a", number("1")), ("b", number("1"))])));
        assert!(!item(&[("a", number("1"))]).same_as(&item(&[("b", number("1"))])));
    }

    #[test]
    fn size_follows_the_documented_rules() {
        let one = item(&[("ab", AttributeValue::S("xyz".into())), ("c", AttributeValue::Null(true))]);
        assert_eq!(one.measure().unwrap().stored_bytes, 2 + 3 + 1 + 1);
        let nested = item(&[("m", AttributeValue::M([("k".to_owned(), AttributeValue::S("v".into()))].into()))]);
        assert_eq!(nested.measure().unwrap().stored_bytes, 1 + 3 + 1 + 1 + 1);
    }
}
