//! What the README's five-minute tour says, in its own words.
//!
//! Taken from the README are all commands between its headings "Five-minute tour" and "On AWS". Changed are the ports (free ones),
//! where things lie that are kept (a folder that is removed), the program, and that `status --watch` ends after some seconds. The
//! tour has two terminals; here each is a shell that inherits nothing but HOME and PATH.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use xshell::Shell;

use crate::place::{program, root};
use crate::tools;

const PATIENCE: Duration = Duration::from_secs(150);

pub(crate) fn run(shell: &Shell) -> Result<()> {
    let began = Instant::now();
    let mut tour = Tour::prepare(shell)?;
    let outcome = tour.play();
    if outcome.is_err() {
        let log = fs::read_to_string(tour.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        println!(
            "the tour failed; the end of its log:\n{}",
            lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
        );
    }
    outcome?;
    println!("the tour is good after {} s", began.elapsed().as_secs());
    Ok(())
}

struct Tour {
    folder: TempDir,
    path: std::ffi::OsString,
    admin: u16,
    prometheus: u16,
    /// The first is for one terminal, the others for another.
    blocks: [String; 3],
    started: Vec<Terminal>,
}

/// A terminal has a group of its own, with all that it started; the group ends with it.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

impl Tour {
    fn prepare(shell: &Shell) -> Result<Self> {
        let program = program(shell)?;
        tools::program(shell, "prometheus", "prometheus")?;
        let dynamodb_local = tools::dynamodb_local(shell)?;
        let path = tools::path_with(tools::aws_cli(shell)?)?;
        let folder = tempfile::tempdir()?;
        let [dynamodb, admin, prometheus] = free_ports()?;
        let here = folder.path().display().to_string();
        let local = format!("127.0.0.1:{dynamodb}");

        let config = read("deploy/prometheus/prometheus.yml")?;
        let rules = root().join("deploy/prometheus/rules.yml").display().to_string();
        let config = replaced(
            &config,
            &[
                ("127.0.0.1:9464", &format!("127.0.0.1:{admin}")),
                ("interval: 10s", "interval: 1s"),
                ("- rules.yml", &format!("- {rules}")),
            ],
        )?;
        fs::write(folder.path().join("prometheus.yml"), config)?;

        let programs = program.parent().context("a program lies in a folder")?.display().to_string();
        let environment =
            replaced(&read("deploy/tour.env")?, &[("$PWD/target/release", &programs), ("127.0.0.1:8000", &local)])?;
        let listen = format!("export SHADOWTABLE_ADMIN_LISTEN=127.0.0.1:{admin}\n");
        fs::write(folder.path().join("tour.env"), environment + &listen)?;

        let [first, second, third] = blocks(&read("README.md")?)?;
        let both = (". deploy/tour.env", format!(". {here}/tour.env"));
        let kept = ("/tmp/tour-", format!("{here}/tour-"));
        let blocks = [
            replaced(
                &first,
                &[
                    ("cargo build --release\n", ""),
                    ("$(cargo xtask dynamodb-local)", &dynamodb_local.display().to_string()),
                    ("-port 8000", &format!("-port {dynamodb}")),
                    (both.0, &both.1),
                    (kept.0, &kept.1),
                ],
            )?,
            replaced(
                &second,
                &[
                    ("--config.file=deploy/prometheus/prometheus.yml", &format!("--config.file={here}/prometheus.yml")),
                    ("127.0.0.1:9090", &format!("127.0.0.1:{prometheus}")),
                    ("\nshadowtable status --watch", "\ntimeout 12 shadowtable status --watch || true"),
                    (both.0, &both.1),
                    (kept.0, &kept.1),
                ],
            )?,
            replaced(&third, &[(kept.0, &kept.1)])?,
        ];
        Ok(Self { folder, path, admin, prometheus, blocks, started: Vec::new() })
    }

    fn play(&mut self) -> Result<()> {
        println!("the tables, the application, the migration");
        let [first, second, third] = self.blocks.clone();
        self.open(&first)?;
        self.until_says("\"phase\"", "shadowtable status --json")?;
        println!("a look at it, by every way");
        self.until_says("Lag over time", &format!("curl -sf http://127.0.0.1:{}/", self.admin))?;
        self.open(&format!("{second}\nwait"))?;
        let api = format!("curl -sf http://127.0.0.1:{}/api/v1", self.prometheus);
        let lag = "migration:shadowtable_lag_seconds:max";
        self.until_says(lag, &format!("{api}/query?query={lag}"))?;
        self.until_says("\"status\":\"success\"", &format!("{api}/alerts"))?;
        self.until_says("\"phase\": \"tailing\"", "shadowtable status --json")?;
        self.until_says("\"paused\": \"none\"", "shadowtable status --json")?;
        // DynamoDB Local dates changes by the minute.
        self.until_says("all gates hold", "shadowtable cutover --dry-run 2>&1")?;
        println!("the cutover");
        self.ask(&format!("{third}\nsleep 3; kill $(jobs -p)"))?;
        self.until_says("\"phase\": \"finished\"", "shadowtable status --json")?;
        let pointer = self
            .ask("aws dynamodb get-item --table-name settings --key '{\"name\": {\"S\": \"task-approvals-table\"}}'")?;
        ensure!(pointer.contains("TaskApprovals-v2"), "the application was not moved: {pointer}");
        let wrote = fs::read_to_string(self.folder.path().join("tour-writer-2.log"))?;
        ensure!(wrote.contains("TaskApprovals-v2: put"), "the application did not go on with the new table: {wrote}");
        Ok(())
    }

    /// A shell that inherits nothing, in the checkout.
    fn terminal(&self, script: &str) -> Result<Command> {
        let mut command = Command::new("bash");
        command.env_clear().env("PATH", &self.path).args(["-euc", script]).current_dir(root());
        for name in ["HOME", "JAVA_HOME", "CARGO_HOME", "RUSTUP_HOME", "XDG_CACHE_HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.stdin(Stdio::null()).stderr(self.log()?);
        Ok(command)
    }

    /// A terminal in which something goes on.
    fn open(&mut self, script: &str) -> Result<()> {
        let child = self.terminal(script)?.stdout(self.log()?).process_group(0).spawn()?;
        self.started.push(Terminal(child));
        Ok(())
    }

    /// What this task itself asks is asked like in the second terminal. Returns what was said.
    fn ask(&self, script: &str) -> Result<String> {
        let environment = self.folder.path().join("tour.env");
        let output = self.terminal(&format!(". {}\n{script}", environment.display()))?.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{script} ended with {}: {said}", output.status);
        Ok(said)
    }

    fn until_says(&self, wanted: &str, script: &str) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.ask(script).is_ok_and(|said| said.contains(wanted)) {
                return Ok(());
            }
            sleep(Duration::from_millis(500));
        }
        bail!("{script} never said {wanted}")
    }

    fn log(&self) -> Result<File> {
        Ok(OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"))?)
    }
}

fn read(name: &str) -> Result<String> {
    let path: PathBuf = root().join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Each is there to be replaced: otherwise the documents say something else than this task knows.
fn replaced(text: &str, pairs: &[(&str, &str)]) -> Result<String> {
    pairs.iter().try_fold(text.to_owned(), |text, (there, instead)| {
        ensure!(text.contains(there), "this is not there any more: {there}");
        Ok(text.replace(there, instead))
    })
}

/// The shell blocks of the tour.
fn blocks(readme: &str) -> Result<[String; 3]> {
    let (_, tour) = readme.split_once("\n## Five-minute tour\n").context("the README has no tour")?;
    let (tour, _) = tour.split_once("\n### On AWS\n").context("the tour does not end before \"On AWS\"")?;
    let blocks =
        tour.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n");
    let blocks: Vec<String> = blocks.collect();
    blocks.try_into().map_err(|other: Vec<_>| anyhow::anyhow!("the tour has {} blocks", other.len()))
}

/// Different ones, for they are held until all are chosen.
fn free_ports() -> Result<[u16; 3]> {
    let held = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, held) in ports.iter_mut().zip(held) {
        *port = held?.local_addr()?.port();
    }
    Ok(ports)
}
