//! The policies of deploy/iam on moto, an emulator of AWS, with its IAM switched on.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::place::{program, root};
use crate::tools;

pub(crate) fn run(shell: &Shell, scenario: Option<&str>) -> Result<()> {
    let program = program(shell)?;
    let folder = root().join("deploy/iam");
    let python = tools::python(shell, "iam", &folder.join("requirements.txt"))?;
    let _there = shell.push_dir(folder);
    cmd!(shell, "{python} check.py {scenario...}")
        .env("SHADOWTABLE", program)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run()?;
    Ok(())
}
