//! How a source item becomes a shadow item, or nothing.
//!
//! An operator declares [`Rule`]s. [`Transform::compile`] checks them against both key schemas, follows symbolically
//! what every attribute may hold after them (`symbol`), and judges what that means (`judge`): whether keys are
//! preserved, whether two source items can claim one shadow key, whether deletions need old images, whether the way
//! back exists. Each judgement is cautious: where it cannot be shown, the safer protocol is used.
//!
//! | file | does |
//! |---|---|
//! | `rule` | what an operator declares |
//! | `compile` | checks rules against the keys, and makes steps of them |
//! | `symbol` | what an attribute may hold after them |
//! | `judge` | what that means for keys, deletions and the way back |
//! | `template` | the pattern of `set` |
//! | this | applies the steps to an item |
//!
//! A new action is in all of these but `template`, and in `config::transform`, which reads it. Rules are stored: one that an older binary
//! cannot read raises the form of `Meta`.
//!
//! What must hold:
//!
//! - [`Transform::apply`] is a function of the item alone: the same item always makes the same result.
//! - Conditions are judged on the source item; actions see the result of the rules before them.
//! - A rule whose input is not there does nothing: its target stays as it was.
//! - An injective transform never makes one shadow key from two source keys; one that is not keeps the source key
//!   attributes in the item, unchanged.
//! - With no rules, `apply` is a key extraction and moves the item.

mod compile;
mod judge;
mod rule;
mod symbol;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

pub use compile::{Mistake, TransformError};
pub use judge::{Properties, Undo};
pub use rule::{Action, Condition, Rule, Scalar};
use symbol::{Piece, Symbol};
use template::Template;
pub use template::{RenderError, TemplateError, TemplateProblem, ValueKind, check_template};

use crate::model::{AttributeValue, Decimal, Item, Key, KeyError, KeySchema};

/// Checked rules between two key schemas.
#[derive(Clone, Debug)]
pub struct Transform {
    steps: Vec<Step>,
    source: KeySchema,
    shadow: KeySchema,
    /// What each shadow key attribute holds, where that is made of the source key alone.
    key_symbols: Option<Vec<Symbol>>,
    properties: Properties,
    rules: Vec<Rule>,
}

/// One rule, made ready.
#[derive(Clone, Debug)]
struct Step {
    action: StepAction,
    when: Option<Test>,
}

#[derive(Clone, Debug)]
enum StepAction {
    Set { attribute: String, template: Template },
    Rename { from: String, to: String },
    Remove { attribute: String },
    Copy { from: String, to: String },
    Drop,
}

/// A condition, with its values read once.
#[derive(Clone, Debug)]
enum Test {
    Exists { attribute: String },
    Missing { attribute: String },
    OneOf { attribute: String, texts: HashSet<String>, numbers: HashSet<Decimal>, booleans: HashSet<bool> },
}

/// What a source item becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// This item.
    Item {
        /// The shadow key.
        key: Key,
        /// The shadow item.
        item: Item,
    },
    /// Nothing: a rule says that the item does not belong in the shadow.
    Nothing,
}

/// Why no shadow item can be made of a source item. It stays so until the source item changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The item has no key in the shadow.
    #[error("no key in the new layout: {0}")]
    Key(KeyError),
    /// A rule cannot be applied. That is so for any attribute, not only for keys: an item that lacks an attribute
    /// which the rules promise would be a silent difference.
    #[error("rule {rule} cannot be applied: {error}")]
    Render {
        /// The rule, from 1.
        rule: usize,
        /// What stands in the way.
        error: RenderError,
    },
}

impl Transform {
    /// Checks the rules; all mistakes are told at once. Without rules, the shadow key is read from the item as it is.
    pub fn compile(rules: &[Rule], source: &KeySchema, shadow: &KeySchema) -> Result<Self, Vec<TransformError>> {
        compile::compile(rules, source, shadow)
    }

    /// What the item becomes. An item that a rule drops is never refused.
    pub fn apply(&self, mut item: Item) -> Result<Target, Refusal> {
        if !self.steps.is_empty() {
            // Actions change what conditions look at, so all conditions are judged first.
            let holds: Vec<bool> =
                self.steps.iter().map(|step| step.when.as_ref().is_none_or(|test| test.holds(&item))).collect();
            let chosen = || (1..).zip(self.steps.iter().zip(&holds)).filter(|(_, (_, holds))| **holds);
            if chosen().any(|(_, (step, _))| matches!(step.action, StepAction::Drop)) {
                return Ok(Target::Nothing);
            }
            for (rule, (step, _)) in chosen() {
                step.action.act_on(&mut item).map_err(|error| Refusal::Render { rule, error })?;
            }
        }
        let key = item.key(&self.shadow).map_err(Refusal::Key)?;
        Ok(Target::Item { key, item })
    }

    /// The shadow key of whatever item has this source key, where the source key alone determines it; `None` for
    /// every key when [`Properties::needs_old_images`]. There may be no such shadow item: it may have been dropped
    /// or refused.
    pub fn shadow_key_of_source_key(&self, source_key: &Key) -> Option<Key> {
        if self.properties.key_preserving {
            return Some(source_key.clone());
        }
        let symbols = self.key_symbols.as_ref()?;
        let source = self.source.attributes_of(source_key);
        let mut shadow = HashMap::with_capacity(2);
        for (attribute, symbol) in self.shadow.attributes().zip(symbols) {
            shadow.insert(attribute.name.clone(), evaluate(symbol, &source)?);
        }
        self.shadow.key_of(&shadow).ok()
    }

    /// What holds for every item, for the engine to choose by and the operator to read.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The source's key schema.
    pub fn source_schema(&self) -> &KeySchema {
        &self.source
    }

    /// The shadow's key schema.
    pub fn shadow_schema(&self) -> &KeySchema {
        &self.shadow
    }

    /// The attributes that rules take values from, each with its rule, from 1.
    pub fn reads(&self) -> Vec<(usize, String)> {
        let mut reads = Vec::new();
        for (number, step) in (1..).zip(&self.steps) {
            match &step.action {
                StepAction::Set { template, .. } => {
                    reads.extend(template.attributes().map(|attribute| (number, attribute.to_owned())));
                }
                StepAction::Rename { from, .. } | StepAction::Copy { from, .. } => reads.push((number, from.clone())),
                StepAction::Remove { .. } | StepAction::Drop => {}
            }
        }
        reads
    }

    /// The rules that it was made of.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// A symbol's value for a source key; `None` when the key does not have it.
fn evaluate(symbol: &Symbol, source: &HashMap<String, AttributeValue>) -> Option<AttributeValue> {
    match symbol {
        Symbol::Source(name) => source.get(name).cloned(),
        Symbol::Rendered(pieces) => {
            let mut text = String::with_capacity(64);
            for piece in pieces {
                match piece {
                    Piece::Text(literal) => text.push_str(literal),
                    Piece::Source(name) => template::render_value(name, source.get(name)?, &mut text).ok()?,
                }
            }
            Some(AttributeValue::S(text))
        }
        Symbol::Absent | Symbol::Unknown => None,
    }
}

impl StepAction {
    fn act_on(&self, item: &mut Item) -> Result<(), RenderError> {
        match self {
            Self::Set { attribute, template } => {
                if let Some(text) = template.render(item)? {
                    item.set(attribute, AttributeValue::S(text));
                }
            }
            Self::Rename { from, to } => {
                if let Some(value) = item.remove(from) {
                    item.set(to, value);
                }
            }
            Self::Remove { attribute } => {
                item.remove(attribute);
            }
            Self::Copy { from, to } => {
                if let Some(value) = item.get(from).cloned() {
                    item.set(to, value);
                }
            }
            Self::Drop => {}
        }
        Ok(())
    }
}

impl Test {
    fn holds(&self, item: &Item) -> bool {
        match self {
            Self::Exists { attribute } => item.get(attribute).is_some(),
            Self::Missing { attribute } => item.get(attribute).is_none(),
            Self::OneOf { attribute, texts, numbers, booleans } => match item.get(attribute) {
                Some(AttributeValue::S(text)) => texts.contains(text),
                Some(AttributeValue::N(text)) => Decimal::parse(text).is_some_and(|number| numbers.contains(&number)),
                Some(AttributeValue::Bool(value)) => booleans.contains(value),
                _ => false,
            },
        }
    }
}
