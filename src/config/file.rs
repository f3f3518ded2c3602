//! The configuration file: its text, its values with their places, and its syntax errors.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Origin};
use super::place::Source;
use super::reader::{Given, Layer};
use super::transform;
use super::value::Value;
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
                let before = String::from_utf8_lossy(valid);
                let source = Source { name: &file.name, text: &before };
                let origin = source.place(&(before.len()..before.len()));
                mistakes.push(Mistake::of(origin, "the file is not UTF-8 from here on", "save it as UTF-8"));
                return file;
            }
        };
        let name = file.name.clone();
        let source = Source { name: &name, text };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            file.understood = true;
            file.take(&source, table.get_ref(), mistakes);
        }
        for error in errors {
            let origin = error.span().map_or(Origin::File { name: name.clone() }, |span| source.place(&span));
            let what = format!("not TOML: {}", error.message().replace('\n', " "));
            mistakes.push(Mistake::of(origin, what, "correct the syntax (see https://toml.io)"));
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
    fn take(&mut self, source: &Source<'_>, document: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
        for (section, content) in document {
            let name = section.get_ref().as_ref();
            let origin = source.place(&section.span());
            match content.get_ref() {
                DeValue::Table(keys) if name != TRANSFORM => {
                    self.sections.insert(name.to_owned(), origin);
                    self.take_section(source, name, keys);
                }
                content if name == TRANSFORM => self.transform = transform::rules(source, &origin, content, mistakes),
                // A key outside of any section: left for the reader, which knows what was meant.
                other => {
                    self.layer.give(name.to_owned(), Given { value: Value::from_toml(other), origin });
                }
            }
        }
    }

    fn take_section(&mut self, source: &Source<'_>, section: &str, keys: &DeTable<'_>) {
        for (key, value) in keys {
            let origin = source.place(&key.span());
            let name = format!("{section}.{}", key.get_ref());
            self.layer.give(name, Given { value: Value::from_toml(value.get_ref()), origin });
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
    fn a_place_counts_characters_from_one() {
        let text = "a = 1\nßß = 2\n";
        let source = Source { name: "f", text };
        let at = |needle: &str| {
            let start = text.find(needle).unwrap();
            source.place(&(start..start + 1)).to_string()
        };
        assert_eq!(at("a"), "f:1:1");
        assert_eq!(at("2"), "f:2:6");
        assert_eq!(source.place(&(text.len()..text.len())).to_string(), "f:3:1");
        assert_eq!(source.place(&(999..999)).to_string(), "f:3:1");
    }

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
