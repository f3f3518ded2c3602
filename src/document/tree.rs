//! What a text says, whichever language it is in, and where.

use std::fmt;

/// A place in a text, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins, if that is known.
    pub place: Option<Place>,
}

/// A name, where that stands, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Where the name stands.
    pub place: Option<Place>,
    /// What it stands for.
    pub node: Node,
}

/// What a document holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing at all.
    Nothing,
    /// `true` or `false` without quotes.
    Boolean(bool),
    /// A whole number without quotes.
    Whole(i128),
    /// A number that has a point or an exponent, as it is written where the language keeps that.
    Fraction(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Names and what they stand for, in the order of the language.
    Map(Vec<Entry>),
    /// Anything else, by its name.
    Other(&'static str),
}

impl Value {
    /// For messages: "expected …, found a list".
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Whole(_) | Self::Fraction(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "properties",
            Self::Other(name) => name,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A single value as it is; of a list or a map, that it is one.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "the string {text:?}"),
            Self::Whole(number) => write!(out, "{number}"),
            Self::Fraction(number) => out.write_str(number),
            Self::Map(_) => out.write_str("a table"),
            other => out.write_str(other.kind()),
        }
    }
}
