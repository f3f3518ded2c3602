//! The demo, as a person runs it.
#![cfg(feature = "embedded")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::time::Duration;

use assert_cmd::Command;

/// The binary, with surroundings that would lead it astray if it looked at them.
fn demo(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("shadowtable").unwrap();
    command
        .arg("demo")
        .args(args)
        .env("AWS_ENDPOINT_URL", "http://192.0.2.1:1")
        .env("AWS_PROFILE", "there-is-no-such-profile")
        .timeout(Duration::from_mins(2));
    command
}

#[test]
fn a_small_demo_ends_with_equal_tables() {
    let done = demo(&["--items", "300", "--seconds", "2"]).assert().code(0);
    let stdout = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    let stderr = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    let first = stdout.lines().next().unwrap();
    assert!(first.starts_with("equal ") && first.contains(" items, each the same in "), "{stdout}");
    assert!(!stdout.contains("NOT EQUAL"), "{stdout}");
    let applied = stdout.lines().find(|line| line.starts_with("applied ")).unwrap();
    assert!(!applied.contains(" 0 changes"), "the tail had nothing to do: {stdout}");
    assert!(stdout.lines().any(|line| line.starts_with("latency ")), "{stdout}");
    let cutover = stdout.lines().find(|line| line.starts_with("cutover ")).unwrap();
    assert!(cutover.contains("paused for") && !cutover.contains("wrote 0 times"), "{cutover}");
    assert!(stdout.contains("matching_rule_ids: not in this index"), "{stdout}");
    assert!(stdout.contains("matching_rule_ids: rule-"), "{stdout}");
    // Plain lines where there is no terminal.
    assert!(stderr.contains("tailing") && stderr.contains(", lag ") && !stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn an_admin_port_that_somebody_chose_is_kept_to() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = demo(&["--items", "10", "--seconds", "1", "--admin-listen", &address]).assert().code(1);
    let stderr = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains(&address) && stderr.contains("hint: "), "{stderr}");
    assert!(failed.get_output().stdout.is_empty());
}
