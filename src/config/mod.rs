//! Configuration: a file, overridden by the environment, overridden by flags, to valid settings.
//!
//! | file | does |
//! |---|---|
//! | `keys`, `cutover` | every key with its range; what is not given stays at the default of the settings |
//! | `program`, `demo` | a value that is a program; what the demo sets where nothing is given |
//! | `file`, `environment`, `flags` | the three sources, each as a layer of values |
//! | `transform`, `layout` | the rules of the file, and the layout file that it names |
//! | `reader`, `value` | takes values out of the layers, the highest one winning |
//! | `mistake` | what is wrong, where, and what to do |
//! | `names` | what may stand in the name of a table or a migration |
//! | `settings` | what each verb gets; what tunes the engine is in `engine::settings` |
//!
//! A new key is asked for in `keys` or `cutover`, is a field with a default in the settings that own it, and has a line in
//! `config/shadowtable.toml`; `tests/config.rs` compares the three.
//!
//! What must hold:
//!
//! - **All mistakes at once.** Reading never stops at the first: a wrong value is noted with its origin (file, line and
//!   column; variable; flag) and what to do, and reading goes on. Settings leave this module only when there is no
//!   mistake.
//! - **Unknown is wrong**, in every source. The schema is not written down a second time: the keys that
//!   `keys` asks the `reader` for are those that exist.
//! - **The environment is read here** and nowhere else, in [`environment()`]; everything below works on a map.
//!
//! The file is walked as a tree with places rather than deserialised, since serde stops at the first wrong value and
//! knows no place for an unknown key. [`load`] reads; each verb then demands what it needs of [`Loaded`].

mod cutover;
mod demo;
mod environment;
mod file;
mod flags;
mod keys;
mod layout;
mod mistake;
mod names;
mod program;
mod reader;
mod settings;
#[cfg(test)]
mod tests;
mod transform;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use environment::{FILE_VARIABLE, environment, no_color, user_name};
pub use flags::{Flag, Flags};
pub use mistake::{Mistake, Mistakes, Origin, PREFIX};
pub use settings::{
    AdminSettings, CommandSettings, ConnectionSettings, DemoSettings, LogFormat, LogSettings, MigrationId, Profiles,
    Settings, StateSettings, TableSettings, TargetFile,
};

use file::File;
use keys::{SHADOW, SOURCE, Sections};
use reader::{Layer, Reader};

use crate::protocol::transform::Rule;

/// The file that is read from the working directory where none is named.
pub const FILE_NAME: &str = "shadowtable.toml";

/// Reads file, environment (only what begins with [`PREFIX`] counts) and flags. It always succeeds; what is wrong is
/// said by the method of [`Loaded`] that a verb calls, along with what the verb misses.
pub fn load(flags: &Flags, environment: &BTreeMap<String, String>) -> Loaded {
    load_in(None, flags, environment)
}

/// The same. Where no file is named, [`FILE_NAME`] in `folder` is read, if it is there.
pub fn load_in(folder: Option<&Path>, flags: &Flags, environment: &BTreeMap<String, String>) -> Loaded {
    let mut mistakes = Vec::new();
    let by_flag = || Some((flags.file.clone()?, Origin::Flag { flag: "--config".to_owned() }));
    let by_variable = || {
        let path = environment.get(FILE_VARIABLE)?;
        Some((PathBuf::from(path), Origin::Environment { variable: FILE_VARIABLE.to_owned() }))
    };
    let named = by_flag().or_else(by_variable);
    let found = || Some(folder?.join(FILE_NAME)).filter(|path| named.is_none() && path.is_file());
    let found = found().map(|path| (path, Origin::File { name: FILE_NAME.to_owned() }));
    let by_itself = found.is_some();
    let file = named.or(found).map(|(path, origin)| File::read(&path, origin, &mut mistakes));
    Loaded { found_by_itself: by_itself, ..read(file, flags, environment, mistakes) }
}

fn read(
    file: Option<File>,
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    mut mistakes: Vec<Mistake>,
) -> Loaded {
    let from_environment = environment::layer(environment);
    let [general, specific] = flags::layers(flags, &mut mistakes);
    let (file_layer, rest) = match file {
        Some(File { name, folder, layer, sections, transform, understood }) => {
            (layer, Rest { file: Some(name), folder, places: sections, transform, understood })
        }
        None => (Layer::named_by(str::to_owned), Rest { understood: true, ..Rest::default() }),
    };
    let mut reader = Reader::new(vec![file_layer, from_environment, general, specific]);
    let sections = keys::read(&mut reader);
    let layout_origin = reader.origin(keys::TARGET_LAYOUT).cloned();
    let outcome = reader.finish(&rest.places);
    mistakes.extend(outcome.mistakes);
    Loaded {
        sections,
        rest,
        layout_origin,
        mistakes,
        given: outcome.given,
        known: outcome.known,
        found_by_itself: false,
    }
}

/// A configuration that was read, with its mistakes.
#[derive(Debug)]
pub struct Loaded {
    sections: Sections,
    rest: Rest,
    layout_origin: Option<Origin>,
    mistakes: Vec<Mistake>,
    given: BTreeSet<&'static str>,
    known: BTreeSet<&'static str>,
    found_by_itself: bool,
}

/// What a file has besides values.
#[derive(Debug, Default)]
struct Rest {
    file: Option<String>,
    folder: PathBuf,
    places: BTreeMap<String, Origin>,
    transform: Vec<Rule>,
    understood: bool,
}

impl Loaded {
    /// Whether a file was read that nobody named.
    pub fn is_found_by_itself(&self) -> bool {
        self.found_by_itself
    }

    /// Every key there is, as `section.key`, in alphabetic order; rules aside.
    pub fn known_keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.known.iter().copied()
    }

    /// For a verb that works on both tables: migration, source and shadow are demanded, and the layout file is read.
    pub fn for_migration(mut self) -> Result<Settings, Mistakes> {
        self.demand(keys::MIGRATION_ID, "--migration ID");
        self.demand(SOURCE.table, "--source-table NAME");
        self.demand(SHADOW.table, "--shadow-table NAME");
        let target = self.target();
        let Sections { migration, source, shadow, state, engine, pointer, admin, log, .. } = self.sections;
        match (migration, source.present(), shadow.present()) {
            (Some(migration), Some(source), Some(shadow)) if self.mistakes.is_empty() => Ok(Settings {
                migration,
                source,
                shadow,
                state,
                target,
                transform: self.rest.transform,
                engine,
                pointer,
                admin,
                log,
            }),
            _ => Err(Mistakes::sorted(self.mistakes)),
        }
    }

    /// For a verb that reads or commands one migration through the state table: the migration is demanded.
    pub fn for_command(mut self) -> Result<CommandSettings, Mistakes> {
        self.demand(keys::MIGRATION_ID, "--migration ID");
        let Sections { migration, source, shadow, state, log, .. } = self.sections;
        let profiles = Profiles { source: source.connection.profile, shadow: shadow.connection.profile };
        match migration {
            Some(migration) if self.mistakes.is_empty() => Ok(CommandSettings { migration, state, profiles, log }),
            _ => Err(Mistakes::sorted(self.mistakes)),
        }
    }

    /// For a verb that looks at one table: this one, or the source, reached as the source is.
    pub fn for_table(mut self, table: Option<&str>) -> Result<(TableSettings, LogSettings), Mistakes> {
        if table.is_none() {
            self.demand(SOURCE.table, "--table NAME");
        }
        let Sections { source, log, .. } = self.sections;
        let connection = source.connection.clone();
        let named = table.map(|table| TableSettings { table: table.to_owned(), connection });
        match named.or_else(|| source.present()) {
            Some(table) if self.mistakes.is_empty() => Ok((table, log)),
            _ => Err(Mistakes::sorted(self.mistakes)),
        }
    }

    /// For a verb that reads the state table as a whole: nothing is demanded.
    pub fn for_state_only(self) -> Result<StateSettings, Mistakes> {
        let Sections { state, log, .. } = self.sections;
        if self.mistakes.is_empty() { Ok(StateSettings { state, log }) } else { Err(Mistakes::sorted(self.mistakes)) }
    }

    /// For the demo: nothing is demanded, and what was not given is as suits a short show.
    pub fn for_demo(self) -> Result<DemoSettings, Mistakes> {
        let Sections { mut engine, admin, mut log, .. } = self.sections;
        demo::tune(&mut engine, &mut log, |key| self.given.contains(key));
        if self.mistakes.is_empty() {
            Ok(DemoSettings { engine, admin, log })
        } else {
            Err(Mistakes::sorted(self.mistakes))
        }
    }

    /// Notes that a key is missing, unless it was given (then its value is wrong, which is noted already) or the file
    /// could not be understood (then it may well be there).
    fn demand(&mut self, key: &'static str, flag: &str) {
        if self.given.contains(key) || !self.rest.understood {
            return;
        }
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let in_file = self.rest.file.clone().map_or(Origin::Nowhere, |name| Origin::File { name });
        let origin = self.rest.places.get(section).cloned().unwrap_or(in_file);
        let nothing_read = match &origin {
            // Once is enough.
            Origin::Nowhere if self.mistakes.iter().all(|mistake| mistake.origin != Origin::Nowhere) => {
                format!("; no configuration file was read: name one with -c, or have {FILE_NAME} here")
            }
            _ => String::new(),
        };
        let remedy = format!(
            "set {name} under [{section}] in the configuration file, {}, or {flag}{nothing_read}",
            environment::variable(key)
        );
        self.mistakes.push(Mistake::about(origin, key, "is missing", remedy));
    }

    /// The layout file. A path in the configuration file is relative to that, any other to the working folder.
    fn target(&mut self) -> Option<TargetFile> {
        let (layout, origin) = (self.sections.layout.as_ref()?, self.layout_origin.clone()?);
        let folder = match origin {
            Origin::Place { .. } => self.rest.folder.as_path(),
            _ => Path::new(""),
        };
        layout::read(layout, folder, origin, &mut self.mistakes)
    }
}
