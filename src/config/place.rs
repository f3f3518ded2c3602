//! Places in a text.

use std::ops::Range;

use super::mistake::Origin;

/// A text with a name, so that mistakes in it can be placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The place of a span: its first character.
    pub(super) fn place(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Origin::Place { name: self.name.to_owned(), line: before.matches('\n').count() + 1, column }
    }
}
