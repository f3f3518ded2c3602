//! What the documents say is so: files, functions, commands, keys and metrics that they name are there.
#![cfg(test)]

mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::Parser as _;
    use shadowtable::cli::Cli;
    use shadowtable::config::{self, Flags};
    use shadowtable::telemetry::names::{self, Kind};

    /// A document: its path from the root, and its text.
    type Document = (String, String);

    #[test]
    fn every_file_that_a_document_names_exists() {
        let mut missing = Vec::new();
        for (name, text) in documents() {
            let spans = spans(&text).into_iter().filter(|span| is_path(span));
            let spans = spans.map(|span| span.split('#').next().unwrap_or(span).to_owned());
            missing.extend(spans.filter(|path| !root().join(path).exists()).map(|path| format!("{name}: {path}")));
            let folder = root().join(&name).parent().unwrap().to_path_buf();
            let links = links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with('#'));
            missing.extend(
                links
                    .map(|link| link.split('#').next().unwrap_or(link))
                    .filter(|link| !folder.join(link).exists())
                    .map(|link| format!("{name}: {link}")),
            );
        }
        assert!(missing.is_empty(), "no such files:\n{}", missing.join("\n"));
    }

    /// `file#name` stands for an item: a function, a type, a constant.
    #[test]
    fn every_item_that_a_document_names_exists() {
        let (mut missing, mut seen) = (Vec::new(), 0);
        for (name, text) in documents() {
            for span in spans(&text).into_iter().filter(|span| is_path(span)) {
                let Some((file, item)) = span.split_once('#') else { continue };
                seen += 1;
                let source = fs::read_to_string(root().join(file)).unwrap_or_default();
                let declared = ["fn", "struct", "enum", "trait", "const", "static", "type", "macro_rules!"]
                    .iter()
                    .any(|keyword| has_word(&source, &format!("{keyword} {item}")));
                if !declared {
                    missing.push(format!("{name}: {span}"));
                }
            }
        }
        assert!(missing.is_empty(), "no such items:\n{}", missing.join("\n"));
        assert!(seen > 50, "only {seen} items were looked for");
    }

    /// What a document calls a test is one, and not a helper.
    #[test]
    fn every_test_that_a_document_names_is_run() {
        let suites = ["tests/e2e/", "tests/protocol/", "tests/simulation/"];
        for (name, text) in documents() {
            for span in spans(&text).into_iter().filter(|span| suites.iter().any(|suite| span.starts_with(suite))) {
                let Some((file, test)) = span.split_once('#') else { continue };
                let source = read(file);
                let (before, _) = source.split_once(&format!("fn {test}(")).unwrap_or_else(|| panic!("{name}: {span}"));
                assert!(before.trim_end().ends_with("#[test]"), "{name}: {span} is no test");
            }
        }
    }

    /// What was broken on purpose is what the document tells, with the test that a mutant names.
    #[test]
    fn every_mutant_has_its_row_and_no_other_row_is_there() {
        let text = read("docs/design/CORRECTNESS.md");
        let (_, table) = text.split_once("| broken | histories |\n|---|---|\n").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with('|')).map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            (cells.next().unwrap(), cells.next().unwrap())
        });
        let rows: BTreeMap<String, String> = rows.collect();
        let mut mutants = BTreeSet::new();
        for mutant in mutants_there() {
            let broken = mutant.broken.replace("(invariant ", "(");
            let told = rows.get(&broken).unwrap_or_else(|| panic!("{}: no row says {broken:?}", mutant.name));
            match mutant.test {
                Some(named) => assert_eq!(*told, named, "{}", mutant.name),
                None => assert!(told.parse::<u32>().is_ok(), "{}: {told}", mutant.name),
            }
            mutants.insert(broken);
        }
        let others: Vec<_> = rows.keys().filter(|row| !mutants.contains(*row)).collect();
        assert!(mutants.len() > 50 && others.is_empty(), "no mutant is behind {others:?}");
    }

    /// A rule has one name, and is broken where the table says that it lives.
    #[test]
    fn every_mutant_breaks_a_rule_of_the_table_where_that_lives() {
        let text = read("docs/design/ARCHITECTURE.md");
        let (_, table) = text.split_once("| rule | done by |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|')).map(|row| {
            let mut cells = row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
            (cells.next().unwrap(), (cells.next().unwrap(), cells.next().unwrap()))
        });
        let rows: BTreeMap<String, (String, String)> = rows.collect();
        for Mutant { name, rule, file, test, .. } in mutants_there() {
            let (places, tests) = rows.get(&rule).unwrap_or_else(|| panic!("{name}: the table has no rule {rule:?}"));
            assert!(places.contains(&format!("`{file}#")), "{name}: {rule} does not live in {file}");
            if let Some(test) = test {
                assert!(tests.contains(&format!("`{test}`")), "{name}: {rule} does not name {test}");
            }
        }
    }

    /// What is broken on purpose.
    struct Mutant {
        name: String,
        broken: String,
        rule: String,
        file: String,
        /// The test that must fail, as documents name it.
        test: Option<String>,
    }

    fn mutants_there() -> Vec<Mutant> {
        let mutant = |(name, text): (String, String)| {
            let mutant: toml::Table = text.parse().unwrap();
            let value = |key: &str| mutant[key].as_str().unwrap().to_owned();
            let test = mutant.contains_key("test").then(|| {
                let named = value("test");
                if named.contains('#') {
                    return named;
                }
                let (target, path) = named.split_once(' ').unwrap();
                let (module, function) = path.split_once("::").unwrap();
                format!("tests/{target}/{module}.rs#{function}")
            });
            Mutant { name, broken: value("broken"), rule: value("rule"), file: value("file"), test }
        };
        files(&["tests/mutants"]).into_iter().map(mutant).collect()
    }

    /// Sources point to documents too.
    #[test]
    fn every_document_that_a_source_names_exists() {
        let mut missing = Vec::new();
        for (name, text) in files(&["src", "tests", "benches", "config", "xtask", ".ci"]) {
            for word in text.split(|letter: char| !letter.is_alphanumeric() && !"/.-_".contains(letter)) {
                let path = word.trim_end_matches('.');
                let is_document =
                    path.starts_with("docs/") && Path::new(path).extension().is_some_and(|end| end == "md");
                if is_document && !root().join(path).exists() {
                    missing.push(format!("{name}: {path}"));
                }
            }
        }
        assert!(missing.is_empty(), "no such documents:\n{}", missing.join("\n"));
    }

    #[test]
    fn every_command_in_a_document_is_understood() {
        let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
        for (name, text) in documents() {
            for command in commands(&text) {
                // Help and versions come as errors with code 0.
                if let Err(error) = Cli::try_parse_from(command.split_whitespace())
                    && error.exit_code() != 0
                {
                    let told = error.to_string();
                    wrong.push(format!("{name}: {command}: {}", told.lines().next().unwrap_or_default()));
                }
                seen.extend(verb(&command));
            }
        }
        assert!(wrong.is_empty(), "commands that do not exist:\n{}", wrong.join("\n"));
        let expected = [
            "abort",
            "audit",
            "completions",
            "config",
            "cutover",
            "demo",
            "finish",
            "forget",
            "lease",
            "list",
            "man",
            "pause",
            "postpone",
            "quarantine",
            "reseed",
            "resume",
            "run",
            "status",
            "unfence",
        ];
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected, "the tour shows every verb");
    }

    #[test]
    fn the_configuration_in_the_readme_is_right() {
        let text = read("README.md");
        let (_, rest) = text.split_once("```toml\n").expect("the README shows a configuration");
        let (example, _) = rest.split_once("```").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shadowtable.toml");
        fs::write(&file, example).unwrap();
        fs::copy(root().join("config/layout.yaml"), folder.path().join("layout.yaml")).unwrap();
        let flags = Flags { file: Some(file), ..Flags::default() };
        config::load(&flags, &BTreeMap::new()).for_migration().unwrap();
    }

    #[test]
    fn every_key_that_a_document_names_exists() {
        let loaded = config::load(&Flags::default(), &BTreeMap::new());
        let known: BTreeSet<&str> = loaded.known_keys().collect();
        let sections: BTreeSet<&str> = known.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
        // The fields of the status document are named like keys.
        for (name, text) in documents().into_iter().filter(|(name, _)| name != "docs/operations/status.md") {
            for span in spans(&text) {
                let key = span.split([' ', '=']).next().unwrap_or(span);
                let Some((section, rest)) = key.split_once('.') else { continue };
                let is_key = sections.contains(section) && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                // `run.rs` and the like are files.
                assert!(!is_key || rest == "rs" || known.contains(key), "{name}: there is no key {key}");
            }
        }
    }

    #[test]
    fn every_metric_that_a_document_names_exists() {
        let known: BTreeSet<&str> = names::ALL.iter().map(|metric| metric.name).collect();
        for (name, text) in documents() {
            // With colons: what a Prometheus records (`tests/deploy.rs` knows those).
            for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && !['_', ':'].contains(&letter)) {
                let metric =
                    ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
                assert!(
                    !word.starts_with("shadowtable_") || known.contains(metric) || known.contains(word),
                    "{name}: there is no metric {word}"
                );
            }
        }
    }

    #[test]
    fn the_metrics_page_lists_every_metric_with_its_type_and_unit() {
        let page = read("docs/operations/metrics.md");
        let row = |line: &str| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, unit, _, meaning, _] = cells.as_slice() else { return None };
            assert!(meaning.ends_with('.') || *meaning == "what it says" || meaning.starts_with('-'), "{line}");
            let name = name.strip_prefix('`')?.strip_suffix('`')?;
            Some((name.to_owned(), (*kind).to_owned(), (*unit).to_owned()))
        };
        let documented: BTreeSet<_> = page.lines().filter(|line| line.starts_with('|')).filter_map(row).collect();
        let known: BTreeSet<_> = names::ALL
            .iter()
            .map(|metric| {
                let kind = format!("{:?}", metric.kind).to_lowercase();
                (metric.name.to_owned(), kind, metric.unit.as_str().to_owned())
            })
            .collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn metrics_are_named_by_one_scheme() {
        let mut seen = BTreeSet::new();
        for metric in names::ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("shadowtable_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}: counters end in _total");
            let unit = metric.unit.as_str();
            if ["seconds", "bytes"].contains(&unit) {
                assert!(name.contains(unit), "{name} is in {unit}");
            }
            assert!(metric.help.ends_with('.'), "{name}: its help is a sentence");
        }
    }

    /// The tools of this file see what they must.
    #[test]
    fn spans_links_and_commands_are_found() {
        let text = "See `src/lib.rs` and [this](docs/adr).\n\n```sh\n$ ls\nshadowtable -c f.toml run   # begin\n\
                    cargo run --release -- demo\n```\n`shadowtable status --json` or `shadowtable`.";
        assert_eq!(spans(text), ["src/lib.rs", "shadowtable status --json", "shadowtable"]);
        assert_eq!(links(text), ["docs/adr"]);
        assert_eq!(commands(text), ["shadowtable -c f.toml run", "shadowtable demo", "shadowtable status --json"]);
        assert_eq!(verb("shadowtable -c f.toml --set a.b=c pause all").as_deref(), Some("pause"));
        assert!(has_word("fn abc()", "fn abc") && !has_word("fn abcd()", "fn abc"));
    }

    /// All documents: those of the root, and those of `docs/`.
    fn documents() -> Vec<Document> {
        let mut documents: Vec<Document> =
            ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| (name.to_owned(), read(name))).into();
        documents.extend(files(&["docs"]).into_iter().filter(|(name, _)| has_extension(name, "md")));
        assert!(documents.len() > 10, "the documents were not found");
        documents
    }

    /// The text files in these folders.
    fn files(folders: &[&str]) -> Vec<Document> {
        let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    found.push((path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text));
                }
            }
        }
        found.sort();
        found
    }

    /// The code spans of a text, blocks aside.
    fn spans(text: &str) -> Vec<&str> {
        let parts = text.split("```").step_by(2);
        parts.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
    }

    /// The targets of the links of a text.
    fn links(text: &str) -> Vec<&str> {
        let prose = text.split("```").step_by(2);
        prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
    }

    /// The commands of our own in blocks and spans, as words.
    fn commands(text: &str) -> Vec<String> {
        let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        let spans = spans(text).into_iter().filter(|span| span.contains(' '));
        blocks
            .chain(spans)
            .map(|line| line.split([';', '#', '>', '|', '&']).next().unwrap_or(line).trim())
            .filter_map(|line| match line.strip_prefix("cargo run --release -- ") {
                Some(rest) => Some(format!("shadowtable {rest}")),
                None => line.starts_with("shadowtable ").then(|| line.to_owned()),
            })
            .collect()
    }

    /// The first word of a command that is neither a flag nor a flag's value.
    fn verb(command: &str) -> Option<String> {
        let mut words = command.split_whitespace().skip(1);
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                return Some(word.to_owned());
            }
            // Every flag that goes before a verb has a value.
            words.next();
        }
        None
    }

    /// A path from the root, perhaps with an item in it. Patterns and folders of other programs are none.
    fn is_path(span: &str) -> bool {
        const FOLDERS: [&str; 9] =
            ["src/", "tests/", "docs/", "config/", "benches/", "deploy/", "xtask/", ".ci/", ".cargo/"];
        let plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-#".contains(&byte));
        plain && FOLDERS.iter().any(|folder| span.starts_with(folder))
    }

    fn has_word(text: &str, word: &str) -> bool {
        let part_of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        text.match_indices(word).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
            !before.is_some_and(part_of_a_name) && !after.is_some_and(part_of_a_name)
        })
    }

    fn has_extension(name: &str, extension: &str) -> bool {
        Path::new(name).extension().is_some_and(|found| found == extension)
    }

    fn read(name: &str) -> String {
        fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }
}
