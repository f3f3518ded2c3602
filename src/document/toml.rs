//! TOML as a tree with places.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Node, Place, Value};

/// A syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where, if that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
}

/// The entries of the document, or all errors of syntax.
pub fn parse(text: &str) -> Result<Vec<Entry>, Vec<SyntaxError>> {
    let places = Places::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(entries(&places, table.get_ref()));
    }
    let told = errors.into_iter().map(|error| SyntaxError {
        place: error.span().map(|span| places.at(&span)),
        message: error.message().replace('\n', " "),
    });
    Err(told.collect())
}

/// Where a text ends.
pub fn end_of(text: &str) -> Place {
    Places::of(text).at(&(text.len()..text.len()))
}

fn entries(places: &Places<'_>, table: &DeTable<'_>) -> Vec<Entry> {
    let entry = |(name, value): (&Spanned<toml::de::DeString<'_>>, &Spanned<DeValue<'_>>)| Entry {
        name: name.get_ref().to_string(),
        place: Some(places.at(&name.span())),
        node: node(places, value),
    };
    table.iter().map(entry).collect()
}

fn node(places: &Places<'_>, value: &Spanned<DeValue<'_>>) -> Node {
    let found = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other("a huge number"), Value::Whole)
        }
        DeValue::Float(number) => Value::Fraction(number.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(list) => Value::List(list.iter().map(|value| node(places, value)).collect()),
        DeValue::Table(table) => Value::Map(entries(places, table)),
    };
    Node { value: found, place: Some(places.at(&value.span())) }
}

/// The lines of a text, so that places are found without counting from its beginning each time.
struct Places<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Self {
        let next = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, lines: std::iter::once(0).chain(next).collect() }
    }

    /// The place of a span: its first character. One beyond the text is at its end.
    fn at(&self, span: &Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line = self.lines.partition_point(|begin| *begin <= start);
        let begin = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let column = self.text.get(begin..start).unwrap_or_default().chars().count() + 1;
        Place { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_from_one() {
        let text = "a = 1\nßß = 2\n";
        let places = Places::of(text);
        let at = |needle: &str| {
            let start = text.find(needle).unwrap();
            places.at(&(start..start + 1))
        };
        assert_eq!(at("a"), Place { line: 1, column: 1 });
        assert_eq!(at("2"), Place { line: 2, column: 6 });
        assert_eq!(end_of(text), Place { line: 3, column: 1 });
        assert_eq!(places.at(&(999..999)), end_of(text));
    }

    #[test]
    fn numbers_keep_how_they_are_written() {
        let found = parse("a = 1.50\nb = 0x10\nc = 99999999999999999999999999999999999999999\n").unwrap();
        let values: Vec<_> = found.into_iter().map(|entry| entry.node.value).collect();
        assert_eq!(values, [Value::Fraction("1.50".into()), Value::Whole(16), Value::Other("a huge number")]);
    }

    #[test]
    fn all_errors_of_syntax_are_told() {
        let errors = parse("a = \nb = ]\n").unwrap_err();
        assert!(errors.len() > 1 && errors.iter().all(|error| error.place.is_some()), "{errors:?}");
    }
}
