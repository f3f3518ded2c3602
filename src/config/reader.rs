//! Takes values out of the layers (file, environment, flags), the highest one that has a value winning.
//!
//! Every key is asked for here exactly once, whether or not it was given. So the keys that were asked for *are* the
//! schema, and what is left in a layer afterwards is unknown. A value is checked in every layer, also where a higher
//! one overrides it: a wrong file is wrong.

use crate::document::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::mistake::{Mistake, Origin, PREFIX};
use super::value::{Value, describe_whole};

/// A value and where it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    /// The value.
    pub(super) value: Value,
    /// Where it was given.
    pub(super) origin: Origin,
}

/// The values of one source.
#[derive(Debug)]
pub(super) struct Layer {
    /// The name this source has for a key.
    name_of: fn(&str) -> String,
    given: BTreeMap<String, Given>,
}

impl Layer {
    /// An empty one, in which keys have these names.
    pub(super) fn named_by(name_of: fn(&str) -> String) -> Self {
        Self { name_of, given: BTreeMap::new() }
    }

    /// Puts a value in; the one it replaces is returned.
    pub(super) fn give(&mut self, name: String, given: Given) -> Option<Given> {
        self.given.insert(name, given)
    }
}

/// Takes values out of layers and notes what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader {
    /// Lowest first.
    layers: Vec<Layer>,
    known: BTreeSet<&'static str>,
    origins: BTreeMap<&'static str, Origin>,
    wrong: BTreeSet<&'static str>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    /// From layers, lowest first.
    pub(super) fn new(layers: Vec<Layer>) -> Self {
        Self { layers, known: BTreeSet::new(), origins: BTreeMap::new(), wrong: BTreeSet::new(), mistakes: Vec::new() }
    }

    /// A whole number.
    pub(super) fn whole<T: TryFrom<u64>>(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<T> {
        self.take(key, &describe_whole(&range), |value| value.whole(&range))
    }

    /// Seconds, with or without a fraction.
    pub(super) fn seconds(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<Duration> {
        let expected = format!("seconds from {} to {}", range.start(), range.end());
        self.take(key, &expected, |value| value.seconds(&range))
    }

    /// Capacity units per second.
    pub(super) fn units_per_second(&mut self, key: &'static str) -> Option<f64> {
        self.take(key, "capacity units per second, a number above 0", |value| {
            value.number().filter(|number| *number > 0.0)
        })
    }

    /// Text that `understand` accepts; `expected` says in words which that is.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        understand: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.take(key, expected, |value| value.text().and_then(&understand))
    }

    /// Takes a key out of every layer; the value of the highest that has one.
    fn take<T>(&mut self, key: &'static str, expected: &str, understand: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.known.insert(key);
        let mut highest = None;
        for layer in &mut self.layers {
            let Some(Given { value, origin }) = layer.given.remove(&(layer.name_of)(key)) else { continue };
            self.origins.insert(key, origin.clone());
            highest = understand(&value);
            if highest.is_none() {
                self.wrong.insert(key);
                let what = format!("{value} is not allowed");
                self.mistakes.push(Mistake::about(origin, key, what, format!("give {expected}")));
            }
        }
        highest
    }

    /// Where the value of a key comes from, if it was given.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.get(key)
    }

    /// Whether a wrong value was given for a key.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        self.wrong.contains(key)
    }

    /// Notes that a value is wrong for a reason of its own.
    pub(super) fn refuse(&mut self, key: &'static str, what: String, remedy: &str) {
        self.wrong.insert(key);
        self.conflict(&[key], what, remedy);
    }

    /// Notes a mistake that values make together, at the first of these keys that was given.
    pub(super) fn conflict(&mut self, keys: &[&'static str], what: String, remedy: &str) {
        let found = keys.iter().find_map(|key| self.origin(key).map(|origin| (*key, origin.clone())));
        if let Some((key, origin)) = found {
            self.mistakes.push(Mistake::about(origin, key, what, remedy));
        }
    }

    /// What is left in the layers is unknown, and so is a section of the file (`sections`, with their places) to which
    /// no key belongs. All mistakes, and the keys that were given.
    pub(super) fn finish(mut self, sections: &BTreeMap<String, Origin>) -> Outcome {
        let names: BTreeSet<&str> = self.known.iter().map(|key| section_of(key)).collect();
        for (section, origin) in sections.iter().filter(|(section, _)| !names.contains(section.as_str())) {
            let has_keys = |layer: &Layer| layer.given.keys().any(|key| section_of(key) == section);
            // Its keys, if there are any, are reported one by one below.
            if !self.layers.iter().any(has_keys) {
                let remedy = nearest(section, names.iter().copied())
                    .map_or_else(|| "remove it".to_owned(), |near| format!("did you mean [{near}]?"));
                self.mistakes.push(Mistake::about(origin.clone(), section, "there is no such section", remedy));
            }
        }
        for layer in &self.layers {
            for (name, given) in &layer.given {
                self.mistakes.push(unknown(name, given, layer.name_of, &self.known));
            }
        }
        let given = self.origins.keys().copied().collect();
        Outcome { mistakes: self.mistakes, known: self.known, given }
    }
}

/// What reading came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What is wrong.
    pub(super) mistakes: Vec<Mistake>,
    /// Every key there is, as `section.key`.
    pub(super) known: BTreeSet<&'static str>,
    /// The keys that were given, rightly or wrongly.
    pub(super) given: BTreeSet<&'static str>,
}

/// The section of a `section.key`.
fn section_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

/// The mistake of giving a key that does not exist.
fn unknown(name: &str, given: &Given, name_of: fn(&str) -> String, known: &BTreeSet<&'static str>) -> Mistake {
    if known.iter().any(|key| section_of(key) == name) {
        let remedy = format!("write [{name}] on a line of its own and its keys below");
        return Mistake::about(given.origin.clone(), name, "is a section, not a key", remedy);
    }
    // One spelling for keys and variables. The prefix is left out: its letters would make far names look near.
    let spelling = |name: &str| name.trim_start_matches(PREFIX).replace('.', "_").to_lowercase();
    let by_spelling: BTreeMap<String, &'static str> = known.iter().map(|key| (spelling(key), *key)).collect();
    let near = nearest(&spelling(name), by_spelling.keys().map(String::as_str)).and_then(|near| by_spelling.get(near));
    let (section, last) = name.split_once('.').unwrap_or(("", name));
    let elsewhere = || known.iter().find(|key| key.split_once('.').is_some_and(|(_, key)| key == last));
    let siblings = || {
        let siblings = known.iter().filter_map(|key| key.split_once('.')).filter(|(of, _)| *of == section);
        siblings.map(|(_, key)| key).collect::<Vec<&str>>().join(", ")
    };
    let remedy = match near.or_else(elsewhere).map(|near| name_of(near)) {
        Some(near) => format!("did you mean {near}?"),
        None if known.iter().any(|key| section_of(key) == section) => {
            format!("remove it; [{section}] has {}", siblings())
        }
        None => "remove it; `shadowtable config example` shows every key".to_owned(),
    };
    match &given.origin {
        // The origin is the name already.
        Origin::Environment { .. } => Mistake::of(given.origin.clone(), "there is no such variable", remedy),
        origin => Mistake::about(origin.clone(), name, "there is no such key", remedy),
    }
}
