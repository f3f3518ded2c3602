//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use crate::document::{Place, Problem};

/// What every variable of ours begins with.
pub const PREFIX: &str = "SHADOWTABLE_";

/// Where a value was given. The order is the order of a report: file, environment, flags, and what is given nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A configuration file as a whole: it cannot be read, or something is not in it.
    File {
        /// The file, as the operator named it.
        name: String,
    },
    /// A place in a file.
    Place {
        /// The file, as the operator named it.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// A command line flag.
    Flag {
        /// The flag, such as `--region` or `--set copy.segments`.
        flag: String,
    },
    /// Given nowhere, and there is no configuration file.
    Nowhere,
}

impl Origin {
    /// A place in a file, or the file as a whole.
    pub(super) fn in_file(name: &str, place: Option<Place>) -> Self {
        let name = name.to_owned();
        match place {
            Some(Place { line, column }) => Self::Place { name, line, column },
            None => Self::File { name },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name } => out.write_str(name),
            Self::Place { name, line, column } => write!(out, "{name}:{line}:{column}"),
            Self::Environment { variable } => out.write_str(variable),
            Self::Flag { flag } => out.write_str(flag),
            Self::Nowhere => out.write_str("configuration"),
        }
    }
}

/// One mistake. Its text is one line: `origin: key: what; remedy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where the value was given.
    pub origin: Origin,
    /// The key as `section.key`, where a key is meant.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Mistake {
    /// A mistake about a key.
    pub(super) fn about(
        origin: Origin,
        key: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { origin, key: Some(key.into()), what: what.into(), remedy: remedy.into() }
    }

    /// What is wrong with a document of this name. `remedy`: what to do where the problem does not say it.
    pub(super) fn from_problem(name: &str, problem: Problem, remedy: &str) -> Self {
        let Problem { path, place, what, remedy: own } = problem;
        let key = Some(path).filter(|path| !path.is_empty());
        Self { origin: Origin::in_file(name, place), key, what, remedy: own.unwrap_or_else(|| remedy.to_owned()) }
    }

    /// A mistake about a source as a whole.
    pub(super) fn of(origin: Origin, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { origin, key: None, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        let line = format!("{}: {key}{}; {}", self.origin, self.what, self.remedy);
        // Names and values are outside input: their line breaks and terminal sequences are shown, not obeyed.
        for letter in line.chars() {
            if letter.is_control() {
                write!(out, "{}", letter.escape_default())?;
            } else {
                write!(out, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, at least one mistake: file first, in the order of its lines, then
/// environment, then flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// In the order of a report.
    pub(super) fn sorted(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|one, other| one.origin.cmp(&other.origin));
        Self(mistakes)
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Mistakes {
    /// One mistake per line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{mistake}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line_whatever_is_in_it() {
        let mistake = Mistake::about(Origin::Nowhere, "a\n\u{1b}[31mb", "wrong", "mend it");
        assert_eq!(mistake.to_string(), "configuration: a\\n\\u{1b}[31mb: wrong; mend it");
    }

    #[test]
    fn a_report_follows_the_file_then_environment_then_flags() {
        let place = |line| Origin::Place { name: "f".into(), line, column: 1 };
        let variable = Origin::Environment { variable: "V".into() };
        let flag = Origin::Flag { flag: "--f".into() };
        let given = [flag, place(10), variable, place(2)];
        let mistakes = Mistakes::sorted(given.map(|origin| Mistake::of(origin, "x", "y")).into());
        assert_eq!(mistakes.to_string(), "f:2:1: x; y\nf:10:1: x; y\nV: x; y\n--f: x; y");
    }
}
