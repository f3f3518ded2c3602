//! Runs an operator's programs: no shell, no input, a time limit for the program and all its children.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ports::{Program, ProgramFailure};

/// As much of a program's output as is kept, from its end.
const KEPT_BYTES: usize = 4 * 1024;
/// How long output is waited for once the program has ended: a child that lives on may hold it open.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(200);

/// Runs a program to its end, with these variables besides the process's own environment. Returns the end of what it
/// wrote, both streams together. Dropping the future kills the program and its children.
pub async fn run(
    program: &Program,
    environment: &[(&'static str, String)],
    limit: Duration,
) -> Result<String, ProgramFailure> {
    let Some((path, arguments)) = program.argv.split_first() else {
        return Err(ProgramFailure::NotStarted("it has no name".into()));
    };
    let mut command = Command::new(path);
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| match error.raw_os_error().and_then(never_executed) {
        Some(()) => ProgramFailure::NotStarted(error.to_string()),
        // The process may be there, and could only not be looked after.
        None => {
            ProgramFailure::Failed { status: format!("an error while it was started: {error}"), output: String::new() }
        }
    })?;
    let mut group = Group::of(&child);
    let (kept, mut readers) = (Arc::<Mutex<VecDeque<u8>>>::default(), JoinSet::new());
    if let Some(stdout) = child.stdout.take() {
        readers.spawn(keep(stdout, Arc::clone(&kept)));
    }
    if let Some(stderr) = child.stderr.take() {
        readers.spawn(keep(stderr, Arc::clone(&kept)));
    }
    let Ok(ended) = timeout(limit, child.wait()).await else {
        drop(group);
        // Reaped, so that nothing of it is left when this returns.
        let _ = child.wait().await;
        return Err(ProgramFailure::TimedOut { limit, output: text(&kept) });
    };
    // The program is gone; what it left running in its group is none of our business.
    group.disarm();
    let _ = timeout(OUTPUT_PATIENCE, async { while readers.join_next().await.is_some() {} }).await;
    let output = text(&kept);
    match ended {
        Ok(status) if status.success() => Ok(output),
        Ok(status) => Err(ProgramFailure::Failed { status: status.to_string(), output }),
        Err(error) => Err(ProgramFailure::Failed { status: error.to_string(), output }),
    }
}

/// Whether an error says that the program's file was not executed, which nothing but executing it can say.
fn never_executed(code: i32) -> Option<()> {
    let never =
        [Errno::NOENT, Errno::ACCESS, Errno::NOEXEC, Errno::NOTDIR, Errno::LOOP, Errno::TOOBIG, Errno::NAMETOOLONG];
    never.iter().any(|errno| errno.raw_os_error() == code).then_some(())
}

/// Whether a program could be started: it is found as `PATH` says, is a file that may be executed, and so is what its first
/// line names.
pub fn check(program: &Program) -> Result<(), String> {
    let name = program.argv.first().ok_or("it has no name")?;
    let path = find(name)?;
    let mut head = [0; 256];
    let read = File::open(&path).and_then(|mut file| file.read(&mut head));
    // One that may be executed and not read is rare, and fine.
    let Ok(read) = read else { return Ok(()) };
    let head = head.get(..read).unwrap_or_default();
    let Some(line) = head.strip_prefix(b"#!") else {
        let is_text = !head.is_empty() && head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        return if is_text {
            Err(format!("{} is a script without a first line such as #!/bin/sh", path.display()))
        } else {
            Ok(())
        };
    };
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    may_execute(Path::new(interpreter))
        .map_err(|problem| format!("{}, named by its first line, {problem}", path.display()))
}

/// The file that would be executed.
#[expect(clippy::disallowed_methods, reason = "the same PATH that starting a program looks through, not a setting")]
fn find(name: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return may_execute(Path::new(name)).map(|()| name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| may_execute(file).is_ok());
    found.ok_or_else(|| format!("no folder of PATH has a program {name}"))
}

fn may_execute(path: &Path) -> Result<(), String> {
    let name = path.display();
    match std::fs::metadata(path) {
        Err(error) => Err(format!("{name} is not there: {error}")),
        Ok(found) if !found.is_file() => Err(format!("{name} is no file")),
        Ok(_) => access(path, Access::EXEC_OK).map_err(|error| format!("{name} may not be executed: {error}")),
    }
}

/// A program and its children, which end when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails only where nothing of the group is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads to the end, and keeps the last bytes.
async fn keep(mut from: impl AsyncRead + Unpin, kept: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut kept = kept.lock();
        kept.extend(buffer.iter().take(read));
        let surplus = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..surplus);
    }
}

fn text(kept: &Mutex<VecDeque<u8>>) -> String {
    let mut kept = kept.lock();
    String::from_utf8_lossy(kept.make_contiguous()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Program {
        Program { argv: ["sh", "-c", script].map(str::to_owned).to_vec() }
    }

    /// Only then is nothing of it there, and what was to be done certainly not begun.
    #[test]
    fn what_says_that_a_file_was_not_executed_is_no_other_error() {
        let says = |errno: Errno| never_executed(errno.raw_os_error()).is_some();
        assert!([Errno::NOENT, Errno::ACCESS, Errno::NOEXEC].into_iter().all(says));
        assert!(![Errno::AGAIN, Errno::MFILE, Errno::NOMEM, Errno::IO, Errno::CHILD].into_iter().any(says));
    }

    #[tokio::test]
    async fn it_sees_its_variables_and_both_streams_are_kept() {
        let script = "echo \"$CUTOVER_OCCASION\"; echo said >&2";
        let output = run(&shell(script), &[("CUTOVER_OCCASION", "fence".into())], LONG).await.unwrap();
        assert!(output.contains("fence") && output.contains("said"), "{output}");
    }

    #[tokio::test]
    async fn another_code_than_0_is_a_failure_with_its_output() {
        match run(&shell("echo no; exit 3"), &[], LONG).await {
            Err(ProgramFailure::Failed { status, output }) => {
                assert!(status.contains('3'), "{status}");
                assert_eq!(output, "no");
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_does_not_exist_is_not_started() {
        let program = Program { argv: vec!["/nowhere/at/all".into()] };
        assert!(matches!(run(&program, &[], LONG).await, Err(ProgramFailure::NotStarted(_))));
    }

    #[test]
    fn what_cannot_be_started_is_seen_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            Program { argv: vec![path.display().to_string()] }
        };
        let named = |name: &str| Program { argv: vec![name.to_owned(), "argument".into()] };
        assert_eq!(check(&named("sh")), Ok(()));
        assert_eq!(check(&named("/bin/sh")), Ok(()));
        assert_eq!(check(&file("good", "#!/bin/sh\nexit 0\n", 0o755)), Ok(()));
        for (program, problem) in [
            (named("no-such-program-anywhere"), "no folder of PATH"),
            (named("/nowhere/at/all"), "is not there"),
            (named("/tmp"), "is no file"),
            (file("no-run-bit", "#!/bin/sh\n", 0o644), "may not be executed"),
            (file("no-first-line", "exit 0\n", 0o755), "without a first line"),
            (file("no-interpreter", "#!/nowhere/sh\n", 0o755), "/nowhere/sh is not there"),
        ] {
            let told = check(&program).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("echo begun; (sleep 1; touch {}) & wait", mark.display());
        match run(&shell(&script), &[], Duration::from_millis(300)).await {
            Err(ProgramFailure::TimedOut { output, .. }) => assert_eq!(output, "begun"),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(!mark.exists(), "its child went on");
    }

    #[tokio::test]
    async fn only_the_end_of_much_output_is_kept() {
        let output = run(&shell("yes | head -c 100000; echo end"), &[], LONG).await.unwrap();
        assert!(output.len() <= KEPT_BYTES && output.ends_with("end"), "{}", output.len());
    }

    #[tokio::test]
    async fn a_child_that_holds_the_output_open_is_not_waited_for() {
        let output = timeout(LONG, run(&shell("sleep 60 & echo done"), &[], LONG)).await.unwrap().unwrap();
        assert_eq!(output, "done");
    }
}
