//! What deploy/ holds is valid, and fits together. It needs neither a Docker engine nor a cluster. The program checks each
//! configuration, with the variables it is deployed with.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tempfile::tempdir;
use xshell::{Shell, cmd};

use crate::place::{program, root};
use crate::tools;

/// The parser of `docker compose config`, alone.
const COMPOSE: (&str, &str) = ("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2");
/// The oldest and the newest Kubernetes whose schemas kubernetes-validate has.
const KUBERNETES: &str = "1.33 1.37";
/// Of 100; what systemd calls OK ends at 49.
const EXPOSURE: &str = "15";
const YAML: &str = "{extends: default, rules: {line-length: {max: 132}, document-start: disable}}";
/// Seconds that a stop may take: `lease.grace_seconds`, as it is where nobody sets it.
const GRACE: u32 = 20;

pub(crate) fn run(shell: &Shell) -> Result<()> {
    let program = program(shell)?;
    let python = tools::python(shell, "deploy", &root().join("xtask/python/deploy.txt"))?;
    let checkers = python.parent().context("Python lies in a folder")?.to_owned();
    let (kustomize, compose) = (tools::kustomize(shell)?, tools::go(shell, COMPOSE.0, COMPOSE.1)?);
    tools::program(shell, "promtool", "prometheus")?;
    tools::program(shell, "systemd-analyze", "systemd")?;
    let _path = shell.push_env("PATH", tools::path_with([checkers])?);
    // Nothing below may depend on what the user has set.
    let set = std::env::vars_os().map(|(name, _)| name);
    let set: Vec<OsString> = set.filter(|name| name.to_string_lossy().starts_with("SHADOWTABLE_")).collect();
    let python = || set.iter().fold(cmd!(shell, "python"), xshell::Cmd::env_remove);
    let scratch = tempdir()?;

    let scripts = fs::read_dir(root().join("deploy/docker"))?.filter_map(|entry| Some(entry.ok()?.path()));
    let scripts = scripts.filter(|path| path.extension().is_some_and(|end| end == "sh"));
    cmd!(shell, "shellcheck --external-sources --source-path=SCRIPTDIR .ci/run {scripts...}").run()?;
    cmd!(shell, "yamllint --strict -d {YAML} deploy/docker deploy/kubernetes").run()?;
    cmd!(shell, "hadolint deploy/docker/Dockerfile").run()?;

    cmd!(shell, "promtool check config deploy/docker/prometheus.yml").run()?;
    let model = scratch.path().join("compose.json");
    {
        let _there = shell.push_dir("deploy/docker");
        fs::write(&model, cmd!(shell, "{compose} -format json compose.yaml").read()?)?;
    }
    python().arg("deploy/docker/check.py").arg(&model).env("BINARY", &program).run()?;

    for overlay in fs::read_dir(root().join("deploy/kubernetes/overlays"))? {
        let overlay = overlay?.path();
        let objects = scratch.path().join("objects.yaml");
        fs::write(&objects, cmd!(shell, "{kustomize} build {overlay}").read()?)?;
        let check = python().arg("deploy/kubernetes/check.py").arg(&objects).arg(&overlay);
        check.env("BINARY", &program).env("KUBERNETES", KUBERNETES).run()?;
    }
    systemd(shell, scratch.path())
}

fn systemd(shell: &Shell, scratch: &Path) -> Result<()> {
    let text = fs::read_to_string(root().join("deploy/systemd/shadowtable@.service"))?;
    // `verify` wants the program to be there, and takes an unknown key for a warning: whatever it says is a mistake.
    let (whole, runs) =
        ("ExecStart=/usr/local/bin/shadowtable --config /etc/shadowtable/%i.toml run", "ExecStart=/bin/true");
    ensure!(text.lines().any(|line| line == whole), "the unit does not run the program as it should");
    fs::write(scratch.join("shadowtable@.service"), text.replace(whole, runs))?;
    let unit = scratch.join("shadowtable@example.service");
    let verified = cmd!(shell, "systemd-analyze --man=no verify {unit}").ignore_status().output()?;
    let said = [verified.stdout, verified.stderr].concat();
    ensure!(verified.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    let stop = text.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.parse::<u32>().ok());
    ensure!(stop.is_some_and(|stop| stop > GRACE), "TimeoutStopSec is not above lease.grace_seconds ({GRACE} s)");
    let rated = cmd!(shell, "systemd-analyze security --offline=true --threshold={EXPOSURE} {unit}")
        .ignore_status()
        .output()?;
    let said = String::from_utf8_lossy(&rated.stdout);
    ensure!(rated.status.success(), "{said}\nthe exposure is above {EXPOSURE} of 100");
    println!("{}", said.lines().last().unwrap_or_default());
    Ok(())
}
