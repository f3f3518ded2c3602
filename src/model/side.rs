//! The two tables of a migration.

use std::fmt;
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// One of the two tables of a migration. What it is called does not depend on where the application writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The table that is rebuilt.
    Source,
    /// The table in its new layout.
    Shadow,
}

impl Side {
    /// Both, the source first.
    pub const BOTH: [Self; 2] = [Self::Source, Self::Shadow];

    /// The other table.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Shadow,
            Self::Shadow => Self::Source,
        }
    }

    /// The word in state keys, in configuration and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One value for each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sides<T> {
    /// The source's.
    pub source: T,
    /// The shadow's.
    pub shadow: T,
}

impl<T> Sides<T> {
    /// What `make` says of each.
    pub fn of(mut make: impl FnMut(Side) -> T) -> Self {
        Self { source: make(Side::Source), shadow: make(Side::Shadow) }
    }
}

impl<T> Index<Side> for Sides<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Source => &self.source,
            Side::Shadow => &self.shadow,
        }
    }
}

impl<T> IndexMut<Side> for Sides<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Source => &mut self.source,
            Side::Shadow => &mut self.shadow,
        }
    }
}
