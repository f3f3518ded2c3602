//! What can be said of a transform before any item is seen.

use std::collections::BTreeSet;
use std::fmt;

use super::rule::{Action, Condition, Rule};
use super::symbol::{Piece, State, Symbol, key_type, only};
use super::template::Template;
use crate::model::{KeySchema, KeyType};

/// What holds for every item that goes through a transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The shadow key is always the source key: the same values in the same places, the attributes perhaps renamed.
    pub key_preserving: bool,
    /// Two source keys never make one shadow key. Cautious: false where it cannot be shown.
    pub injective: bool,
    /// The source key attributes that do not enter the shadow key unambiguously: empty exactly when injective.
    pub ambiguous: Vec<String>,
    /// The shadow key depends on more than the source key, so that a change must bring the item as it was before.
    pub needs_old_images: bool,
    /// Whether the source item can be made again from the shadow item.
    pub undo: Undo,
}

/// Whether source items can be made again from shadow items, for replication back after the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// They can.
    Undoable,
    /// They can, if these hold.
    UndoableAssuming(Vec<String>),
    /// They cannot, for these reasons.
    NotUndoable(Vec<String>),
}

/// A few lines for an operator.
impl fmt::Display for Properties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key_preserving {
            writeln!(out, "keys: preserved")?;
        } else if self.injective {
            writeln!(out, "keys: changed, injective: two items never claim one shadow key")?;
        } else {
            writeln!(
                out,
                "keys: changed, not injective: two items may claim one shadow key, since {} {} not enter it \
                 unambiguously; each write is one conditional request",
                self.ambiguous.join(", "),
                if self.ambiguous.len() == 1 { "does" } else { "do" }
            )?;
        }
        if self.needs_old_images {
            writeln!(
                out,
                "old images: needed, since the shadow key depends on more than the source key: the source's stream \
                 must be NEW_AND_OLD_IMAGES"
            )?;
        } else {
            writeln!(out, "old images: not needed")?;
        }
        self.undo.fmt(out)
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undoable => write!(out, "undo: can be undone"),
            Self::UndoableAssuming(assumptions) => {
                write!(out, "undo: can be undone, if {}", assumptions.join("; and if "))
            }
            Self::NotUndoable(reasons) => write!(out, "undo: cannot be undone: {}", reasons.join("; ")),
        }
    }
}

/// The one thing that each shadow key attribute holds, where it is made of the source key alone.
pub(super) fn made_of_source_key(state: &State<'_>, source: &KeySchema, shadow: &KeySchema) -> Option<Vec<Symbol>> {
    shadow
        .attributes()
        .map(|attribute| {
            let possible = state.of(&attribute.name);
            only(&possible).filter(|symbol| from_key_alone(symbol, source)).cloned()
        })
        .collect()
}

fn from_key_alone(symbol: &Symbol, source: &KeySchema) -> bool {
    match symbol {
        Symbol::Source(name) => key_type(source, name).is_some(),
        Symbol::Rendered(pieces) => pieces.iter().all(|piece| match piece {
            Piece::Text(_) => true,
            Piece::Source(name) => key_type(source, name).is_some(),
        }),
        Symbol::Absent | Symbol::Unknown => false,
    }
}

/// The judgement on checked rules; `state` is what they leave.
pub(super) fn judge(
    rules: &[(&Rule, Option<Template>)],
    state: &State<'_>,
    source: &KeySchema,
    shadow: &KeySchema,
) -> Properties {
    let determined = made_of_source_key(state, source, shadow);
    let same_places = |symbols: &Vec<Symbol>| {
        symbols.len() == source.attributes().count()
            && source
                .attributes()
                .zip(symbols)
                .all(|(attribute, symbol)| matches!(symbol, Symbol::Source(name) if *name == attribute.name))
    };
    let recovered: BTreeSet<String> = shadow
        .attributes()
        .filter_map(|attribute| only(&state.of(&attribute.name)).map(|symbol| recoverable(symbol, source)))
        .flatten()
        .collect();
    let ambiguous: Vec<String> = source
        .attributes()
        .filter(|attribute| !recovered.contains(&attribute.name))
        .map(|attribute| attribute.name.clone())
        .collect();
    Properties {
        key_preserving: determined.as_ref().is_some_and(same_places),
        injective: ambiguous.is_empty(),
        ambiguous,
        needs_old_images: determined.is_none(),
        undo: undo(rules, source, shadow),
    }
}

/// The source key attributes whose values can be read back out of `symbol`'s value.
fn recoverable(symbol: &Symbol, source: &KeySchema) -> Vec<String> {
    let is_key = |name: &&String| key_type(source, name).is_some();
    match symbol {
        Symbol::Source(name) => Some(name).filter(is_key).cloned().into_iter().collect(),
        Symbol::Rendered(pieces) if can_be_read_back(pieces, source) => pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Source(name) => Some(name).filter(is_key).cloned(),
                Piece::Text(_) => None,
            })
            .collect(),
        Symbol::Rendered(_) | Symbol::Absent | Symbol::Unknown => Vec::new(),
    }
}

/// Whether each place's value can be read back from the rendered string.
///
/// A number is rendered in digits, `-`, `.` and `E` alone. So, reading from the left, a number ends where the first
/// other character of the text behind it stands; and from the right likewise. What is left between is the one string.
/// A second string would leave open where the first ends. A non-key attribute may be a string, so it counts as one.
fn can_be_read_back(pieces: &[Piece], source: &KeySchema) -> bool {
    let mut strings = 0;
    let mut before: Option<bool> = None;
    let mut separated = false;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                separated |= text.chars().any(|c| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'E' | 'e'));
            }
            Piece::Source(name) => {
                let number = key_type(source, name) == Some(KeyType::N);
                strings += usize::from(!number);
                if before.is_some_and(|number_before| number || number_before) && !separated {
                    return false;
                }
                before = Some(number);
                separated = false;
            }
        }
    }
    strings <= 1
}

/// Whether every source attribute that the rules name can be made again.
///
/// An attribute that a rule makes anew, and that no rule has looked at before, may be assumed to be missing in source
/// items; that is said to the operator. Everything else must be found somewhere in the shadow item, unconditionally.
fn undo(rules: &[(&Rule, Option<Template>)], source: &KeySchema, shadow: &KeySchema) -> Undo {
    let (names, made_anew) = names_of(rules, source, shadow);
    let mut assumed = BTreeSet::new();
    loop {
        let lost = lost_under(&assumed, &names, rules, source, shadow);
        let more: Vec<String> = lost.iter().filter(|name| made_anew.contains(*name)).cloned().collect();
        if !more.is_empty() {
            assumed.extend(more);
            continue;
        }
        if !lost.is_empty() {
            return Undo::NotUndoable(lost.iter().map(|name| loss(name, rules)).collect());
        }
        let mut assumptions: Vec<String> =
            assumed.iter().map(|name| format!("no source item already has the attribute {name}")).collect();
        if rules.iter().any(|(rule, _)| rule.action == Action::Drop) {
            assumptions.push(
                "the items left out of the shadow may stay in the source as they are, and the application writes \
                 none of their keys after the switch"
                    .to_owned(),
            );
        }
        return if assumptions.is_empty() { Undo::Undoable } else { Undo::UndoableAssuming(assumptions) };
    }
}

/// The names that are not assumed absent and cannot be made again from the shadow item.
fn lost_under(
    assumed: &BTreeSet<String>,
    names: &BTreeSet<String>,
    rules: &[(&Rule, Option<Template>)],
    source: &KeySchema,
    shadow: &KeySchema,
) -> Vec<String> {
    let mut state = State::before_rules(source, assumed);
    for (rule, template) in rules {
        state.take(&rule.action, template.as_ref(), rule.when.is_some());
    }
    let mut found = BTreeSet::new();
    for name in names {
        let possible = state.of(name);
        // A shadow item always has its key attributes; any other attribute that may be gone takes its value with it.
        let always = possible.len() == 1 || key_type(shadow, name).is_some();
        match only(&possible).filter(|_| always) {
            Some(Symbol::Source(name)) => found.extend([name.clone()]),
            Some(symbol) => found.extend(recoverable(symbol, source)),
            None => {}
        }
    }
    names.iter().filter(|name| !assumed.contains(*name) && !found.contains(*name)).cloned().collect()
}

/// All names that matter, and those of them that a rule makes before any rule looks at them.
fn names_of(
    rules: &[(&Rule, Option<Template>)],
    source: &KeySchema,
    shadow: &KeySchema,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut looked_at: BTreeSet<String> = source.attributes().map(|attribute| attribute.name.clone()).collect();
    let mut all: BTreeSet<String> = looked_at.clone();
    all.extend(shadow.attributes().map(|attribute| attribute.name.clone()));
    let mut made_anew = BTreeSet::new();
    for (rule, template) in rules {
        match &rule.when {
            Some(
                Condition::Exists { attribute } | Condition::Missing { attribute } | Condition::OneOf { attribute, .. },
            ) => looked_at.extend([attribute.clone()]),
            None => {}
        }
        let made = match &rule.action {
            Action::Set { attribute, .. } => {
                looked_at.extend(template.iter().flat_map(Template::attributes).map(str::to_owned));
                Some(attribute)
            }
            Action::Rename { from, to } | Action::Copy { from, to } => {
                looked_at.extend([from.clone()]);
                Some(to)
            }
            Action::Remove { attribute } => {
                looked_at.extend([attribute.clone()]);
                None
            }
            Action::Drop => None,
        };
        if let Some(made) = made {
            if !looked_at.contains(made) {
                made_anew.insert(made.clone());
            }
            all.insert(made.clone());
        }
        all.extend(looked_at.iter().cloned());
    }
    (all, made_anew)
}

/// Why `name` cannot be made again: the last rule that takes it away.
fn loss(name: &str, rules: &[(&Rule, Option<Template>)]) -> String {
    let mut reason = format!("the source attribute {name} cannot be made again from the shadow item");
    for (number, (rule, _)) in (1..).zip(rules) {
        let conditionally = if rule.when.is_some() { ", depending on a condition" } else { "" };
        match &rule.action {
            Action::Remove { attribute } if attribute == name => {
                reason = format!("rule {number} removes {name}{conditionally}");
            }
            Action::Set { attribute: to, .. } | Action::Copy { to, .. } | Action::Rename { to, .. } if to == name => {
                reason = format!("rule {number} overwrites {name}{conditionally}");
            }
            Action::Rename { from, to } if from == name => {
                reason = format!("rule {number} renames {name} to {to}{conditionally}, where it cannot be told apart");
            }
            _ => {}
        }
    }
    reason
}
