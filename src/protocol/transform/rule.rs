//! The declared rules, as an operator wrote them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One rule. Rules are applied in their order, each to the result of those before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What is done.
    pub action: Action,
    /// Only to items for which this holds, judged on the source item; always when absent.
    pub when: Option<Condition>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Sets an attribute to a string made from others, such as `STATUS#{status}`. Where a named attribute is missing,
    /// the attribute is not set, so that sparse index keys can be built.
    Set {
        /// The attribute to set.
        attribute: String,
        /// The template: text with `{attribute}` places; `{{` and `}}` stand for the braces themselves.
        template: String,
    },
    /// Renames an attribute. One that already has the new name is replaced.
    Rename {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Removes an attribute.
    Remove {
        /// The attribute.
        attribute: String,
    },
    /// Copies an attribute, whatever its type.
    Copy {
        /// The attribute to copy.
        from: String,
        /// The copy's name.
        to: String,
    },
    /// The item does not belong in the shadow: a change into this state is a deletion there.
    Drop,
}

/// When a rule applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// The attribute is there.
    Exists {
        /// The attribute.
        attribute: String,
    },
    /// The attribute is not there.
    Missing {
        /// The attribute.
        attribute: String,
    },
    /// The attribute has the type of one of these, and its value.
    OneOf {
        /// The attribute.
        attribute: String,
        /// The values, at least one.
        values: Vec<Scalar>,
    },
}

/// What an attribute is compared with. The type counts: the number 1 is not the string "1".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scalar {
    /// This string.
    Text(String),
    /// Any number of this value, as it was written.
    Number(String),
    /// This boolean.
    Boolean(bool),
}

/// As it is written in messages: `set GSI1PK = "STATUS#{status}" where status exists`.
impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Set { attribute, template } => write!(out, "set {attribute} = {template:?}")?,
            Action::Rename { from, to } => write!(out, "rename {from} to {to}")?,
            Action::Remove { attribute } => write!(out, "remove {attribute}")?,
            Action::Copy { from, to } => write!(out, "copy {from} to {to}")?,
            Action::Drop => out.write_str("drop")?,
        }
        match &self.when {
            None => Ok(()),
            Some(Condition::Exists { attribute }) => write!(out, " where {attribute} exists"),
            Some(Condition::Missing { attribute }) => write!(out, " where {attribute} is missing"),
            Some(Condition::OneOf { attribute, values }) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(out, " where {attribute} is {}", values.join(" or "))
            }
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "{text:?}"),
            Self::Number(number) => out.write_str(number),
            Self::Boolean(value) => write!(out, "{value}"),
        }
    }
}
