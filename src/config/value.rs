//! One value as it was given, and how it is understood as what the program needs.
//!
//! A file's values have types; those of the environment and of flags are text and are read as whatever is asked for.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::document::Value as Tree;
use crate::model::grouped;

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Text of the environment or a flag, of no type yet.
    Untyped(String),
    /// A string of the file.
    Text(String),
    /// A whole number of the file.
    Whole(i128),
    /// A number of the file that has a point, or an exponent.
    Fraction(f64),
    /// Anything else, by its name.
    Other(&'static str),
}

impl Value {
    /// A value of the file.
    pub(super) fn of_file(value: Tree) -> Self {
        match value {
            Tree::Text(text) => Self::Text(text),
            Tree::Whole(number) => Self::Whole(number),
            Tree::Fraction(written) => written.parse().map_or(Self::Other("an unreadable number"), Self::Fraction),
            Tree::Map(_) => Self::Other("a table"),
            other => Self::Other(other.kind()),
        }
    }

    /// As text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Untyped(text) | Self::Text(text) => Some(text),
            Self::Whole(_) | Self::Fraction(_) | Self::Other(_) => None,
        }
    }

    /// As a whole number in a range.
    pub(super) fn whole<T: TryFrom<u64>>(&self, range: &RangeInclusive<u64>) -> Option<T> {
        let number = match self {
            Self::Whole(number) => u64::try_from(*number).ok()?,
            Self::Untyped(text) => text.trim().parse().ok()?,
            Self::Text(_) | Self::Fraction(_) | Self::Other(_) => return None,
        };
        if range.contains(&number) { T::try_from(number).ok() } else { None }
    }

    /// As a number that is neither infinite nor "not a number".
    pub(super) fn number(&self) -> Option<f64> {
        let number: f64 = match self {
            Self::Fraction(number) => *number,
            Self::Whole(number) => number.to_string().parse().ok()?,
            Self::Untyped(text) => text.trim().parse().ok()?,
            Self::Text(_) | Self::Other(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    /// As a span of time given in seconds.
    pub(super) fn seconds(&self, range: &RangeInclusive<f64>) -> Option<Duration> {
        let seconds = self.number().filter(|seconds| range.contains(seconds))?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untyped(text) => write!(out, "{text:?}"),
            Self::Text(text) => write!(out, "the string {text:?}"),
            Self::Whole(number) => write!(out, "{number}"),
            Self::Fraction(number) => write!(out, "{number}"),
            Self::Other(name) => out.write_str(name),
        }
    }
}

/// The words for a range of whole numbers.
pub(super) fn describe_whole(range: &RangeInclusive<u64>) -> String {
    if *range.end() == u64::MAX {
        format!("a whole number, {} or more", grouped(*range.start()))
    } else {
        format!("a whole number from {} to {}", grouped(*range.start()), grouped(*range.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_environment_is_read_as_what_is_asked_for() {
        let value = Value::Untyped("16".into());
        assert_eq!(value.whole::<u32>(&(1..=16)), Some(16));
        assert_eq!(value.whole::<u32>(&(1..=15)), None);
        assert_eq!(value.text(), Some("16"));
        assert_eq!(value.seconds(&(0.0..=60.0)), Some(Duration::from_secs(16)));
        assert_eq!(Value::Untyped("inf".into()).number(), None);
        assert_eq!(Value::Untyped("NaN".into()).seconds(&(0.0..=60.0)), None);
    }

    #[test]
    fn a_string_of_the_file_is_no_number() {
        assert_eq!(Value::Text("16".into()).whole::<u32>(&(1..=16)), None);
        assert_eq!(Value::Text("16".into()).number(), None);
        assert_eq!(Value::Fraction(1.0).whole::<u32>(&(1..=16)), None);
        assert_eq!(Value::Whole(16).text(), None);
    }

    #[test]
    fn large_numbers_are_written_in_groups() {
        assert_eq!(describe_whole(&(1..=1_000_000)), "a whole number from 1 to 1,000,000");
        assert_eq!(describe_whole(&(1_000..=u64::MAX)), "a whole number, 1,000 or more");
    }
}
