//! Typed reading of the tree: each reader reports what is wrong and gives back what can still be used.

use super::node::{Entry, Node, Value};
use super::{LayoutProblem, Place};
use crate::document::nearest;

/// Where one is in the document.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) path: String,
    pub(super) place: Option<Place>,
}

impl At {
    pub(super) fn property(&self, name: &str, place: Option<Place>) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, place: place.or(self.place) }
    }

    fn element(&self, index: usize, place: Option<Place>) -> Self {
        Self { path: format!("{}[{index}]", self.path), place: place.or(self.place) }
    }
}

/// A list's elements, each with its place.
pub(super) type Elements<'a> = Vec<(At, &'a Node)>;

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<LayoutProblem>);

impl Problems {
    pub(super) fn report(&mut self, at: &At, message: impl Into<String>) {
        self.0.push(LayoutProblem { path: at.path.clone(), place: at.place, message: message.into() });
    }

    /// The properties of an object whose known ones are `known`; `unsupported` says what else CloudFormation has, and
    /// what to do about it.
    pub(super) fn properties<'a>(
        &mut self,
        at: &At,
        node: &'a Node,
        known: &[&str],
        unsupported: &dyn Fn(&str) -> Option<String>,
    ) -> Properties<'a> {
        let Value::Map(entries) = &node.value else {
            self.report(at, format!("expected properties ({}), found {}", known.join(", "), node.value.kind()));
            return Properties { at: at.clone(), entries: &[] };
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
            let here = at.property(&entry.name, entry.place);
            match (unsupported(&entry.name), nearest(&entry.name, known.iter().copied())) {
                (Some(advice), _) => self.report(&here, advice),
                (None, Some(meant)) => self.report(&here, format!("unknown property; is {meant} meant?")),
                (None, None) => self.report(&here, format!("unknown property; known ones are {}", known.join(", "))),
            }
        }
        Properties { at: at.clone(), entries }
    }

    /// A list's elements; none when it is not a list.
    pub(super) fn list<'a>(&mut self, at: &At, node: &'a Node) -> Elements<'a> {
        match &node.value {
            Value::List(nodes) => nodes.iter().enumerate().map(|(i, node)| (at.element(i, node.place), node)).collect(),
            other => {
                self.report(at, format!("expected a list, found {}", other.kind()));
                Vec::new()
            }
        }
    }

    pub(super) fn text(&mut self, at: &At, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(_) | Value::OtherNumber | Value::Boolean => {
                self.report(at, format!("expected text, found {}; write it in quotes", node.value.kind()));
                None
            }
            other => {
                self.report(at, format!("expected text, found {}", other.kind()));
                None
            }
        }
    }

    /// One of a few words, exactly as CloudFormation writes them.
    pub(super) fn word<T: Copy>(&mut self, at: &At, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(at, node)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.report(at, format!("expected {}, found {text:?}", all.join(" or ")));
        }
        found
    }

    /// A whole number of at least 1, possibly written as text, as CloudFormation allows.
    pub(super) fn units(&mut self, at: &At, node: &Node) -> Option<i64> {
        let number = match &node.value {
            Value::Integer(number) => Some(*number),
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
pub(super) struct Properties<'a> {
    pub(super) at: At,
    entries: &'a [Entry],
}

impl<'a> Properties<'a> {
    /// A property that may be left out; `null` counts as left out.
    pub(super) fn optional(&self, name: &str) -> Option<(At, &'a Node)> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        (entry.node.value != Value::Nothing)
            .then(|| (self.at.property(name, entry.node.place.or(entry.place)), &entry.node))
    }

    /// A property that must be there.
    pub(super) fn required(&self, name: &str, problems: &mut Problems) -> Option<(At, &'a Node)> {
        let found = self.optional(name);
        if found.is_none() {
            problems.report(&self.at.property(name, None), "missing");
        }
        found
    }
}
