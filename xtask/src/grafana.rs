//! The dashboard: that it is what its generator makes, that what it asks and says exists, and that it is what Grafana's
//! published types allow.

use std::fs;

use anyhow::{Result, ensure};
use tempfile::tempdir;
use xshell::{Shell, cmd};

use crate::place::root;
use crate::tools;

pub(crate) fn run(shell: &Shell, write: bool) -> Result<()> {
    tools::program(shell, "promtool", "prometheus")?;
    let folder = root().join("deploy/grafana");
    let python = tools::python(shell, "grafana", &folder.join("requirements.txt"))?;
    let modules = tools::npm(shell, "grafana-schema", &folder.join("schema"))?;
    let (_there, board) = (shell.push_dir(&folder), folder.join("shadowtable.json"));
    let _clean = shell.push_env("PYTHONDONTWRITEBYTECODE", "1");
    if write {
        cmd!(shell, "{python} generate.py {board}").run()?;
    }
    let scratch = tempdir()?;
    let fresh = scratch.path().join("fresh.json");
    cmd!(shell, "{python} generate.py {fresh}").run()?;
    let same = fs::read(&board)? == fs::read(&fresh)?;
    ensure!(same, "shadowtable.json is not what generate.py makes; run: cargo xtask grafana --write");
    cmd!(shell, "{python} check.py {board}").run()?;
    // It finds its packages beside itself.
    fs::copy(folder.join("schema/check.mjs"), modules.join("check.mjs"))?;
    let _there = shell.push_dir(modules);
    cmd!(shell, "node check.mjs {board}").run()?;
    Ok(())
}
