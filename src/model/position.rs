//! Where a shard's reader stands.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A stream record's sequence number: 21 to 40 digits, of mixed lengths within one shard, ordered as an integer. Its
/// text is kept as it came: DynamoDB Local pads with zeros and takes a shorter text for another, trimmed record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position(Arc<str>);

/// A sequence number that is not a number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("sequence number {0:?} is not made of digits")]
pub struct PositionError(pub String);

impl Position {
    /// Takes the service's text.
    pub fn parse(text: &str) -> Result<Self, PositionError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PositionError(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The digits as they came, to be sent back to the service.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits that count.
    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.significant(), other.significant());
        left.len().cmp(&right.len()).then_with(|| left.cmp(right))
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Position {}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for Position {
    type Error = PositionError;

    fn try_from(text: String) -> Result<Self, PositionError> {
        Self::parse(&text)
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.0.as_ref().to_owned()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_an_integer_and_not_as_text() {
        let short = Position::parse("999999999999999999999").unwrap();
        let long = Position::parse("1000000000000000000000").unwrap();
        assert!(short < long);
        assert!(short.as_str() > long.as_str());
    }

    #[test]
    fn padding_does_not_count_and_is_sent_back_as_it_came() {
        let padded = Position::parse("000000000000000000123").unwrap();
        assert_eq!(padded, Position::parse("123").unwrap());
        assert!(padded < Position::parse("124").unwrap());
        assert_eq!(padded.as_str(), "000000000000000000123");
    }

    #[test]
    fn refuses_what_is_not_a_number() {
        for text in ["", "12a", "-1", "1.5"] {
            assert_eq!(Position::parse(text), Err(PositionError(text.to_owned())));
        }
    }
}
