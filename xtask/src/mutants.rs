//! Breaks rules of the engine on purpose, one at a time: random histories must notice, or the test that a mutant names.
//!
//! A mutant is a file of `tests/mutants`. Everything happens in a copy of the last commit, in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tempfile::tempdir;
use xshell::{Shell, cmd};

use crate::place::{cache, root, target};

/// A rule, and how it is broken.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What is wrong then.
    broken: String,
    /// The rule that is broken, as ARCHITECTURE.md names it; `tests/documentation.rs` compares them.
    #[expect(dead_code, reason = "for readers, and for the test of the documents")]
    rule: String,
    /// Where.
    file: PathBuf,
    /// What stands there, once.
    search: String,
    /// What stands there instead.
    replace: String,
    /// The test that must fail, as `target name`, or `file#name` for a unit test; without it, a random history must.
    test: Option<String>,
}

/// A rule behind which nothing notices for so many histories has its own test.
const WITHOUT_ANY: u32 = 200;

pub(crate) fn run(shell: &Shell, names: &[String], seeds: u32) -> Result<()> {
    let mutants = all()?;
    for name in names {
        ensure!(mutants.iter().any(|(known, _)| known == name), "tests/mutants has no {name}.toml");
    }
    let wanted: Vec<_> = mutants.into_iter().filter(|(name, _)| names.is_empty() || names.contains(name)).collect();
    let nursery = Nursery::open(shell)?;
    if let Some(failed) = nursery.play(WITHOUT_ANY)? {
        bail!("with nothing broken, {failed}: delete {} and try again", nursery.checkout.display());
    }
    let mut wrong = Vec::new();
    for (name, mutant) in &wanted {
        match nursery.breed(mutant, seeds) {
            Ok(noticed) => println!("{name}: {}: {noticed}", mutant.broken),
            Err(why) => wrong.push(format!("{name}: {why:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), wanted.len(), wrong.join("\n"));
    Ok(())
}

/// Each mutant still applies to the checkout as it is, compiles, and names a test that is there. As many as leave each other's
/// places alone are compiled together.
pub(crate) fn check(shell: &Shell) -> Result<()> {
    let mut left = all()?;
    let (count, mut rounds) = (left.len(), 0);
    for (name, mutant) in &left {
        mutant.applied(root()).and_then(|_| mutant.test_is_there()).with_context(|| name.clone())?;
    }
    while !left.is_empty() {
        let copy = tempdir()?;
        copy_checkout(shell, copy.path())?;
        let (mut together, mut later) = (Vec::new(), Vec::new());
        for (name, mutant) in left {
            if let Ok(text) = mutant.applied(copy.path()) {
                fs::write(copy.path().join(&mutant.file), text)?;
                together.push(name);
            } else {
                later.push((name, mutant));
            }
        }
        let _there = shell.push_dir(copy.path());
        // Warnings are no matter; mistakes are shown.
        let compiled =
            cmd!(shell, "cargo check --quiet --lib").env("CARGO_TARGET_DIR", target()).ignore_status().output()?;
        if !compiled.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&compiled.stderr));
            bail!("one of these does not compile: {}", together.join(", "));
        }
        (left, rounds) = (later, rounds + 1);
    }
    println!("{count} mutants apply and compile, in {rounds} rounds");
    Ok(())
}

/// What git knows of the checkout, and what it would.
fn copy_checkout(shell: &Shell, to: &Path) -> Result<()> {
    let files = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    for file in files.lines().filter(|file| root().join(file).is_file()) {
        let copy = to.join(file);
        fs::create_dir_all(copy.parent().context("a file lies in a folder")?)?;
        fs::copy(root().join(file), copy)?;
    }
    Ok(())
}

/// All of them, by name.
fn all() -> Result<Vec<(String, Mutant)>> {
    let mut mutants = Vec::new();
    for entry in fs::read_dir(root().join("tests/mutants"))? {
        let path = entry?.path();
        let name = path.file_stem().context("a mutant has a name")?.to_string_lossy().into_owned();
        let mutant = toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        mutants.push((name, mutant));
    }
    mutants.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(mutants)
}

impl Mutant {
    /// Its file in a checkout, broken.
    fn applied(&self, checkout: &Path) -> Result<String> {
        let text = fs::read_to_string(checkout.join(&self.file)).with_context(|| self.file.display().to_string())?;
        let found = text.matches(&self.search).count();
        ensure!(found == 1, "{} has what is to be replaced {found} times, not once", self.file.display());
        Ok(text.replace(&self.search, &self.replace))
    }

    fn test_is_there(&self) -> Result<()> {
        let Some(test) = &self.test else { return Ok(()) };
        let (file, name) = if let Some((file, name)) = test.split_once('#') {
            (root().join(file), name)
        } else {
            let (module, name) = test.rsplit_once("::").context("`test` is a target, and the test's path")?;
            let file = root().join("tests").join(module.replace(' ', "/").replace("::", "/"));
            (file.with_extension("rs"), name)
        };
        let source = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        ensure!(source.contains(&format!("fn {name}(")), "{} has no test {name}", file.display());
        Ok(())
    }
}

/// Where they are bred: a checkout of the last commit, built a little optimised. A mutant is compiled in half a minute, and plays
/// its histories five times as fast as without.
struct Nursery<'a> {
    shell: &'a Shell,
    checkout: PathBuf,
}

impl<'a> Nursery<'a> {
    fn open(shell: &'a Shell) -> Result<Self> {
        let (checkout, root) = (cache("mutants")?, root());
        if !checkout.join(".git").exists() {
            cmd!(shell, "git clone --quiet {root} {checkout}").run()?;
        }
        cmd!(shell, "git -C {checkout} fetch --quiet {root} HEAD").run()?;
        cmd!(shell, "git -C {checkout} reset --quiet --hard FETCH_HEAD").run()?;
        let nursery = Self { shell, checkout };
        nursery.cargo(&["build", "--quiet", "--package", "testkit", "--bin", "simulate"]).run()?;
        Ok(nursery)
    }

    fn cargo(&self, words: &[&str]) -> xshell::Cmd<'_> {
        let manifest = self.checkout.join("Cargo.toml");
        let (verb, rest) = words.split_first().map_or(("", words), |(verb, rest)| (*verb, rest));
        cmd!(self.shell, "cargo {verb} --manifest-path {manifest} {rest...}")
            .env("CARGO_TARGET_DIR", self.checkout.join("target"))
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("CARGO_INCREMENTAL", "1")
            .env("RUSTFLAGS", "--cap-lints allow")
            .quiet()
    }

    /// Says who noticed.
    fn breed(&self, mutant: &Mutant, seeds: u32) -> Result<String> {
        let folder = &self.checkout;
        cmd!(self.shell, "git -C {folder} checkout --quiet -- .").quiet().run()?;
        fs::write(folder.join(&mutant.file), mutant.applied(folder)?)?;
        self.cargo(&["build", "--quiet", "--package", "testkit", "--bin", "simulate"])
            .run()
            .context("it does not compile")?;
        let Some(test) = &mutant.test else {
            let told = self.play(seeds)?.with_context(|| format!("{seeds} histories do not notice it"))?;
            return Ok(format!("noticed: {told}"));
        };
        let words = if let Some((_, name)) = test.split_once('#') {
            vec!["test", "--quiet", "--lib", "--", name]
        } else {
            let (target, name) = test.split_once(' ').context("`test` is a target and a name")?;
            vec!["test", "--quiet", "--test", target, "--", "--exact", name]
        };
        let run = self.cargo(&words).ignore_status().output()?;
        let said = String::from_utf8_lossy(&run.stdout);
        ensure!(said.contains("1 failed"), "{test} does not notice it: {said}");
        Ok(format!("noticed by {test}"))
    }

    /// Plays so many histories; returns what the first that failed said.
    fn play(&self, seeds: u32) -> Result<Option<String>> {
        let (program, count) = (self.checkout.join("target/debug/simulate"), seeds.to_string());
        let run = cmd!(self.shell, "{program} --seeds {count} --no-shrink").quiet().ignore_status().output()?;
        let said = String::from_utf8_lossy(&run.stderr);
        let failed = said.lines().find(|line| line.starts_with("seed ") && line.contains(" failed: "));
        ensure!(run.status.success() == failed.is_none(), "simulate ended with {}: {said}", run.status);
        Ok(failed.map(str::to_owned))
    }
}
