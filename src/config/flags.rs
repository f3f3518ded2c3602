//! Command line flags as layers of values.

use std::path::PathBuf;

use super::mistake::{Mistake, Origin};
use super::reader::{Given, Layer};
use super::value::Value;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The configuration file; `-` is standard input. It goes before `SHADOWTABLE_CONFIG`.
    pub file: Option<PathBuf>,
    /// Flags that have a value for one key or several.
    pub given: Vec<Flag>,
    /// The `section.key=value` of each `--set`.
    pub set: Vec<String>,
}

/// One flag with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The flag, such as `--region`.
    pub name: &'static str,
    /// The keys it is for: all three connections' for `--region`.
    pub keys: &'static [&'static str],
    /// Its value.
    pub value: String,
}

/// Flags for several keys, and above them those for one key: `--set source.region=…` goes before `--region`.
pub(super) fn layers(flags: &Flags, mistakes: &mut Vec<Mistake>) -> [Layer; 2] {
    let (mut general, mut specific) = (Layer::named_by(str::to_owned), Layer::named_by(str::to_owned));
    for flag in &flags.given {
        let layer = if flag.keys.len() > 1 { &mut general } else { &mut specific };
        for key in flag.keys {
            let origin = Origin::Flag { flag: flag.name.to_owned() };
            layer.give((*key).to_owned(), Given { value: Value::Untyped(flag.value.clone()), origin });
        }
    }
    for text in &flags.set {
        let Some((key, value)) = text.split_once('=').map(|(key, value)| (key.trim(), value)) else {
            let origin = Origin::Flag { flag: format!("--set {text}") };
            mistakes.push(Mistake::of(origin, "has no value", "write --set section.key=value"));
            continue;
        };
        let origin = Origin::Flag { flag: format!("--set {key}") };
        if key.split('.').next() == Some("transform") {
            mistakes.push(Mistake::of(
                origin,
                "rules cannot be set by a flag",
                "write them in the file as [[transform]]",
            ));
            continue;
        }
        let given = Given { value: Value::Untyped(value.to_owned()), origin: origin.clone() };
        if let Some(earlier) = specific.give(key.to_owned(), given) {
            let what = format!("is given twice, here and as {}", earlier.origin);
            mistakes.push(Mistake::about(origin, key, what, "give it once"));
        }
    }
    [general, specific]
}
