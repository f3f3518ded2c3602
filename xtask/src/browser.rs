//! The status page in a real browser, through a whole migration on DynamoDB Local.

use std::env;
use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::place::{program, root};
use crate::tools;

pub(crate) fn run(shell: &Shell, write: bool, disk: bool) -> Result<()> {
    let program = program(shell)?;
    let modules = tools::npm(shell, "browser", &root().join("tests/browser"))?;
    let chromium = if let Some(named) = env::var_os("CHROMIUM") {
        PathBuf::from(named)
    } else {
        tools::program(shell, "chromium", "chromium")?;
        PathBuf::from("/usr/bin/chromium")
    };
    tools::executable(&chromium, "install Chromium, or name another one: CHROMIUM=path")?;
    let words = [("write", write), ("disk", disk)].into_iter().filter_map(|(word, wanted)| wanted.then_some(word));
    cmd!(shell, "node tests/browser/main.mjs {words...}")
        .env("SHADOWTABLE", program)
        .env("CHROMIUM", chromium)
        .env("BROWSER_MODULES", modules)
        .env("DYNAMODB_LOCAL_DIR", tools::dynamodb_local(shell)?)
        .env("AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED", "true")
        .run()?;
    Ok(())
}
