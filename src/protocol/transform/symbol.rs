//! What each attribute may hold after the rules, worked out without any item.
//!
//! An attribute's state is the set of things that it may hold. The set may be too large (conditions are taken as
//! independent of each other), never too small: what is concluded from a set of one holds for every item.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::Action;
use super::template::{Part, Template};
use crate::model::{KeySchema, KeyType};

/// More possibilities than this for one attribute are not followed up; the judgement is then the cautious one.
const MOST_POSSIBILITIES: usize = 16;

/// Longer rendered texts are not followed up, so that rules which double a text cannot make compiling slow.
const MOST_PIECES: usize = 64;

/// One thing that an attribute may hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Symbol {
    /// The source item's attribute of this name, or nothing where the source item lacks it.
    Source(String),
    /// A string made of these; it is certainly there.
    Rendered(Vec<Piece>),
    /// Nothing.
    Absent,
    /// Anything, or nothing: not followed up.
    Unknown,
}

/// A piece of a rendered string. Neighbouring texts are one piece.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// Text as it is.
    Text(String),
    /// The source item's attribute of this name, rendered.
    Source(String),
}

/// What an attribute may hold; never empty.
pub(super) type Possible = BTreeSet<Symbol>;

/// What all attributes may hold. Those that no rule has touched hold what the source item does.
#[derive(Clone, Debug)]
pub(super) struct State<'a> {
    source: &'a KeySchema,
    assumed_absent: &'a BTreeSet<String>,
    touched: BTreeMap<String, Possible>,
}

impl<'a> State<'a> {
    /// The state before the first rule, for source items that have none of `assumed_absent`.
    pub(super) fn before_rules(source: &'a KeySchema, assumed_absent: &'a BTreeSet<String>) -> Self {
        Self { source, assumed_absent, touched: BTreeMap::new() }
    }

    /// What `name` may hold.
    pub(super) fn of(&self, name: &str) -> Possible {
        self.touched.get(name).cloned().unwrap_or_else(|| {
            let untouched =
                if self.assumed_absent.contains(name) { Symbol::Absent } else { Symbol::Source(name.to_owned()) };
            BTreeSet::from([untouched])
        })
    }

    /// Takes one rule into account. `template` is the parsed one of a `Set`, or `None` when it could not be parsed.
    pub(super) fn take(&mut self, action: &Action, template: Option<&Template>, conditional: bool) {
        match action {
            Action::Set { attribute, .. } => match template {
                Some(template) => {
                    let (rendered, may_do_nothing) = self.rendered(template);
                    self.assign(attribute, rendered, may_do_nothing || conditional);
                }
                None => self.assign(attribute, BTreeSet::from([Symbol::Unknown]), true),
            },
            Action::Rename { from, to } => {
                self.copy(from, to, conditional);
                self.assign(from, BTreeSet::from([Symbol::Absent]), conditional);
            }
            Action::Remove { attribute } => self.assign(attribute, BTreeSet::from([Symbol::Absent]), conditional),
            Action::Copy { from, to } => self.copy(from, to, conditional),
            Action::Drop => {}
        }
    }

    fn copy(&mut self, from: &str, to: &str, conditional: bool) {
        let mut values = self.of(from);
        let empty_handed = values.remove(&Symbol::Absent);
        if values.is_empty() {
            return;
        }
        let target_is_absent = self.of(to) == BTreeSet::from([Symbol::Absent]);
        // A source attribute that is not there leaves the target as it was. Where the target holds nothing, that is
        // the same as holding the missing attribute, so the target still holds exactly the attribute.
        let optional = values.iter().any(|symbol| !self.certainly_there(symbol));
        self.assign(to, values, conditional || empty_handed || (optional && !target_is_absent));
    }

    /// What a template may make, and whether it may make nothing.
    fn rendered(&self, template: &Template) -> (Possible, bool) {
        let mut texts: Vec<Vec<Piece>> = vec![Vec::new()];
        let mut may_do_nothing = false;
        for part in template.parts() {
            let name = match part {
                Part::Text(text) => {
                    for pieces in &mut texts {
                        push(pieces, &Piece::Text(text.clone()));
                    }
                    continue;
                }
                Part::Attribute(name) => name,
            };
            let mut longer = Vec::new();
            for symbol in self.of(name) {
                may_do_nothing |= !self.certainly_there(&symbol);
                let more = match symbol {
                    Symbol::Source(name) => vec![Piece::Source(name)],
                    Symbol::Rendered(pieces) => pieces,
                    Symbol::Absent => continue,
                    Symbol::Unknown => return (BTreeSet::from([Symbol::Unknown]), true),
                };
                longer.extend(texts.iter().map(|pieces| {
                    let mut pieces = pieces.clone();
                    for piece in &more {
                        push(&mut pieces, piece);
                    }
                    pieces
                }));
            }
            texts = longer;
            if texts.len() > MOST_POSSIBILITIES || texts.iter().any(|pieces| pieces.len() > MOST_PIECES) {
                return (BTreeSet::from([Symbol::Unknown]), true);
            }
        }
        (texts.into_iter().map(Symbol::Rendered).collect(), may_do_nothing)
    }

    fn certainly_there(&self, symbol: &Symbol) -> bool {
        match symbol {
            Symbol::Source(name) => key_type(self.source, name).is_some(),
            Symbol::Rendered(_) => true,
            Symbol::Absent | Symbol::Unknown => false,
        }
    }

    fn assign(&mut self, name: &str, mut values: Possible, or_as_before: bool) {
        if or_as_before {
            values.extend(self.of(name));
        }
        if values.is_empty() {
            return;
        }
        if values.len() > MOST_POSSIBILITIES || values.contains(&Symbol::Unknown) {
            values = BTreeSet::from([Symbol::Unknown]);
        }
        self.touched.insert(name.to_owned(), values);
    }
}

fn push(pieces: &mut Vec<Piece>, piece: &Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(more),
        _ => pieces.push(piece.clone()),
    }
}

/// The one thing that the attribute holds whenever it is there; `None` when it may hold different things.
pub(super) fn only(possible: &Possible) -> Option<&Symbol> {
    let mut there = possible.iter().filter(|symbol| **symbol != Symbol::Absent);
    match (there.next(), there.next()) {
        (Some(Symbol::Unknown), _) | (_, Some(_)) => None,
        (one, None) => one,
    }
}

/// The type of a key attribute; `None` when `name` is not one.
pub(super) fn key_type(schema: &KeySchema, name: &str) -> Option<KeyType> {
    schema.attributes().find(|attribute| attribute.name == name).map(|attribute| attribute.kind)
}
