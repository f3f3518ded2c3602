//! Where things lie.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A folder outside every checkout, for what is fetched once.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let caches = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir().context("there is no home folder: set XDG_CACHE_HOME")?.join(".cache"),
    };
    Ok(caches.join("shadowtable").join(name))
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The program: the one that SHADOWTABLE names, or a fresh one.
pub(crate) fn program(shell: &Shell) -> Result<PathBuf> {
    if let Some(program) = shell.var_os("SHADOWTABLE") {
        return Path::new(&program).canonicalize().with_context(|| format!("SHADOWTABLE names {}", program.display()));
    }
    cmd!(shell, "cargo build").run()?;
    let program = target().join("debug/shadowtable");
    if !program.is_file() {
        bail!("cargo built no {}", program.display());
    }
    Ok(program)
}
