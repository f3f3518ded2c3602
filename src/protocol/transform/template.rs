//! Templates: text with `{attribute}` places.

use std::fmt;

use crate::model::{AttributeValue, Decimal, Item};

/// A parsed template. Neighbouring texts are one part, and no text part is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

/// One part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is.
    Text(String),
    /// An attribute's value.
    Attribute(String),
}

/// A template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position} of the template: {problem}")]
pub struct TemplateError {
    /// The character, from 1.
    pub position: usize,
    /// What is wrong there.
    pub problem: TemplateProblem,
}

/// What is wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// A `{` without its `}`.
    #[error("this {{ is never closed")]
    Unclosed,
    /// `{}`.
    #[error("no attribute is named between the braces")]
    EmptyName,
    /// A `{` inside `{…}`.
    #[error("a second {{ inside braces")]
    Nested,
    /// A `}` without its `{`.
    #[error("this }} closes nothing")]
    Stray,
}

/// A value that has no text form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute {attribute:?} is {kind}, which has no text form; only strings and numbers do")]
pub struct RenderError {
    /// The attribute.
    pub attribute: String,
    /// Its type.
    pub kind: ValueKind,
}

/// The type of an attribute's value, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueKind(&'static str);

impl fmt::Display for ValueKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

/// Whether a template can be read.
pub fn check_template(text: &str) -> Result<(), TemplateError> {
    Template::parse(text).map(drop)
}

impl Template {
    /// Reads a template; the first mistake ends the reading.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self { parts: Vec::new() };
        let mut characters = text.chars().zip(1..).peekable();
        while let Some((character, position)) = characters.next() {
            let failed = |problem| TemplateError { position, problem };
            let doubled = characters.next_if(|(next, _)| matches!(character, '{' | '}') && *next == character);
            match character {
                '}' if doubled.is_none() => return Err(failed(TemplateProblem::Stray)),
                '{' if doubled.is_none() => {
                    let mut name = String::new();
                    loop {
                        match characters.next() {
                            None => return Err(failed(TemplateProblem::Unclosed)),
                            Some(('}', _)) if name.is_empty() => return Err(failed(TemplateProblem::EmptyName)),
                            Some(('}', _)) => break,
                            Some(('{', position)) => {
                                return Err(TemplateError { position, problem: TemplateProblem::Nested });
                            }
                            Some((other, _)) => name.push(other),
                        }
                    }
                    template.parts.push(Part::Attribute(name));
                }
                _ => template.push_character(character),
            }
        }
        Ok(template)
    }

    fn push_character(&mut self, character: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(character),
            _ => self.parts.push(Part::Text(character.into())),
        }
    }

    /// The parts, in order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names of the attributes, in order, repeated where the template repeats them.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Attribute(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text for `item`, or `None` when an attribute is not there (whatever the others hold).
    pub(super) fn render(&self, item: &Item) -> Result<Option<String>, RenderError> {
        if self.attributes().any(|name| item.get(name).is_none()) {
            return Ok(None);
        }
        let mut text = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Attribute(name) => {
                    if let Some(value) = item.get(name) {
                        render_value(name, value, &mut text)?;
                    }
                }
            }
        }
        Ok(Some(text))
    }
}

/// Appends a value's text form: a string as it is, a number in canonical notation.
pub(super) fn render_value(name: &str, value: &AttributeValue, into: &mut String) -> Result<(), RenderError> {
    let failed = |kind| RenderError { attribute: name.to_owned(), kind: ValueKind(kind) };
    match value {
        AttributeValue::S(text) => into.push_str(text),
        AttributeValue::N(text) => {
            let number = Decimal::parse(text).ok_or_else(|| failed("a number that cannot be read"))?;
            into.push_str(&number.to_string());
        }
        AttributeValue::B(_) => return Err(failed("binary")),
        AttributeValue::Bool(_) => return Err(failed("a boolean")),
        AttributeValue::Null(_) => return Err(failed("null")),
        AttributeValue::L(_) => return Err(failed("a list")),
        AttributeValue::M(_) => return Err(failed("a map")),
        AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => return Err(failed("a set")),
        _ => return Err(failed("of a type that this version does not know")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(values: &[(&str, AttributeValue)]) -> Item {
        Item::new(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn string(text: &str) -> AttributeValue {
        AttributeValue::S(text.into())
    }

    fn failure(text: &str) -> (usize, TemplateProblem) {
        let error = Template::parse(text).unwrap_err();
        (error.position, error.problem)
    }

    #[test]
    fn strings_are_rendered_as_they_are_and_numbers_in_canonical_notation() {
        let template = Template::parse("STATUS#{status}#{{{count}}}").unwrap();
        let item = item(&[("status", string("a{b}")), ("count", AttributeValue::N("1.50E1".into()))]);
        assert_eq!(template.render(&item), Ok(Some("STATUS#a{b}#{15}".into())));
    }

    #[test]
    fn a_missing_attribute_makes_nothing_even_beside_one_without_text_form() {
        let template = Template::parse("{flag}{gone}").unwrap();
        assert_eq!(template.render(&item(&[("flag", AttributeValue::Bool(true))])), Ok(None));
    }

    #[test]
    fn a_value_without_text_form_is_named_with_its_type() {
        let template = Template::parse("{flag}").unwrap();
        let error = template.render(&item(&[("flag", AttributeValue::Bool(true))])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "attribute \"flag\" is a boolean, which has no text form; only strings and numbers do"
        );
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        assert_eq!(failure("é{open"), (2, TemplateProblem::Unclosed));
        assert_eq!(failure("a{}"), (2, TemplateProblem::EmptyName));
        assert_eq!(failure("ab}c"), (3, TemplateProblem::Stray));
        assert_eq!(failure("{a{b}"), (3, TemplateProblem::Nested));
        assert_eq!(
            Template::parse("a}").unwrap_err().to_string(),
            "at character 2 of the template: this } closes nothing"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[{}a#]{0,12}|.*") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.render(&item(&[("a", string("x"))]));
            }
        }

        #[test]
        fn escaped_text_is_rendered_as_it_was(text in "[{}a#é]{0,12}") {
            let template = Template::parse(&text.replace('{', "{{").replace('}', "}}")).unwrap();
            prop_assert_eq!(template.render(&item(&[])), Ok(Some(text)));
        }
    }
}
