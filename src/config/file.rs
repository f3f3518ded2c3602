//! The configuration file: its text, its values with their places, and its syntax errors.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::mistake::{Mistake, Origin};
use super::reader::{Given, Layer};
use super::transform;
use super::value::Value;
use crate::document::{self, At, Entry, Problems, Value as Tree};
use crate::protocol::transform::Rule;

/// The longest file that is read, in bytes. Real ones have a few kilobytes; the limit is there for whoever names a
/// device or a data file by accident.
const FILE_LIMIT_BYTES: u64 = 1024 * 1024;

/// The section of rules, which is none of keys.
const TRANSFORM: &str = "transform";

/// What a configuration file says.
#[derive(Debug)]
pub(super) struct File {
    /// Its name as the operator gave it.
    pub(super) name: String,
    /// Its folder: paths in it are relative to this.
    pub(super) folder: PathBuf,
    /// Its values.
    pub(super) layer: Layer,
    /// Where its sections begin.
    pub(super) sections: BTreeMap<String, Origin>,
    /// Its rules.
    pub(super) transform: Vec<Rule>,
    /// Whether its text was understood. If not, nothing can be said about what is missing.
    pub(super) understood: bool,
}

impl File {
    /// Reads the file at `path`, which was given at `origin`; `-` is standard input. What is wrong with it is added to
    /// `mistakes`.
    pub(super) fn read(path: &Path, origin: Origin, mistakes: &mut Vec<Mistake>) -> Self {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let bytes = if is_stdin { read_limited(io::stdin().lock()) } else { read_file(path) };
        match bytes {
            Ok(bytes) => Self::parse(name, folder, &bytes, mistakes),
            Err(error) => {
                let what = format!("the configuration file {name:?} cannot be read: {error}");
                mistakes.push(Mistake::of(origin, what, "check the path and its permissions"));
                Self::empty(name, folder)
            }
        }
    }

    /// Understands a file's bytes.
    pub(super) fn parse(name: String, folder: PathBuf, bytes: &[u8], mistakes: &mut Vec<Mistake>) -> Self {
        let mut file = Self::empty(name, folder);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let place = document::toml::end_of(&String::from_utf8_lossy(valid));
                let origin = Origin::in_file(&file.name, Some(place));
                mistakes.push(Mistake::of(origin, "the file is not UTF-8 from here on", "save it as UTF-8"));
                return file;
            }
        };
        match document::toml::parse(text) {
            Ok(entries) => {
                file.understood = true;
                file.take(entries, mistakes);
            }
            Err(errors) => mistakes.extend(errors.into_iter().map(|error| {
                let origin = Origin::in_file(&file.name, error.place);
                Mistake::of(origin, format!("not TOML: {}", error.message), "correct the syntax (see https://toml.io)")
            })),
        }
        file
    }

    fn empty(name: String, folder: PathBuf) -> Self {
        Self {
            name,
            folder,
            layer: Layer::named_by(str::to_owned),
            sections: BTreeMap::new(),
            transform: Vec::new(),
            understood: false,
        }
    }

    /// Takes sections, keys and rules out of a parsed document.
    fn take(&mut self, document: Vec<Entry>, mistakes: &mut Vec<Mistake>) {
        for Entry { name, place, node } in document {
            let origin = Origin::in_file(&self.name, place);
            match node.value {
                Tree::Map(keys) if name != TRANSFORM => {
                    for Entry { name: key, place, node } in keys {
                        let origin = Origin::in_file(&self.name, place);
                        let given = Given { value: Value::of_file(node.value), origin };
                        self.layer.give(format!("{name}.{key}"), given);
                    }
                    self.sections.insert(name, origin);
                }
                value if name == TRANSFORM => {
                    let mut problems = Problems::default();
                    self.transform = transform::rules(&At { path: name, place }, &value, &mut problems);
                    let told =
                        problems.0.into_iter().map(|problem| Mistake::from_problem(&self.name, problem, "correct it"));
                    mistakes.extend(told);
                }
                // A key outside of any section: left for the reader, which knows what was meant.
                other => {
                    self.layer.give(name, Given { value: Value::of_file(other), origin });
                }
            }
        }
    }
}

/// A file's bytes.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_limited(std::fs::File::open(path)?)
}

/// Reads to the end, if that comes before the limit.
fn read_limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_LIMIT_BYTES) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {FILE_LIMIT_BYTES} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_utf_8_is_placed() {
        let mut mistakes = Vec::new();
        let file = File::parse("f".into(), PathBuf::new(), b"[copy]\nsegments = \xff", &mut mistakes);
        assert!(!file.understood);
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].to_string().starts_with("f:2:12: "), "{}", mistakes[0]);
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let endless = io::repeat(b'#');
        assert_eq!(read_limited(endless).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
