//! From declared rules to steps, with all mistakes reported at once.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::judge::{Properties, judge, made_of_source_key};
use super::rule::{Action, Condition, Rule, Scalar};
use super::symbol::{State, Symbol, key_type, only};
use super::template::{Template, TemplateError};
use super::{Step, StepAction, Test, Transform};
use crate::model::{Decimal, KeySchema, KeyType};

/// A mistake in the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError {
    /// The rule, from 1; `None` when no single rule is to blame.
    pub rule: Option<usize>,
    /// What is wrong.
    pub mistake: Mistake,
}

impl fmt::Display for TransformError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(number) => write!(out, "rule {number}: {}", self.mistake),
            None => self.mistake.fmt(out),
        }
    }
}

impl std::error::Error for TransformError {}

/// What is wrong with the rules, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The template cannot be read.
    #[error("{0}")]
    Template(TemplateError),
    /// An attribute's name is empty.
    #[error("an attribute's name is empty; name the attribute")]
    EmptyName,
    /// An attribute is renamed or copied onto itself.
    #[error("{0:?} is renamed or copied to itself; give another name or take the rule out")]
    OntoItself(String),
    /// A drop without a condition.
    #[error("this would drop every item; say `when` it applies")]
    DropsEverything,
    /// A `OneOf` condition without values.
    #[error("the condition on {0:?} lists no values, so that it never holds; list at least one or take the rule out")]
    NoValues(String),
    /// The rule reads an attribute that is gone by then.
    #[error("{0:?} is always gone when this rule reads it, since an earlier rule took it away; change their order")]
    AlwaysGone(String),
    /// A template names a binary key attribute.
    #[error("{0:?} is binary, which has no text form; take it out of the template, or copy it")]
    BinaryInTemplate(String),
    /// The shadow's key attribute is never there.
    #[error("the shadow's key attribute {0:?} is always gone after the rules; keep it or make it again")]
    KeyGone(String),
    /// The shadow's key attribute is made by a template, but is no string.
    #[error(
        "a template makes a string, but the shadow's key attribute {name:?} has type {kind:?}; copy a value of that type, or make it a string in the layout"
    )]
    KeyFromTemplate {
        /// The key attribute.
        name: String,
        /// Its type in the layout.
        kind: KeyType,
    },
    /// The shadow's key attribute would be made by an empty template.
    #[error("an empty template cannot make the key attribute {0:?}, which may not be empty; put text in it")]
    KeyEmpty(String),
    /// The shadow's key attribute always gets a value of another type.
    #[error(
        "the shadow's key attribute {name:?} has type {kind:?}, but always gets the source's {from:?} of type {found:?}; make them agree, or make a string with a template"
    )]
    KeyType {
        /// The key attribute.
        name: String,
        /// Its type in the layout.
        kind: KeyType,
        /// The source key attribute that it gets.
        from: String,
        /// That attribute's type.
        found: KeyType,
    },
    /// The transform is not injective, and a source key attribute does not survive.
    #[error(
        "two items may claim one shadow key, and {name:?} of the source key does not reach the shadow item unchanged, \
         so that nobody could tell whose it is; leave {name:?} alone, or have all of {ambiguous:?} enter the shadow \
         key unconditionally and unambiguously"
    )]
    OwnerLost {
        /// The source key attribute.
        name: String,
        /// The source key attributes that do not enter the shadow key unambiguously.
        ambiguous: Vec<String>,
    },
}

/// Checks the rules and makes a transform of them, or tells everything that is wrong.
pub(super) fn compile(
    rules: &[Rule],
    source: &KeySchema,
    shadow: &KeySchema,
) -> Result<Transform, Vec<TransformError>> {
    let mut errors = Vec::new();
    let parsed: Vec<(&Rule, Option<Template>)> = (1..)
        .zip(rules)
        .map(|(number, rule)| (rule, check_rule(rule, &mut |mistake| errors.push(error(number, mistake)))))
        .collect();
    let nothing_assumed = BTreeSet::new();
    let mut state = State::before_rules(source, &nothing_assumed);
    for (number, (rule, template)) in (1..).zip(&parsed) {
        check_reads(rule, template.as_ref(), &state, source, &mut |mistake| errors.push(error(number, mistake)));
        state.take(&rule.action, template.as_ref(), rule.when.is_some());
    }
    for attribute in shadow.attributes() {
        if let Some(mistake) = check_key(&attribute.name, attribute.kind, &state, source) {
            errors.push(TransformError { rule: last_rule_on(&attribute.name, rules), mistake });
        }
    }
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.rule.unwrap_or(usize::MAX));
        return Err(errors);
    }
    let properties = judge(&parsed, &state, source, shadow);
    check_owner(&properties, &state, source, rules)?;
    Ok(Transform {
        steps: steps(parsed),
        source: source.clone(),
        shadow: shadow.clone(),
        key_symbols: made_of_source_key(&state, source, shadow),
        rules: rules.to_vec(),
        properties,
    })
}

fn error(number: usize, mistake: Mistake) -> TransformError {
    TransformError { rule: Some(number), mistake }
}

/// What can be said of one rule by itself. Returns the template, if there is one and it can be read.
fn check_rule(rule: &Rule, report: &mut dyn FnMut(Mistake)) -> Option<Template> {
    let mut names: Vec<&String> = Vec::new();
    match &rule.when {
        Some(Condition::OneOf { attribute, values }) => {
            if values.is_empty() {
                report(Mistake::NoValues(attribute.clone()));
            }
            names.push(attribute);
        }
        Some(Condition::Exists { attribute } | Condition::Missing { attribute }) => names.push(attribute),
        None => {}
    }
    let mut template = None;
    match &rule.action {
        Action::Set { attribute, template: text } => {
            names.push(attribute);
            match Template::parse(text) {
                Ok(parsed) => template = Some(parsed),
                Err(error) => report(Mistake::Template(error)),
            }
        }
        Action::Rename { from, to } | Action::Copy { from, to } => {
            names.extend([from, to]);
            if from == to && !from.is_empty() {
                report(Mistake::OntoItself(from.clone()));
            }
        }
        Action::Remove { attribute } => names.push(attribute),
        Action::Drop if rule.when.is_none() => report(Mistake::DropsEverything),
        Action::Drop => {}
    }
    if names.iter().any(|name| name.is_empty()) {
        report(Mistake::EmptyName);
    }
    template
}

/// What a rule reads must be able to be there, and to be rendered.
fn check_reads(
    rule: &Rule,
    template: Option<&Template>,
    state: &State<'_>,
    source: &KeySchema,
    report: &mut dyn FnMut(Mistake),
) {
    let reads: BTreeSet<&str> = match &rule.action {
        Action::Set { .. } => template.iter().flat_map(|template| template.attributes()).collect(),
        Action::Rename { from, .. } | Action::Copy { from, .. } => BTreeSet::from([from.as_str()]),
        Action::Remove { .. } | Action::Drop => BTreeSet::new(),
    };
    for name in reads {
        let possible = state.of(name);
        if possible == BTreeSet::from([Symbol::Absent]) {
            report(Mistake::AlwaysGone(name.to_owned()));
        }
        let binary =
            matches!(only(&possible), Some(Symbol::Source(from)) if key_type(source, from) == Some(KeyType::B));
        if template.is_some() && binary {
            report(Mistake::BinaryInTemplate(name.to_owned()));
        }
    }
}

/// A key attribute that no item could ever have is a mistake, and so is a rule that makes one impossible.
fn check_key(name: &str, kind: KeyType, state: &State<'_>, source: &KeySchema) -> Option<Mistake> {
    let possible = state.of(name);
    if possible == BTreeSet::from([Symbol::Absent]) {
        return Some(Mistake::KeyGone(name.to_owned()));
    }
    for symbol in &possible {
        match symbol {
            Symbol::Rendered(_) if kind != KeyType::S => {
                return Some(Mistake::KeyFromTemplate { name: name.to_owned(), kind });
            }
            Symbol::Rendered(pieces) if pieces.is_empty() => return Some(Mistake::KeyEmpty(name.to_owned())),
            _ => {}
        }
    }
    // Where other values are possible too, conditions may well keep this one from being reached: it is judged by item.
    match only(&possible) {
        Some(Symbol::Source(from)) => key_type(source, from)
            .filter(|found| *found != kind)
            .map(|found| Mistake::KeyType { name: name.to_owned(), kind, from: from.clone(), found }),
        _ => None,
    }
}

/// Where two items may claim one shadow key, each shadow item must say whose it is.
fn check_owner(
    properties: &Properties,
    state: &State<'_>,
    source: &KeySchema,
    rules: &[Rule],
) -> Result<(), Vec<TransformError>> {
    if properties.injective {
        return Ok(());
    }
    let errors: Vec<_> = source
        .attributes()
        .filter(|attribute| state.of(&attribute.name) != BTreeSet::from([Symbol::Source(attribute.name.clone())]))
        .map(|attribute| TransformError {
            rule: last_rule_on(&attribute.name, rules),
            mistake: Mistake::OwnerLost { name: attribute.name.clone(), ambiguous: properties.ambiguous.clone() },
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The last rule that may change an attribute, from 1.
fn last_rule_on(name: &str, rules: &[Rule]) -> Option<usize> {
    let changes = |rule: &Rule| match &rule.action {
        Action::Set { attribute, .. } | Action::Remove { attribute } => attribute == name,
        Action::Rename { from, to } => from == name || to == name,
        Action::Copy { to, .. } => to == name,
        Action::Drop => false,
    };
    (1..).zip(rules).filter(|(_, rule)| changes(rule)).map(|(number, _)| number).last()
}

fn steps(parsed: Vec<(&Rule, Option<Template>)>) -> Vec<Step> {
    parsed
        .into_iter()
        .map(|(rule, template)| Step {
            action: match &rule.action {
                // A template that could not be read has been reported, so the text is never empty by mistake here.
                Action::Set { attribute, .. } => {
                    StepAction::Set { attribute: attribute.clone(), template: template.unwrap_or_default() }
                }
                Action::Rename { from, to } => StepAction::Rename { from: from.clone(), to: to.clone() },
                Action::Remove { attribute } => StepAction::Remove { attribute: attribute.clone() },
                Action::Copy { from, to } => StepAction::Copy { from: from.clone(), to: to.clone() },
                Action::Drop => StepAction::Drop,
            },
            when: rule.when.as_ref().map(test),
        })
        .collect()
}

fn test(condition: &Condition) -> Test {
    match condition {
        Condition::Exists { attribute } => Test::Exists { attribute: attribute.clone() },
        Condition::Missing { attribute } => Test::Missing { attribute: attribute.clone() },
        Condition::OneOf { attribute, values } => one_of(attribute.clone(), values),
    }
}

fn one_of(attribute: String, values: &[Scalar]) -> Test {
    let (mut texts, mut numbers, mut booleans) = (HashSet::new(), HashSet::new(), HashSet::new());
    for value in values {
        match value {
            Scalar::Text(text) => drop(texts.insert(text.clone())),
            Scalar::Number(text) => numbers.extend(Decimal::parse(text)),
            Scalar::Boolean(value) => drop(booleans.insert(*value)),
        }
    }
    Test::OneOf { attribute, texts, numbers, booleans }
}
