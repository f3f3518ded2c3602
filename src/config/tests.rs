//! Reading as a whole: which source wins, what is demanded, what is reported, and that nothing panics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const COMPLETE: &str = "[migration]\nid = \"m\"\n[source]\ntable = \"old\"\n[shadow]\ntable = \"new\"\n";

fn variables(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn set(values: &[&str]) -> Flags {
    Flags { set: values.iter().map(|value| (*value).to_owned()).collect(), ..Flags::default() }
}

fn load_text(text: &[u8], flags: &Flags, environment: &[(&str, &str)]) -> Loaded {
    let mut mistakes = Vec::new();
    let file = File::parse("f.toml".into(), PathBuf::new(), text, &mut mistakes);
    read(Some(file), flags, &variables(environment), mistakes)
}

/// The report for a file that is complete but for what `text` adds.
fn report(text: &str, flags: &Flags, environment: &[(&str, &str)]) -> Vec<String> {
    match load_text(format!("{COMPLETE}{text}").as_bytes(), flags, environment).for_migration() {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn flags_go_above_the_environment_and_that_above_the_file() {
    let text = format!("{COMPLETE}[copy]\nsegments = 1\nconcurrency = 1\n[apply]\nconcurrency = 1\n");
    let environment = [("SHADOWTABLE_COPY_SEGMENTS", "2"), ("SHADOWTABLE_COPY_CONCURRENCY", "2")];
    let loaded = load_text(text.as_bytes(), &set(&["copy.segments=3"]), &environment);
    let engine = loaded.for_migration().unwrap().engine;
    assert_eq!((engine.copy.segments, engine.copy.concurrency, engine.apply.concurrency), (Some(3), 2, 1));
}

#[test]
fn a_flag_for_one_table_goes_above_the_flag_for_all() {
    let keys: &[&str] = &["source.region", "shadow.region", "state.region"];
    let given = vec![Flag { name: "--region", keys, value: "eu-central-1".into() }];
    let flags = Flags { given, ..set(&["shadow.region=us-east-1"]) };
    let settings = load_text(COMPLETE.as_bytes(), &flags, &[("SHADOWTABLE_SHADOW_REGION", "eu-west-1")]);
    let settings = settings.for_migration().unwrap();
    let region = |table: &TableSettings| table.connection.region.clone().unwrap();
    assert_eq!(region(&settings.source), "eu-central-1");
    assert_eq!(region(&settings.shadow), "us-east-1");
    assert_eq!(region(&settings.state), "eu-central-1");
}

#[test]
fn a_wrong_value_is_a_mistake_even_where_it_is_overridden() {
    let mistakes = report("[copy]\nsegments = 0\n", &set(&["copy.segments=3"]), &[]);
    assert_eq!(mistakes, ["f.toml:8:1: copy.segments: 0 is not allowed; give a whole number from 1 to 1,000,000"]);
}

#[test]
fn each_verb_demands_what_it_needs() {
    let empty = || load(&Flags::default(), &BTreeMap::new());
    let mistakes = empty().for_migration().unwrap_err();
    let keys: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.key.as_deref()).collect();
    assert_eq!(keys, ["migration.id", "source.table", "shadow.table"]);
    assert_eq!(
        mistakes.to_string().lines().next(),
        Some(
            "configuration: migration.id: is missing; set id under [migration] in the configuration file, \
             SHADOWTABLE_MIGRATION_ID, or --migration ID; no configuration file was read: name one with -c, or have \
             shadowtable.toml here"
        )
    );
    assert_eq!(mistakes.to_string().matches("no configuration file was read").count(), 1);
    assert_eq!(empty().for_command().unwrap_err().iter().count(), 1);
    assert_eq!(empty().for_state_only().unwrap().state.table, "shadowtable-state");
    assert!(empty().for_demo().is_ok());
}

#[test]
fn a_missing_key_is_placed_at_its_section() {
    let mistakes = load_text(b"\n[source]\n", &Flags::default(), &[]).for_migration().unwrap_err();
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert!(lines.iter().any(|line| line.starts_with("f.toml:2:2: source.table: is missing; set table")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("f.toml: shadow.table: is missing; set table")), "{lines:?}");
}

#[test]
fn syntax_errors_are_placed_and_hide_nothing_but_the_file() {
    let environment = [("SHADOWTABLE_APPLY_CONCURRENCY", "many")];
    let loaded = load_text(b"[copy\nsegments = \n", &set(&["copy.concurrency=0", "lease"]), &environment);
    let report = loaded.for_migration().unwrap_err().to_string();
    assert!(report.starts_with("f.toml:1:6: not TOML: "), "{report}");
    assert!(
        report.contains("\nSHADOWTABLE_APPLY_CONCURRENCY: apply.concurrency: \"many\" is not allowed; give"),
        "{report}"
    );
    assert!(report.contains("\n--set copy.concurrency: copy.concurrency: \"0\" is not allowed; give"), "{report}");
    assert!(report.contains("\n--set lease: has no value; write --set section.key=value"), "{report}");
    assert!(!report.contains("is missing"), "{report}");
}

#[test]
fn unknown_names_come_with_the_nearest_known_one() {
    for (text, expected) in [
        ("[copy]\nsegmnts = 1", "f.toml:8:1: copy.segmnts: there is no such key; did you mean copy.segments?"),
        ("[cpy]\nsegments = 1", "f.toml:8:1: cpy.segments: there is no such key; did you mean copy.segments?"),
        ("[cpy]", "f.toml:7:2: cpy: there is no such section; did you mean [copy]?"),
        ("[copy]\nmemory_mib = 1", "f.toml:8:1: copy.memory_mib: there is no such key; did you mean apply.memory_mib?"),
        ("[log]\nzzzzzzzz = 1", "f.toml:8:1: log.zzzzzzzz: there is no such key; remove it; [log] has format, level"),
        ("[tail]\nretention_margin = 1", "f.toml:8:1: tail.retention_margin: there is no such key; remove it; [tail]"),
        ("[[copy]]\nsegments = 1", "f.toml:7:3: copy: is a section, not a key; write [copy] on a line of its own"),
    ] {
        let mistakes = report(text, &Flags::default(), &[]);
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:#?}");
        assert!(mistakes[0].starts_with(expected), "{text}: {mistakes:#?}");
    }
    let environment = [("SHADOWTABLE_COPY_SEGMENT", "1"), ("SHADOWTABLE_SERVICE_HOST", "10.0.0.1")];
    assert_eq!(
        report("", &set(&["copy.segmnt=1"]), &environment),
        [
            "SHADOWTABLE_COPY_SEGMENT: there is no such variable; did you mean SHADOWTABLE_COPY_SEGMENTS?",
            "--set copy.segmnt: copy.segmnt: there is no such key; did you mean copy.segments?"
        ]
    );
}

#[test]
fn values_that_go_wrong_together_are_reported() {
    let timeout = report("[apply]\nrequest_timeout_seconds = 20", &Flags::default(), &[]);
    assert!(timeout[0].starts_with("f.toml:8:1: apply.request_timeout_seconds: apply.request_timeout_seconds is 20"));
    let lease = report("[lease]\nduration_seconds = 3", &Flags::default(), &[]);
    assert!(lease[0].starts_with("f.toml:8:1: lease.duration_seconds: "), "{lease:?}");
    let same = report("", &set(&["shadow.table=old"]), &[]);
    assert_eq!(
        same,
        ["--set shadow.table: shadow.table: source and shadow are the same table over the same connection; \
          give each a table of its own"]
    );
    assert_eq!(report("", &set(&["shadow.table=old", "shadow.region=eu-west-1"]), &[]), Vec::<String>::new());
    assert!(report("", &set(&["state.table=new"]), &[])[0].contains("shadow and state are the same table"));
    assert!(report("", &set(&["source.table=shadowtable-state"]), &[])[0].starts_with("--set source.table: "));
}

#[test]
fn a_value_given_twice_by_flags_is_a_mistake() {
    let given = vec![Flag { name: "--source-table", keys: &["source.table"], value: "abc".into() }];
    let flags = Flags { given, ..set(&["source.table=abd", "tail.discover_seconds=1", "tail.discover_seconds=1"]) };
    let mistakes = report("", &flags, &[]);
    assert_eq!(
        mistakes,
        [
            "--set source.table: source.table: is given twice, here and as --source-table; give it once",
            "--set tail.discover_seconds: tail.discover_seconds: is given twice, here and as --set tail.discover_seconds; give it once"
        ]
    );
}

#[test]
fn files_that_cannot_be_read_are_reported_with_the_rest() {
    let flags = Flags { file: Some("no/such.toml".into()), ..set(&["copy.segments=0", "target.layout=no/such.yaml"]) };
    let report = load(&flags, &BTreeMap::new()).for_migration().unwrap_err().to_string();
    assert!(report.contains("--config: the configuration file \"no/such.toml\" cannot be read: "), "{report}");
    assert!(report.contains("--set target.layout: target.layout: the layout file no/such.yaml cannot be"), "{report}");
    assert!(report.contains("--set copy.segments: "), "{report}");
    let variable = variables(&[("SHADOWTABLE_CONFIG", "")]);
    let report = load(&Flags::default(), &variable).for_state_only().unwrap_err().to_string();
    assert!(report.starts_with("SHADOWTABLE_CONFIG: the configuration file \"\" cannot be read: "), "{report}");
}

/// The rest of a `[cutover]` section in which everything is given.
const CUTOVER: &str = r#"fence = "command"
fence_command = "fence"
unfence_command = "unfence"
switch_command = "switch"
pointer_table = "settings"
pointer_key = '{"name": {"S": "table"}}'
pointer_attribute = "value"
ssm_parameter = "/orders/table"
"#;

/// A value for each key that is not its default.
const OTHER_VALUES: [(&str, &str); 60] = [
    ("admin.allowed_hosts", "shadowtable"),
    ("admin.linger_seconds", "0"),
    ("admin.listen", "[::1]:1"),
    ("apply.abandon_seconds", "0"),
    ("apply.concurrency", "1"),
    ("apply.memory_mib", "1"),
    ("apply.overtaken_limit", "1000"),
    ("apply.quarantine_limit", "0"),
    ("apply.request_timeout_seconds", "0.05"),
    ("apply.write_units_per_second", "0.5"),
    ("copy.concurrency", "256"),
    ("copy.page_items", "1"),
    ("copy.read_units_per_second", "1"),
    ("copy.segments", "1"),
    ("cutover.drain_timeout_seconds", "1"),
    ("cutover.fence", "manual"),
    ("cutover.fence_command", "other"),
    ("cutover.fenced_limit_seconds", "1"),
    ("cutover.max_lag_seconds", "0"),
    ("cutover.min_headroom_seconds", "0"),
    ("cutover.pointer_attribute", "other"),
    ("cutover.pointer_key", "{\"id\": {\"N\": \"1\"}}"),
    ("cutover.pointer_table", "other"),
    ("cutover.program_timeout_seconds", "0.1"),
    ("cutover.quiet_seconds", "0.1"),
    ("cutover.recheck_keys", "0"),
    ("cutover.ssm_parameter", "/other"),
    ("cutover.switch", "command"),
    ("cutover.switch_command", "other"),
    ("cutover.unfence_command", "other --now 'a b'"),
    ("hooks.after_switch", "other"),
    ("hooks.before_fence", "other"),
    ("hooks.on_failure", "other"),
    ("hooks.on_ready", "other"),
    ("lease.checkpoint_seconds", "0.05"),
    ("lease.duration_seconds", "600"),
    ("lease.grace_seconds", "0.1"),
    ("log.format", "json"),
    ("log.level", "shadowtable=debug"),
    ("migration.id", "other"),
    ("shadow.endpoint_url", "http://x"),
    ("shadow.profile", "x"),
    ("shadow.region", "x"),
    ("shadow.role_arn", "arn:aws:iam::111111111111:role/x"),
    ("shadow.table", "xxx"),
    ("source.endpoint_url", "http://x"),
    ("source.profile", "x"),
    ("source.region", "x"),
    ("source.role_arn", "arn:aws:iam::111111111111:role/x"),
    ("source.table", "xxx"),
    ("state.endpoint_url", "http://x"),
    ("state.profile", "x"),
    ("state.region", "x"),
    ("state.role_arn", "arn:aws:iam::111111111111:role/x"),
    ("state.table", "xxx"),
    ("tail.busy_poll_seconds", "0"),
    ("tail.caught_up_seconds", "0.1"),
    ("tail.discover_seconds", "0.1"),
    ("tail.idle_poll_seconds", "0.05"),
    ("target.layout", "config/layout.yaml"),
];

#[test]
fn every_key_has_its_effect_by_flag_and_by_variable() {
    let known = load_text(COMPLETE.as_bytes(), &Flags::default(), &[]);
    assert_eq!(known.known_keys().collect::<Vec<_>>(), OTHER_VALUES.map(|(key, _)| key));
    for (key, value) in OTHER_VALUES {
        // Ways to switch exclude each other.
        let switch = match key {
            "cutover.switch_command" => "command",
            "cutover.ssm_parameter" => "ssm-parameter",
            _ => "pointer",
        };
        let file = format!("{COMPLETE}[cutover]\nswitch = \"{switch}\"\n{CUTOVER}");
        let load = |flags: &Flags, environment: &[(&str, &str)]| {
            load_text(file.as_bytes(), flags, environment).for_migration().unwrap()
        };
        let plain = load(&Flags::default(), &[]);
        let by_flag = load(&set(&[&format!("{key}={value}")]), &[]);
        let by_variable = load(&Flags::default(), &[(&environment::variable(key), value)]);
        assert_eq!(by_flag, by_variable, "{key}");
        assert_ne!(by_flag, plain, "{key}");
    }
}

#[test]
fn what_a_cutover_needs_is_asked_for_together() {
    let mistakes = report("[cutover]\nfence = \"command\"\nswitch = \"pointer\"\n", &Flags::default(), &[]);
    let needs = [
        "cutover.fence needs cutover.fence_command",
        "cutover.fence needs cutover.unfence_command",
        "cutover.switch needs cutover.pointer_attribute",
        "cutover.switch needs cutover.pointer_key",
        "cutover.switch needs cutover.pointer_table",
    ];
    for need in needs {
        assert!(mistakes.iter().any(|mistake| mistake.contains(need)), "{need}: {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), needs.len(), "{mistakes:#?}");
    let unbalanced = report("[hooks]\non_failure = \"page 'me\"\n", &Flags::default(), &[]);
    assert_eq!(unbalanced.len(), 1, "{unbalanced:#?}");
}

#[test]
fn fractions_of_seconds_are_exact() {
    let settings = load_text(COMPLETE.as_bytes(), &set(&["tail.busy_poll_seconds=0.2"]), &[]).for_migration().unwrap();
    assert_eq!(settings.engine.tail.busy_poll, Duration::from_millis(200));
}

/// Text made of what TOML and our keys are made of.
const LIKE_TOML: &str = "([\\[\\]{}=.,#\"'\n a-c0-9_é\\\\-]|transform|copy|when|set|segments|true|1e9){0,60}";
/// A line of a rule, more or less.
const LIKE_A_RULE: &str = "(set|rename|remove|copy|drop|when) = [{\\[\"]?(from|to|one_of|template|equals)? ?=? ?\
                           [\"{}0-9a-z.]{0,9}[\"}\\]]{0,3}";

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_text(&bytes, &Flags::default(), &[]).for_migration();
    }

    #[test]
    fn no_text_like_toml_panics(text in LIKE_TOML) {
        let _ = load_text(text.as_bytes(), &Flags::default(), &[]).for_migration();
    }

    #[test]
    fn no_rule_panics(rule in LIKE_A_RULE) {
        let _ = load_text(format!("[[transform]]\n{rule}").as_bytes(), &Flags::default(), &[]).for_migration();
    }

    #[test]
    fn no_value_panics(key in 0..OTHER_VALUES.len(), value in ".{0,40}", name in "[A-Z_]{0,30}") {
        let flags = set(&[&format!("{}={value}", OTHER_VALUES[key].0), &value]);
        let environment = [(format!("SHADOWTABLE_{name}"), value)];
        let environment: Vec<(&str, &str)> = environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let _ = load_text(COMPLETE.as_bytes(), &flags, &environment).for_migration();
    }
}

/// What no cutover could do, or what it would break.
#[test]
fn a_pointer_that_cannot_work_is_refused() {
    let pointer = |table: &str, attribute: &str| {
        format!(
            "[cutover]\nswitch = \"pointer\"\npointer_table = \"{table}\"\npointer_attribute = \"{attribute}\"\n\
             pointer_key = '{{\"name\": {{\"S\": \"orders\"}}}}'\n"
        )
    };
    assert_eq!(report(&pointer("settings", "table"), &Flags::default(), &[]), Vec::<String>::new());
    for (table, attribute, expected) in [
        ("settings", "name", "cutover.pointer_attribute: \"name\" is part of the item's key"),
        ("old", "table", "cutover.pointer_table: the pointer would lie in the source table, old"),
        ("new", "table", "cutover.pointer_table: the pointer would lie in the shadow table, new"),
        ("shadowtable-state", "table", "cutover.pointer_table: the pointer would lie in the state table"),
    ] {
        let mistakes = report(&pointer(table, attribute), &Flags::default(), &[]);
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{mistakes:?}");
    }
}

#[test]
fn a_program_that_only_a_shell_would_run_is_refused() {
    let text = "[hooks]\non_ready = \"/bin/true && /bin/false\"\n";
    let mistakes = report(text, &Flags::default(), &[]);
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(
        mistakes[0].starts_with("f.toml:8:1: hooks.on_ready: \"&&\" means something to a shell only"),
        "{mistakes:?}"
    );
}

#[test]
fn a_file_of_the_working_directory_is_read_where_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = |flags: &Flags| load_in(Some(folder.path()), flags, &BTreeMap::new());
    assert!(!loaded(&Flags::default()).is_found_by_itself());
    std::fs::write(folder.path().join(FILE_NAME), COMPLETE).unwrap();
    let found = loaded(&Flags::default());
    assert!(found.is_found_by_itself());
    assert_eq!(found.for_migration().unwrap().source.table, "old");
    let other = folder.path().join("other.toml");
    std::fs::write(&other, COMPLETE.replace("old", "older")).unwrap();
    let named = loaded(&Flags { file: Some(other), ..Flags::default() });
    assert!(!named.is_found_by_itself());
    assert_eq!(named.for_migration().unwrap().source.table, "older");
}
