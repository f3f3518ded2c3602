//! Everything that must hold before a change lands, a step after another, with the time that each took.

use std::time::Instant;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::place::target;
use crate::{browser, deploy, documents, grafana, iam, mutants, tools, tour};

type Step = (&'static str, fn(&Shell) -> Result<()>);

const STEPS: [Step; 16] = [
    ("locked", locked),
    ("format", |shell| Ok(cmd!(shell, "cargo fmt --all --check").run()?)),
    ("clippy", |shell| {
        Ok(cmd!(shell, "cargo clippy --workspace --all-targets --test prometheus -- -D warnings").run()?)
    }),
    ("clippy-bare", |shell| Ok(cmd!(shell, "cargo clippy --no-default-features -- -D warnings").run()?)),
    ("test", |shell| Ok(cmd!(shell, "cargo test").run()?)),
    ("docs", |shell| Ok(cmd!(shell, "cargo doc --no-deps --lib").env("RUSTDOCFLAGS", "-D warnings").run()?)),
    ("mutants", |shell| mutants::check(shell)),
    ("local", local),
    ("prometheus", prometheus),
    ("grafana", |shell| grafana::run(shell, false)),
    ("deploy", |shell| deploy::run(shell)),
    ("iam", |shell| iam::run(shell, None)),
    ("handbook", |shell| documents::handbook(shell, None)),
    ("browser", |shell| browser::run(shell, false, false)),
    ("demo", |shell| Ok(cmd!(shell, "cargo run --release -- demo").run()?)),
    ("tour", the_tour),
];

pub(crate) fn run(shell: &Shell, first: Option<&str>) -> Result<()> {
    let start = Instant::now();
    let from = match first {
        None => 0,
        Some(first) => STEPS.iter().position(|(name, _)| *name == first).with_context(|| {
            let names = STEPS.map(|(name, _)| name).join(", ");
            format!("no step is called {first}; there are: {names}")
        })?,
    };
    // `test` builds it, and what comes after it need not.
    shell.set_var("SHADOWTABLE", target().join("debug/shadowtable"));
    let mut times = Vec::new();
    for (name, step) in STEPS.into_iter().skip(from) {
        println!("\n== {name}");
        let began = Instant::now();
        let outcome = step(shell);
        times.push(format!("{name:<12} {:>5} s", began.elapsed().as_secs()));
        if outcome.is_err() {
            println!("\n{}\n{name} failed after {} s", times.join("\n"), start.elapsed().as_secs());
            return outcome;
        }
    }
    println!("\n{}\nall good after {} s", times.join("\n"), start.elapsed().as_secs());
    Ok(())
}

/// Fails when Cargo.lock is out of date. Later steps then need no network for crates. What other clones left of the program
/// itself would only fill the disk: here it is built anew.
fn locked(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fetch --locked").run()?;
    for profile in ["dev", "release"] {
        cmd!(shell, "cargo clean --quiet --package shadowtable --package testkit --profile {profile}").run()?;
    }
    Ok(())
}

fn local(shell: &Shell) -> Result<()> {
    tools::java_and_maven(shell)?;
    let folder = tools::dynamodb_local(shell)?;
    cmd!(shell, "cargo test --test e2e").env("ENDPOINT", "dynamodb-local").env("DYNAMODB_LOCAL_DIR", folder).run()?;
    Ok(())
}

fn prometheus(shell: &Shell) -> Result<()> {
    tools::program(shell, "promtool", "prometheus")?;
    cmd!(shell, "promtool check config deploy/prometheus/prometheus.yml").run()?;
    cmd!(shell, "promtool test rules deploy/prometheus/rules_test.yml").run()?;
    cmd!(shell, "cargo test --test prometheus").run()?;
    Ok(())
}

/// With the program that `demo` has built.
fn the_tour(shell: &Shell) -> Result<()> {
    let _program = shell.push_env("SHADOWTABLE", target().join("release/shadowtable"));
    tour::run(shell)
}
