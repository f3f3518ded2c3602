//! Imports point downwards only. Held by reading every path in `src/`: `use` lines, and paths inside the code.
//!
//! Who may import whom is [`MAY_IMPORT`]; `docs/design/ARCHITECTURE.md` tells why. Doc comments may point anywhere.
#![cfg(test)]

mod rust_paths;

mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::rust_paths::{Named, module_of, names_in};

    /// Each layer, and the paths it may import from outside itself. A path stands for all that lies under it.
    const MAY_IMPORT: [(&str, &[&str]); 14] = [
        ("model", &[]),
        ("document", &[]),
        ("layout", &["model", "document"]),
        ("protocol", &["model"]),
        ("ports", &["model", "layout", "protocol"]),
        ("telemetry", &["model", "protocol", "ports"]),
        ("programs", &["ports"]),
        ("aws", &["model", "layout", "protocol", "ports", "programs"]),
        ("engine", &["model", "layout", "protocol", "ports", "telemetry"]),
        ("config", &CONFIG),
        ("runtime", &["model", "layout", "protocol", "ports", "telemetry", "engine"]),
        ("operator", &["model", "ports", "protocol", "engine", "runtime"]),
        ("admin", &["telemetry", "runtime"]),
        (
            "cli",
            &[
                "admin",
                "operator",
                "model",
                "layout",
                "protocol",
                "ports",
                "telemetry",
                "aws",
                "engine",
                "config",
                "runtime",
                "programs",
            ],
        ),
    ];

    /// Configuration makes other layers' settings, and knows nothing else of them.
    const CONFIG: [&str; 20] = [
        "document",
        "model",
        "layout",
        "protocol::transform",
        "ports::Program",
        "aws::ConnectionSettings",
        "aws::PointerItem",
        "aws::PointerSettings",
        "aws::TableSettings",
        "engine::EngineSettings",
        "engine::ApplySettings",
        "engine::CopySettings",
        "engine::CutoverSettings",
        "engine::Fence",
        "engine::Hooks",
        "engine::Switch",
        "engine::LeaseSettings",
        "engine::TailSettings",
        "telemetry::LogSettings",
        "telemetry::LogFormat",
    ];

    /// Inside the engine: copy and tail do not know each other, and what they meet in knows neither.
    const NEVER: [(&str, &str); 4] = [
        ("engine::replicate::copy", "engine::replicate::tail"),
        ("engine::replicate::tail", "engine::replicate::copy"),
        ("engine::replicate::apply", "engine::replicate::copy"),
        ("engine::replicate::apply", "engine::replicate::tail"),
    ];

    /// What `model` takes from the SDK, for everybody.
    const SDK_IN_MODEL: [&str; 2] = ["aws_sdk_dynamodb::types::AttributeValue", "aws_smithy_types::Blob"];

    /// A module, and the paths that it names in this crate, in words.
    type Imports = (Vec<String>, Vec<Vec<String>>);

    /// What the end-to-end tests know of the library: under which names metrics are looked for.
    const METRIC_NAMES: &str = "shadowtable::telemetry::names";

    #[test]
    fn every_module_has_its_place() {
        let entries = fs::read_dir(source_folder()).unwrap();
        let modules: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| name != "lib" && name != "main")
            .collect();
        let layers = MAY_IMPORT.iter().map(|(layer, _)| (*layer).to_owned()).collect();
        assert_eq!(modules, layers, "a module is missing in MAY_IMPORT, or there without a reason");
    }

    #[test]
    fn imports_point_downwards() {
        let found: Vec<_> = sources().iter().flat_map(|(file, text)| upward(file, text)).collect();
        assert!(found.is_empty(), "imports against the rule:\n{}", found.join("\n"));
    }

    #[test]
    fn copy_and_tail_meet_only_in_apply() {
        let found: Vec<_> = sources().iter().flat_map(|(file, text)| forbidden(file, text)).collect();
        assert!(found.is_empty(), "imports against the rule:\n{}", found.join("\n"));
    }

    #[test]
    fn the_sdk_stays_in_aws() {
        let found: Vec<_> = sources().iter().flat_map(|(file, text)| sdk(file, text)).collect();
        assert!(found.is_empty(), "the SDK outside src/aws:\n{}", found.join("\n"));
    }

    #[test]
    fn the_binary_knows_the_command_line_alone() {
        let text = fs::read_to_string(source_folder().join("main.rs")).unwrap();
        let paths: Vec<String> = names_in(&text, &[]).into_iter().map(|named| named.path).collect();
        // The allocator is the binary's to choose.
        let known = ["std", "shadowtable::cli", "mimalloc"];
        let foreign: Vec<_> = paths.iter().filter(|path| !known.iter().any(|known| under(path, known))).collect();
        assert_eq!(foreign, [""; 0]);
    }

    /// What judges the program from outside would share its mistakes.
    #[test]
    fn the_end_to_end_tests_use_nothing_of_the_library() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["tests/e2e", "tests/testkit/src/real"].map(|folder| sources_in(&root.join(folder))).concat();
        assert!(files.len() > 30, "the tests were not found");
        let found: Vec<_> = files.iter().flat_map(|(file, text)| of_the_library(file, text)).collect();
        assert!(found.is_empty(), "the library in the tests:\n{}", found.join("\n"));
    }

    /// In each folder, no file or folder of it needs itself by way of others. What `mod.rs` has is the folder's own.
    #[test]
    fn no_imports_go_round() {
        let files: Vec<_> = sources().iter().map(|(file, text)| imports(file, text)).collect();
        let mut circles = BTreeSet::new();
        for folder in folders(&files) {
            let between = imports_between_children(&folder, &files);
            circles.extend(circle(&between).map(|circle| format!("{}: {}", folder.join("::"), circle.join(" → "))));
        }
        assert!(circles.is_empty(), "imports that go round:\n{}", circles.into_iter().collect::<Vec<_>>().join("\n"));
    }

    /// A file tells one story. How long a function may be is clippy's (`clippy.toml`).
    #[test]
    fn no_file_is_longer_than_its_story() {
        const LINES: usize = 500;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["src", "tests", "benches", "xtask"].map(|folder| sources_in(&root.join(folder))).concat();
        let long = files.iter().filter(|(_, text)| text.lines().count() > LINES);
        let long: Vec<_> = long.map(|(file, text)| format!("{file}: {} lines", text.lines().count())).collect();
        assert!(files.len() > 200 && long.is_empty(), "longer than {LINES} lines:\n{}", long.join("\n"));
    }

    /// The checks above see violations planted in the places where they must not be.
    #[test]
    fn a_planted_violation_is_found() {
        let planted = "use crate::aws::{AwsPorts, Connection};\nfn f() { crate::runtime::run(); }";
        assert_eq!(upward("engine/replicate/tail/pin.rs", planted).len(), 3);
        assert_eq!(upward("cli/run.rs", planted), [""; 0]);
        assert_eq!(upward("config/keys.rs", "use crate::engine::EngineSettings;"), [""; 0]);
        assert_eq!(upward("config/keys.rs", "use crate::engine::{self, EngineError};").len(), 2);
        assert_eq!(upward("protocol/slots/queue.rs", "use super::super::super::ports::Clock;").len(), 1);
        assert_eq!(forbidden("engine/replicate/copy/mod.rs", "use super::tail::Tail;").len(), 1);
        assert_eq!(
            forbidden("engine/replicate/tail/pin.rs", "use crate::engine::replicate::{apply::Applier, copy};").len(),
            1
        );
        assert_eq!(forbidden("engine/tables/provision.rs", "use super::{copy, tail};"), [""; 0]);
        assert_eq!(sdk("engine/store.rs", "use aws_sdk_dynamodb::Client;").len(), 1);
        assert_eq!(sdk("model/item.rs", "use aws_sdk_dynamodb::types::AttributeValue;"), [""; 0]);
        assert_eq!(sdk("model/item.rs", "use aws_sdk_dynamodb::types::WriteRequest;").len(), 1);
        assert_eq!(of_the_library("table.rs", "use shadowtable::model::Item;\nuse testkit::fakes::World;").len(), 2);
        let round = [("copy/read.rs", "use super::pace::Pace;"), ("copy/pace.rs", "fn f() { crate::copy::read::g() }")];
        let round = round.map(|(file, text)| imports(file, text));
        assert_eq!(circle(&imports_between_children(&["copy".to_owned()], &round)).unwrap(), ["pace", "read", "pace"]);
        assert_eq!(circle(&imports_between_children(&[], &round)), None);
        assert_eq!(of_the_library("table.rs", "use super::items;\nuse testkit::real::table::Table;"), [""; 0]);
    }

    /// Imports of `file` that its layer may not have.
    fn upward(file: &str, text: &str) -> Vec<String> {
        let module = module_of(file);
        let Some(layer) = module.first() else { return Vec::new() };
        let allowed = MAY_IMPORT.iter().find(|(name, _)| name == layer).map_or(&[][..], |(_, allowed)| allowed);
        let ours = |path: &str| under(path, layer) || allowed.iter().any(|allowed| under(path, allowed));
        inside(text, &module).filter(|(_, path)| !ours(path)).map(|found| told(file, &found)).collect()
    }

    /// Imports of `file` between parts of the engine that must not know each other.
    fn forbidden(file: &str, text: &str) -> Vec<String> {
        let module = module_of(file);
        let own = module.join("::");
        inside(text, &module)
            .filter(|(_, path)| NEVER.iter().any(|(from, to)| under(&own, from) && under(path, to)))
            .map(|found| told(file, &found))
            .collect()
    }

    /// Names of the SDK's crates in `file` where they do not belong.
    fn sdk(file: &str, text: &str) -> Vec<String> {
        let module = module_of(file);
        let layer = module.first().map_or("", String::as_str);
        let names = names_in(text, &module).into_iter().filter(|named| named.path.starts_with("aws_"));
        let allowed = |path: &str| layer == "aws" || layer == "model" && SDK_IN_MODEL.contains(&path);
        names.filter(|named| !allowed(&named.path)).map(|named| told(file, &(named.line, named.path))).collect()
    }

    /// Names of the library in a file of the tests, and of the tools that use it.
    fn of_the_library(file: &str, text: &str) -> Vec<String> {
        let tools = ["fakes", "harness", "histories", "model"]
            .map(|tool| [format!("crate::{tool}"), format!("testkit::{tool}")]);
        let ours = |path: &str| {
            under(path, "shadowtable") && path != METRIC_NAMES || tools.iter().flatten().any(|tool| under(path, tool))
        };
        let names = names_in(text, &[]).into_iter().filter(|named| ours(&named.path));
        names.map(|named| format!("{file}:{}: {}", named.line, named.path)).collect()
    }

    /// The paths inside this crate that a text names, without `crate::`.
    fn inside(text: &str, module: &[String]) -> impl Iterator<Item = (usize, String)> {
        let names = names_in(text, module).into_iter();
        names.filter_map(|Named { line, path }| Some((line, path.strip_prefix("crate::")?.to_owned())))
    }

    /// A file's module, and what its code names in this crate. Unit tests may use what uses the file.
    fn imports(file: &str, text: &str) -> Imports {
        let module = module_of(file);
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
        let paths = inside(code, &module).map(|(_, path)| path.split("::").map(str::to_owned).collect()).collect();
        (module, paths)
    }

    /// Every folder with Rust in it, as a module; the root is the empty one.
    fn folders(files: &[Imports]) -> BTreeSet<Vec<String>> {
        let ancestors =
            |module: &Vec<String>| (0..module.len()).map(|depth| module[..depth].to_vec()).collect::<Vec<_>>();
        files.iter().flat_map(|(module, _)| ancestors(module)).collect()
    }

    /// Which child of a folder names which other one.
    fn imports_between_children(folder: &[String], files: &[Imports]) -> BTreeMap<String, BTreeSet<String>> {
        let child = |module: &[String]| module.strip_prefix(folder).and_then(|rest| rest.first()).cloned();
        let children: BTreeSet<String> = files.iter().filter_map(|(module, _)| child(module)).collect();
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, paths) in files {
            let Some(from) = child(module) else { continue };
            let others = paths.iter().filter_map(|path| child(path)).filter(|to| children.contains(to) && *to != from);
            imports.entry(from.clone()).or_default().extend(others);
        }
        imports
    }

    /// A way round, if there is one.
    fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
        fn back(at: &str, way: &mut Vec<String>, imports: &BTreeMap<String, BTreeSet<String>>) -> bool {
            if let Some(first) = way.iter().position(|passed| passed == at) {
                way.drain(..first);
                way.push(at.to_owned());
                return true;
            }
            way.push(at.to_owned());
            let found = imports.get(at).is_some_and(|named| named.iter().any(|next| back(next, way, imports)));
            if !found {
                way.pop();
            }
            found
        }
        imports.keys().find_map(|start| {
            let mut way = Vec::new();
            back(start, &mut way, imports).then_some(way)
        })
    }

    fn under(path: &str, parent: &str) -> bool {
        path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    fn told(file: &str, (line, path): &(usize, String)) -> String {
        format!("src/{file}:{line}: {path}")
    }

    fn source_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
    }

    fn sources() -> Vec<(String, String)> {
        let sources = sources_in(&source_folder());
        assert!(sources.len() > 50, "the sources were not found");
        sources
    }

    /// Every file of Rust in a folder, by its path in there.
    fn sources_in(root: &Path) -> Vec<(String, String)> {
        let mut folders = vec![root.to_owned()];
        let mut sources = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    sources.push((file, fs::read_to_string(&path).unwrap()));
                }
            }
        }
        sources.sort();
        sources
    }
}
