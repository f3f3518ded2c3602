//! What docs/operations and the README tell operators to do, in their own words.
//!
//! Every command of their shell blocks is executed and its effect looked at, or is named in `tests/handbook` with the reason why
//! it cannot be executed here. A block that is neither fails, and so does an entry that names a block which is not there any
//! more. (The README's tour is another task.) Tables are on DynamoDB Local, roles on moto; where a command asks, it is answered
//! y on a terminal. `DOCUMENTS=folder` takes the documents from a copy.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::place::{program, root};
use crate::tools;

pub(crate) fn handbook(shell: &Shell, scenario: Option<&str>) -> Result<()> {
    let program = program(shell)?;
    let moto = tools::python(shell, "iam", &root().join("deploy/iam/requirements.txt"))?;
    cmd!(shell, "python3 tests/handbook {scenario...}")
        .env("SHADOWTABLE", program)
        .env("DYNAMODB_LOCAL_DIR", tools::dynamodb_local(shell)?)
        .env("KUSTOMIZE", tools::kustomize(shell)?)
        .env("MOTO_PYTHON", moto)
        .env("PATH", tools::path_with(tools::aws_cli(shell)?)?)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run()?;
    Ok(())
}
