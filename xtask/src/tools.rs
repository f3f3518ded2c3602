//! What tasks need besides Rust. A list of what is there is always written last: it is there only when all of it is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::place::{cache, root};

/// Whether a command ends well, in silence.
pub(crate) fn well(command: xshell::Cmd<'_>) -> bool {
    command.quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// A program, which Debian's package of a name has where it can be installed.
pub(crate) fn program(shell: &Shell, name: &str, package: &str) -> Result<()> {
    if well(cmd!(shell, "which {name}")) { Ok(()) } else { install(shell, &[package]) }
}

/// Debian's packages of these names.
pub(crate) fn install(shell: &Shell, packages: &[&str]) -> Result<()> {
    let root = cmd!(shell, "id -u").quiet().read()? == "0";
    ensure!(root && well(cmd!(shell, "which apt-get")), "needed, and not there: {}", packages.join(", "));
    let apt = |words: &[&str]| cmd!(shell, "apt-get {words...}").env("DEBIAN_FRONTEND", "noninteractive").run();
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], packages].concat())?;
    Ok(())
}

/// Java 17 or later, and Maven.
pub(crate) fn java_and_maven(shell: &Shell) -> Result<()> {
    if java_is_good(shell) && well(cmd!(shell, "which mvn")) {
        return Ok(());
    }
    let names = ["openjdk-21-jre-headless", "openjdk-17-jre-headless", "default-jre-headless"];
    let offered = |name: &&&str| cmd!(shell, "apt-cache show {name}").quiet().ignore_stderr().read().is_ok();
    let java = names.iter().find(offered).copied().unwrap_or("default-jre-headless");
    install(shell, &[java, "maven"])?;
    ensure!(java_is_good(shell), "the Java that apt-get installed is older than 17; install a later one");
    Ok(())
}

/// It says such as `openjdk version "17.0.2" 2022-01-18`.
fn java_is_good(shell: &Shell) -> bool {
    let said = cmd!(shell, "java -version").quiet().read_stderr().unwrap_or_default();
    let version = said.split('"').nth(1).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    version.is_some_and(|version| version >= 17)
}

/// The folder of DynamoDB Local, from Maven Central. Whoever follows the README has nothing installed by it.
pub(crate) fn dynamodb_local(shell: &Shell) -> Result<PathBuf> {
    ensure!(
        java_is_good(shell) && well(cmd!(shell, "which mvn")),
        "needed, and not there: Java 17 or later, and Maven"
    );
    let (pom, folder) = (root().join("tests/testkit/dynamodb-local/pom.xml"), cache("dynamodb-local")?);
    if !same(&pom, &folder.join("pom.xml")) {
        let library = folder.join("lib");
        emptied(&folder)?;
        let arguments = [
            OsString::from("dependency:copy-dependencies"),
            [OsString::from("-DoutputDirectory="), library.into()].into_iter().collect(),
            "-DincludeScope=runtime".into(),
        ];
        // Its path is what goes to stdout.
        let said = cmd!(shell, "mvn -q -B -f {pom} {arguments...}").read()?;
        eprint!("{said}");
        fs::copy(&pom, folder.join("pom.xml"))?;
    }
    Ok(folder)
}

/// A virtual environment of Python with what a file lists; returns its interpreter.
pub(crate) fn python(shell: &Shell, name: &str, requirements: &Path) -> Result<PathBuf> {
    let folder = cache(name)?;
    let (python, list) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if same(requirements, &list) && well(cmd!(shell, "{python} -c ''")) {
        return Ok(python);
    }
    let good = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))";
    if !well(cmd!(shell, "python3 -c {good}")) {
        install(shell, &["python3-venv"])?;
        ensure!(well(cmd!(shell, "python3 -c {good}")), "Python 3.11 or later with venv is needed");
    }
    emptied(&folder)?;
    cmd!(shell, "python3 -m venv {folder}").run()?;
    let hashes = fs::read_to_string(requirements)?.contains("--hash=");
    let strict: &[&str] = if hashes { &["--require-hashes", "--only-binary", ":all:"] } else { &[] };
    cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check --no-input {strict...} -r {requirements}")
        .run()?;
    fs::copy(requirements, list)?;
    Ok(python)
}

/// The packages of `package-lock.json` in a folder of the checkout; returns where they are.
pub(crate) fn npm(shell: &Shell, name: &str, from: &Path) -> Result<PathBuf> {
    let good = "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)";
    ensure!(
        well(cmd!(shell, "which npm")) && well(cmd!(shell, "node -e {good}")),
        "Node.js 20 or later with npm is needed"
    );
    let (folder, lock) = (cache(name)?, from.join("package-lock.json"));
    let list = folder.join("installed.json");
    if !same(&lock, &list) {
        emptied(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(from.join(file), folder.join(file))?;
        }
        let quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        cmd!(shell, "npm --prefix {folder} ci {quiet...}").env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1").run()?;
        fs::copy(lock, list)?;
    }
    Ok(folder)
}

/// A command of Go at a version, in a folder of its own.
pub(crate) fn go(shell: &Shell, module: &str, version: &str) -> Result<PathBuf> {
    let name = module.rsplit('/').find(|part| !is_major(part)).context("a module has a name")?;
    let folder = cache(&format!("go/{name}-{version}"))?;
    // `go install` calls a command by the last part of its path that is no version.
    let command = folder.join(name);
    if !command.is_file() {
        cmd!(shell, "go install {module}@{version}").env("GOBIN", &folder).run().context("Go is needed")?;
        ensure!(command.is_file(), "go installed no {}", command.display());
    }
    Ok(command)
}

/// It builds what the overlays of deploy/kubernetes make.
pub(crate) fn kustomize(shell: &Shell) -> Result<PathBuf> {
    go(shell, "sigs.k8s.io/kustomize/kustomize/v5", "v5.8.2")
}

fn is_major(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The folder of the AWS CLI's commands, for PATH; `None` where the machine has it.
pub(crate) fn aws_cli(shell: &Shell) -> Result<Option<PathBuf>> {
    if well(cmd!(shell, "which aws")) {
        return Ok(None);
    }
    let python = python(shell, "aws-cli", &root().join("xtask/python/aws-cli.txt"))?;
    Ok(python.parent().map(Path::to_owned))
}

/// PATH with these folders before it.
pub(crate) fn path_with(folders: impl IntoIterator<Item = PathBuf>) -> Result<OsString> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&own)))?)
}

fn same(one: &Path, other: &Path) -> bool {
    match (fs::read(one), fs::read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn emptied(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(())
}

/// An executable file, or why there is none.
pub(crate) fn executable(path: &Path, hint: &str) -> Result<()> {
    if !path.is_file() {
        bail!("there is no {}; {hint}", path.display());
    }
    Ok(())
}
