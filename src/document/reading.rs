//! Typed reading of a tree: each reader notes what is wrong and gives back what can still be used.

use std::fmt;

use super::{Entry, Node, Place, Value, nearest};

/// Where one is in the document.
#[derive(Clone, Debug)]
pub struct At {
    /// The names that lead there, such as `GlobalSecondaryIndexes[0].Projection`; empty for the document as a whole.
    pub path: String,
    /// Its place in the text, or that of what holds it.
    pub place: Option<Place>,
}

/// Something wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// See [`At::path`].
    pub path: String,
    /// Where it stands in the text, if it does.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What to do, where `what` does not say it.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(out, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.what)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(out, "; {remedy}"))
    }
}

impl At {
    /// A property of it.
    #[must_use]
    pub fn property(&self, name: &str, place: Option<Place>) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, place: place.or(self.place) }
    }

    fn element(&self, index: usize, place: Option<Place>) -> Self {
        Self { path: format!("{}[{index}]", self.path), place: place.or(self.place) }
    }
}

/// A list's elements, each with its place.
pub type Elements<'a> = Vec<(At, &'a Node)>;

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Notes what is wrong, in words that say what to do.
    pub fn report(&mut self, at: &At, what: impl Into<String>) {
        self.0.push(Problem { path: at.path.clone(), place: at.place, what: what.into(), remedy: None });
    }

    /// Notes what is wrong, and what to do.
    pub fn refuse(&mut self, at: &At, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem { path: at.path.clone(), place: at.place, what: what.into(), remedy: Some(remedy.into()) });
    }

    /// The properties of an object whose known ones are `known`; `elsewhere` says what to do about others that are known to be
    /// no slip.
    pub fn properties<'a>(
        &mut self,
        at: &At,
        node: &'a Node,
        known: &[&str],
        elsewhere: &dyn Fn(&str) -> Option<String>,
    ) -> Properties<'a> {
        let Value::Map(entries) = &node.value else {
            self.report(at, format!("expected properties ({}), found {}", known.join(", "), node.value.kind()));
            return Properties { at: at.clone(), entries: &[] };
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
            let here = at.property(&entry.name, entry.place);
            match (elsewhere(&entry.name), nearest(&entry.name, known.iter().copied())) {
                (Some(advice), _) => self.report(&here, advice),
                (None, Some(meant)) => self.refuse(&here, "there is no such key", format!("did you mean {meant}?")),
                (None, None) => {
                    let remedy = format!("remove it; there are {}", known.join(", "));
                    self.refuse(&here, "there is no such key", remedy);
                }
            }
        }
        Properties { at: at.clone(), entries }
    }

    /// A list's elements; none when it is not a list.
    pub fn list<'a>(&mut self, at: &At, node: &'a Node) -> Elements<'a> {
        match &node.value {
            Value::List(nodes) => nodes.iter().enumerate().map(|(i, node)| (at.element(i, node.place), node)).collect(),
            other => {
                self.report(at, format!("expected a list, found {}", other.kind()));
                Vec::new()
            }
        }
    }

    /// Text.
    pub fn text(&mut self, at: &At, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Whole(_) | Value::Fraction(_) | Value::Boolean(_) => {
                self.report(at, format!("expected text, found {}; write it in quotes", node.value.kind()));
                None
            }
            other => {
                self.report(at, format!("expected text, found {}", other.kind()));
                None
            }
        }
    }

    /// One of a few words, exactly.
    pub fn word<T: Copy>(&mut self, at: &At, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(at, node)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.report(at, format!("expected {}, found {text:?}", all.join(" or ")));
        }
        found
    }

    /// A whole number of at least 1, possibly written as text.
    pub fn units(&mut self, at: &At, node: &Node) -> Option<i64> {
        let number = match &node.value {
            Value::Whole(number) => i64::try_from(*number).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let units = number.filter(|units| *units >= 1);
        if units.is_none() {
            self.report(at, "expected a whole number of capacity units per second, at least 1");
        }
        units
    }
}

/// The entries of an object.
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    /// Where it is.
    pub at: At,
    entries: &'a [Entry],
}

impl<'a> Properties<'a> {
    /// An entry as it is written.
    pub fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// A property that may be left out; `null` counts as left out.
    pub fn optional(&self, name: &str) -> Option<(At, &'a Node)> {
        let entry = self.entry(name)?;
        (entry.node.value != Value::Nothing)
            .then(|| (self.at.property(name, entry.node.place.or(entry.place)), &entry.node))
    }

    /// A property that must be there.
    pub fn required(&self, name: &str, problems: &mut Problems) -> Option<(At, &'a Node)> {
        let found = self.optional(name);
        if found.is_none() {
            problems.report(&self.at.property(name, None), "missing");
        }
        found
    }
}
