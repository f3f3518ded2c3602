//! The real binary as a child process.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{admin, clock};

/// A process that was started here. It is killed when dropped, and shows its log when the test has failed.
pub struct Process {
    child: Child,
    arguments: String,
    heard: Arc<Mutex<Heard>>,
    readers: Vec<JoinHandle<()>>,
}

/// What the process has said so far.
#[derive(Default)]
struct Heard {
    stdout: String,
    stderr: Vec<String>,
    admin: Option<SocketAddr>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// What `/status` or `status --json` said.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

impl Status {
    fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in the status {}", self.0))
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("{pointer} is not text in the status {}", self.0))
    }

    pub fn number(&self, pointer: &str) -> f64 {
        self.at(pointer).as_f64().unwrap_or_else(|| panic!("{pointer} is not a number in the status {}", self.0))
    }

    pub fn truth(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap_or_else(|| panic!("{pointer} is not a truth in the status {}", self.0))
    }

    /// The process has something to say: it is past its start.
    fn is_known(&self) -> bool {
        !self.at("/phase").is_null() || self.0.pointer("/standby") == Some(&Value::Bool(true))
    }

    /// `None` before the first poll.
    fn since_poll_seconds(&self) -> Option<f64> {
        self.at("/legs/0/since_poll_seconds").as_f64()
    }

    /// Empty while the process waits for the lease, or starts.
    pub fn phase(&self) -> &str {
        if self.at("/phase").is_null() { "" } else { self.text("/phase") }
    }

    pub fn holds_lease(&self) -> bool {
        self.truth("/lease/held")
    }
}

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        let arguments = command.get_args().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (mut stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let readers = vec![
            std::thread::spawn({
                let heard = Arc::clone(&heard);
                move || {
                    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                        lock(&heard).hear(line);
                    }
                }
            }),
            std::thread::spawn({
                let heard = Arc::clone(&heard);
                move || {
                    let mut text = String::new();
                    let _ = stdout.read_to_string(&mut text);
                    lock(&heard).stdout = text;
                }
            }),
        ];
        Self { child, arguments, heard, readers }
    }

    /// One whose words go elsewhere, and whose admin port is known beforehand.
    pub fn spawn_unheard(command: &mut Command, (out, err): (Stdio, Stdio), admin: Option<SocketAddr>) -> Self {
        let arguments = command.get_args().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, arguments, heard: Arc::new(Mutex::new(Heard { admin, ..Heard::default() })), readers: Vec::new() }
    }

    /// Where the admin port is; waits until the process has said so.
    pub fn admin(&mut self) -> SocketAddr {
        let start = clock::now();
        loop {
            let said = lock(&self.heard).admin;
            if let Some(address) = said {
                return address;
            }
            if let Some(status) = self.ended() {
                panic!("{} ended with {status} before its admin port listened\n{}", self.arguments, self.log_tail());
            }
            assert!(start.elapsed() < clock::DEADLINE, "no admin port yet\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn get(&mut self, path: &str) -> Result<admin::Reply, String> {
        let address = self.admin();
        admin::get(address, path).map_err(|error| format!("GET {path}: {error}"))
    }

    pub fn status(&mut self) -> Result<Status, String> {
        let reply = self.get("/status")?;
        if reply.status != 200 {
            return Err(format!("/status answered {}: {}", reply.status, reply.body));
        }
        serde_json::from_str(&reply.body).map(Status).map_err(|error| format!("{error} in {}", reply.body))
    }

    /// Waits for a status that will do, and returns it.
    pub fn wait_until(&mut self, what: &str, accept: impl Fn(&Status) -> bool) -> Status {
        let start = clock::now();
        loop {
            let status = self.status();
            match status {
                Ok(status) if status.is_known() && accept(&status) => return status,
                last => {
                    if let Some(exit) = self.ended() {
                        panic!("it ended with {exit} before {what}; last status: {last:?}\n{}", self.log_tail());
                    }
                    let patience = start.elapsed() < clock::DEADLINE;
                    assert!(patience, "no {what} yet; last status: {last:?}\n{}", self.log_tail());
                }
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    pub fn wait_for_lease(&mut self) {
        self.wait_until("lease", Status::holds_lease);
    }

    pub fn wait_for_tailing(&mut self) {
        self.wait_until("end of the copy", |status| status.phase() == "tailing" && status.holds_lease());
    }

    /// Waits until everything written before this call is in the shadow: nobody may write meanwhile. A quiet that was
    /// last looked into before the call, or less than a second after it, says nothing about those writes.
    pub fn drain(&mut self, caught_up: Duration) -> Status {
        let written = clock::now();
        std::thread::sleep(caught_up + Duration::from_secs(1));
        self.wait_until("drained shadow", |status| {
            let polled = status.since_poll_seconds().is_some_and(|since| since + 1.0 < written.elapsed().as_secs_f64());
            let quiet = status.phase() == "tailing" && status.number("/legs/0/quiet_seconds") > 0.0;
            polled && quiet && status.holds_lease()
        })
    }

    pub fn sigkill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and demands that it does so well.
    pub fn stop(self) {
        self.sigterm();
        let finished = self.wait_exit();
        assert_eq!(finished.code, Some(0), "a clean stop exits with 0; it said\n{}", finished.stderr);
    }

    /// How it ended, if it has; its log is then complete.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().unwrap()?;
        self.join_readers();
        Some(status)
    }

    pub fn wait_exit(mut self) -> Finished {
        let start = clock::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(start.elapsed() < clock::DEADLINE, "{} does not end\n{}", self.arguments, self.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        };
        let heard = lock(&self.heard);
        Finished { code: status.code(), stdout: heard.stdout.clone(), stderr: heard.stderr.join("\n") }
    }

    /// It must stop for good and say each of these words: by ending with exit code 1, or in the phase `needs-reseed`.
    pub fn wait_for_reseed(mut self, words: &[&str]) {
        clock::wait_for("a stop for good", || {
            if let Some(exit) = self.ended() {
                assert_eq!(exit.code(), Some(1), "{}", self.log_tail());
                return Ok(());
            }
            let known = lock(&self.heard).admin.is_some();
            let status = if known { self.status() } else { Err("it does not listen yet".into()) };
            match status {
                Ok(status) if status.phase() == "needs-reseed" => Ok(()),
                other => Err(format!("{other:?}\n{}", self.log_tail())),
            }
        });
        let said = self.log_tail().to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "{word:?} should be in\n{said}");
        }
    }

    /// The last lines of its log.
    fn log_tail(&self) -> String {
        const LINES: usize = 25;
        let heard = lock(&self.heard);
        let first = heard.stderr.len().saturating_sub(LINES);
        heard.stderr[first..].iter().fold(String::from("its last words:\n"), |mut text, line| {
            let _ = writeln!(text, "  {line}");
            text
        })
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join_readers();
        if std::thread::panicking() {
            let heard = lock(&self.heard);
            println!("--- {}\n{}{}", self.arguments, heard.stdout, heard.stderr.join("\n"));
        }
    }
}

impl Heard {
    fn hear(&mut self, line: String) {
        if self.admin.is_none() {
            self.admin = admin_address(&line);
        }
        self.stderr.push(line);
    }
}

fn admin_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    let ours = fields.get("message")? == "admin listening";
    ours.then(|| fields.get("address")?.as_str()?.parse().ok())?
}

/// A reader that panicked has left whole lines.
fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
