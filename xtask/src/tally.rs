//! Runs the end-to-end tests many times in a row, and counts.
//!
//! The tally is a file outside the checkout, one for each commit and endpoint, with a line for each finished run. An interrupted
//! tally goes on where it was: 20 means until there are 20 lines. Logs of failed runs are kept beside it.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use xshell::{Shell, cmd};

use crate::place::cache;
use crate::tools;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Endpoint {
    Embedded,
    DynamodbLocal,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Embedded => "embedded",
            Self::DynamodbLocal => "dynamodb-local",
        })
    }
}

/// A finished run, and a line of the tally.
struct Run {
    good: bool,
    seconds: f64,
    failed: String,
}

pub(crate) fn run(shell: &Shell, endpoint: Endpoint, runs: usize) -> Result<()> {
    let _endpoint = shell.push_env("ENDPOINT", endpoint.to_string());
    if let Endpoint::DynamodbLocal = endpoint {
        shell.set_var("DYNAMODB_LOCAL_DIR", tools::dynamodb_local(shell)?);
    }
    let folder = cache("tally")?;
    fs::create_dir_all(&folder)?;
    let name = format!("{}-{endpoint}", subject(shell)?);
    let tally = folder.join(format!("{name}.tsv"));
    cmd!(shell, "cargo test --test e2e --no-run").run()?;
    loop {
        let number = read(&tally)?.len() + 1;
        if number > runs {
            break;
        }
        let (run, log) = one(shell)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&tally)?;
        writeln!(file, "{}\t{:.1}\t{}", if run.good { "pass" } else { "fail" }, run.seconds, run.failed)?;
        println!(
            "run {number} of {runs}: {} after {:.1} s {}",
            if run.good { "good" } else { "FAILED" },
            run.seconds,
            run.failed
        );
        if !run.good {
            let kept = folder.join(format!("{name}-{number}.log"));
            fs::write(&kept, log)?;
            println!("  log: {}", kept.display());
        }
    }
    sum_up(&tally)
}

/// The commit. What is not committed is another subject: its runs are not counted with those of the commit.
fn subject(shell: &Shell) -> Result<String> {
    let head = cmd!(shell, "git rev-parse --short=12 HEAD").quiet().read()?;
    if cmd!(shell, "git status --porcelain").quiet().read()?.is_empty() {
        return Ok(head);
    }
    // As a commit it would have this name.
    let changes = cmd!(shell, "git stash create").quiet().read()?;
    ensure!(changes.len() >= 12, "only files that git does not know have changed: add them, or remove them");
    Ok(format!("{head}-with-{}", changes.get(..12).unwrap_or(&changes)))
}

fn one(shell: &Shell) -> Result<(Run, Vec<u8>)> {
    let began = Instant::now();
    let output = cmd!(shell, "cargo test --test e2e").quiet().ignore_status().output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = said.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let failed = failed.collect::<Vec<_>>().join(",");
    let run = Run { good: output.status.success(), seconds: began.elapsed().as_secs_f64(), failed };
    Ok((run, [output.stdout, output.stderr].concat()))
}

fn read(tally: &Path) -> Result<Vec<Run>> {
    let text = if tally.exists() { fs::read_to_string(tally)? } else { String::new() };
    let run = |line: &str| {
        let mut cells = line.split('\t');
        let (good, seconds) = (cells.next()? == "pass", cells.next()?.parse().ok()?);
        Some(Run { good, seconds, failed: cells.next().unwrap_or_default().to_owned() })
    };
    text.lines().map(|line| run(line).with_context(|| format!("{}: {line}", tally.display()))).collect()
}

fn sum_up(tally: &Path) -> Result<()> {
    let runs = read(tally)?;
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let passed = runs.iter().filter(|run| run.good).count();
    println!("\n{}: {passed} passed, {} failed", tally.display(), runs.len() - passed);
    if let (Some(least), Some(middle), Some(most)) = (seconds.first(), seconds.get(seconds.len() / 2), seconds.last()) {
        println!(
            "seconds: least {least:.1}, middle {middle:.1}, most {most:.1}, in all {:.0}",
            seconds.iter().sum::<f64>()
        );
    }
    ensure!(passed == runs.len(), "some runs failed");
    Ok(())
}
