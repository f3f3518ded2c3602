//! What an operator sees of configuration: the real binary, the examples, and what the documentation promises.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in the functions around it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use shadowtable::config::{Flags, Settings, load};

/// The binary, with nothing of ours in its environment.
fn shadowtable() -> Command {
    let mut command = Command::cargo_bin("shadowtable").unwrap();
    command.env_clear();
    command
}

/// Exit code, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn example() -> String {
    std::fs::read_to_string(examples().join("shadowtable.toml")).unwrap()
}

/// Settings of a file beside which the example's `layout.yaml` lies.
fn settings_of(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shadowtable.toml");
    std::fs::copy(examples().join("layout.yaml"), folder.path().join("layout.yaml")).unwrap();
    std::fs::write(&file, text).unwrap();
    let flags = Flags { file: Some(file), ..Flags::default() };
    load(&flags, &BTreeMap::new()).for_migration().unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

fn known_keys() -> BTreeSet<String> {
    load(&Flags::default(), &BTreeMap::new()).known_keys().map(str::to_owned).collect()
}

/// A key of the complete example: its line, and the comment above it.
struct Documented {
    line: String,
    comment: String,
}

/// The keys of the complete example, commented out or not.
fn documented_keys() -> BTreeMap<String, Documented> {
    let (mut keys, mut section, mut comment) = (BTreeMap::new(), String::new(), String::new());
    for line in example().lines() {
        if line.starts_with("# ") {
            comment.push_str(line);
            continue;
        }
        let line = line.trim_start_matches('#');
        if let Some(name) = line.strip_prefix('[') {
            name.trim_matches(['[', ']']).clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| section != "transform") {
            let documented = Documented { line: line.to_owned(), comment: std::mem::take(&mut comment) };
            assert!(keys.insert(format!("{section}.{key}"), documented).is_none(), "{section}.{key} is there twice");
        }
        comment.clear();
    }
    keys
}

/// The complete example with those keys uncommented of which `is_wanted` holds, and without the rules.
fn uncommented(is_wanted: impl Fn(&Documented) -> bool) -> String {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, documented) in documented_keys() {
        if is_wanted(&documented) {
            let (section, _) = key.split_once('.').unwrap();
            sections.entry(section.to_owned()).or_default().push(documented.line);
        }
    }
    let sections = sections.iter().map(|(section, lines)| format!("[{section}]\n{}\n", lines.join("\n")));
    sections.collect::<Vec<_>>().concat()
}

#[test]
fn all_mistakes_are_reported_at_once_with_places_and_remedies() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"colour = "red"
[migration]
id = "not allowed"
[source]
table = "ab"
regoin = "eu-central-1"
role_arn = "shadowtable"
endpoint_url = "127.0.0.1:8000"
[target]
layout = "nowhere.yaml"
[copy]
segments = 0
concurrency = "four"
read_units_per_second = -1.5
[apply]
request_timeout_seconds = 30
[admin]
listen = "localhost"
[log]
format = "xml"
[[transform]]
rename = { from = "a" }
[[transform]]
drop = true
remove = "x"
"#;
    std::fs::write(folder.path().join("bad.toml"), text).unwrap();
    let (code, stdout, stderr) = run(shadowtable()
        .current_dir(folder.path())
        .env("SHADOWTABLE_APPLY_CONCURRENCY", "0")
        .env("SHADOWTABLE_APPLY_CONCURENCY", "1")
        .args(["-c", "bad.toml", "--log-level", "inof", "--set", "lease.grace_second=1", "config", "check"]));
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    for expected in [
        "error: bad.toml:1:1: colour: there is no such key; ",
        "error: bad.toml:3:1: migration.id: the string \"not allowed\" is not allowed; give 1 to 64 of ",
        "error: bad.toml:5:1: source.table: the string \"ab\" is not allowed; give a table name, 3 to 255 of ",
        "error: bad.toml:6:1: source.regoin: there is no such key; did you mean source.region?",
        "error: bad.toml:7:1: source.role_arn: the string \"shadowtable\" is not allowed; give a role such as arn:",
        "error: bad.toml:8:1: source.endpoint_url: the string \"127.0.0.1:8000\" is not allowed; give a URL ",
        "error: bad.toml:10:1: target.layout: the layout file nowhere.yaml cannot be read: No such file",
        "error: bad.toml:12:1: copy.segments: 0 is not allowed; give a whole number from 1 to 1,000,000",
        "error: bad.toml:13:1: copy.concurrency: the string \"four\" is not allowed; give a whole number from 1 to 256",
        "error: bad.toml:14:1: copy.read_units_per_second: -1.5 is not allowed; give capacity units per second, ",
        "error: bad.toml:16:1: apply.request_timeout_seconds: apply.request_timeout_seconds is 30 and lease.duration",
        "error: bad.toml:18:1: admin.listen: the string \"localhost\" is not allowed; give an IP address and port",
        "error: bad.toml:20:1: log.format: the string \"xml\" is not allowed; give human or json",
        "error: bad.toml:22:1: transform.rename.to: is missing; add it",
        "error: bad.toml:23:1: transform: the rule has 2 actions: remove, drop; give exactly one of ",
        "error: bad.toml: shadow.table: is missing; set table under [shadow] in the configuration file, SHADOWTABLE_",
        "error: SHADOWTABLE_APPLY_CONCURRENCY: apply.concurrency: \"0\" is not allowed; give a whole number from 1 to 1,024",
        "error: SHADOWTABLE_APPLY_CONCURENCY: there is no such variable; did you mean SHADOWTABLE_APPLY_CONCURRENCY?",
        "error: --log-level: log.level: \"inof\" is not allowed; give error, warn, info, debug, trace, off, or a filter",
        "error: --set lease.grace_second: lease.grace_second: there is no such key; did you mean lease.grace_seconds?",
    ] {
        assert!(stderr.lines().any(|line| line.starts_with(expected)), "no line begins {expected:?}:\n{stderr}");
    }
    assert_eq!(stderr.lines().count(), 20, "{stderr}");
}

#[test]
fn flags_go_above_the_environment_and_that_above_the_file() {
    let file = examples().join("minimal.toml");
    let check = |variable: Option<&str>, flag: Option<&str>| {
        let mut command = shadowtable();
        command.env("SHADOWTABLE_CONFIG", &file).args(["config", "check"]);
        command.envs(variable.map(|value| ("SHADOWTABLE_MIGRATION_ID", value)));
        command.args(flag.map(|value| format!("--migration={value}")));
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        stdout.lines().find_map(|line| line.strip_prefix("migration  ")).unwrap().to_owned()
    };
    assert_eq!(check(None, None), "task-approvals-2026-11");
    assert_eq!(check(Some("by-variable"), None), "by-variable");
    assert_eq!(check(Some("by-variable"), Some("by-flag")), "by-flag");
}

#[test]
fn the_example_passes_its_own_check() {
    let (code, printed, _) = run(shadowtable().args(["config", "example"]));
    assert_eq!((code, &printed), (0, &example()));
    let (code, stdout, stderr) = run(shadowtable().args(["-c", "-", "config", "check"]).write_stdin(printed));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("ok\nmigration  task-approvals-2026-11\nsource     TaskApprovals\n"), "{stdout}");
    let (code, ..) = run(shadowtable().arg("-c").arg(examples().join("minimal.toml")).args(["config", "check"]));
    assert_eq!(code, 0);
}

#[test]
fn a_usage_error_is_1_and_goes_to_stderr() {
    for line in ["", "frobnicate", "pause", "pause tail", "run --nonsense", "quarantine retry", "demo --items 0"] {
        let (code, stdout, stderr) = run(shadowtable().args(line.split_whitespace()));
        assert_eq!((code, stdout.as_str()), (1, ""), "{line}: {stderr}");
        assert!(!stderr.is_empty(), "{line}");
    }
}

#[test]
fn every_verb_has_help_with_effects_examples_and_exit_codes() {
    for verb in [
        "",
        "run",
        "list",
        "status",
        "pause",
        "resume",
        "abort",
        "reseed",
        "cutover",
        "unfence",
        "postpone",
        "finish",
        "audit",
        "lease",
        "lease release",
        "quarantine",
        "quarantine list",
        "quarantine show",
        "quarantine retry",
        "config",
        "config check",
        "config example",
        "demo",
    ] {
        let (code, stdout, stderr) = run(shadowtable().args(verb.split_whitespace()).arg("--help"));
        assert_eq!((code, stderr.as_str()), (0, ""), "{verb}");
        for part in ["Exit codes:", "Example"] {
            assert!(stdout.contains(part), "{verb} does not say {part}: {stdout}");
        }
        let says_what_it_changes = ["Changes", "only read"].iter().any(|words| stdout.contains(words));
        assert!(says_what_it_changes, "{verb}: {stdout}");
    }
}

#[test]
fn the_version_tells_which_build_it_is() {
    let (code, stdout, _) = run(shadowtable().arg("--version"));
    assert_eq!(code, 0);
    assert!(stdout.starts_with(concat!("shadowtable ", env!("CARGO_PKG_VERSION"), "\n")), "{stdout}");
    assert!(stdout.contains("commit: ") && stdout.contains("target: "), "{stdout}");
    assert_eq!(run(shadowtable().arg("-V")).1, concat!("shadowtable ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_complete_example_lists_every_key_and_no_other() {
    let documented: BTreeSet<String> = documented_keys().into_keys().collect();
    assert_eq!(documented, known_keys());
    assert!(documented_keys().values().all(|key| !key.comment.is_empty()));
}

#[test]
fn the_complete_example_is_right_with_every_line_uncommented() {
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
    let text: Vec<String> = example()
        .lines()
        .map(|line| if is_key(line) { line.trim_start_matches('#').to_owned() } else { line.to_owned() })
        .collect();
    let settings = settings_of(&text.join("\n"));
    assert_eq!(settings.transform.len(), 5);
    assert!(settings.target.unwrap().layout.global_indexes.contains_key("user_id-status-index"));
}

#[test]
fn the_defaults_in_the_complete_example_are_the_real_ones() {
    let has_default = |key: &Documented| !key.comment.contains("No default");
    let with_defaults = uncommented(has_default);
    assert_eq!(with_defaults.lines().count(), 39, "{with_defaults}");
    assert_eq!(settings_of(&with_defaults), settings_of(&example()));
}

#[test]
fn the_ranges_in_the_complete_example_are_the_real_ones() {
    let mut ranges = 0;
    for (key, documented) in documented_keys() {
        let flags = Flags { set: vec![format!("{key}=\u{1}")], ..Flags::default() };
        let Err(mistakes) = load(&flags, &BTreeMap::new()).for_state_only() else { continue };
        let remedy = &mistakes.iter().next().unwrap().remedy;
        let range = ["number from ", "number, ", "seconds from ", "a number "]
            .iter()
            .find_map(|words| remedy.split_once(words).map(|(_, range)| range));
        let Some(range) = range else { continue };
        ranges += 1;
        assert!(documented.comment.contains(range), "{key}: {range:?} is not in {:?}", documented.comment);
    }
    assert_eq!(ranges, 26);
}
