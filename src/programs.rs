//! Runs an operator's programs: no shell, no input, a time limit for the program and all its children.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    let mut child = command.spawn().map_err(|error| ProgramFailure::NotStarted(error.to_string()))?;
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
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(buffer.iter().take(read));
        let surplus = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..surplus);
    }
}

fn text(kept: &Mutex<VecDeque<u8>>) -> String {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(kept.make_contiguous()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Program {
        Program { argv: ["sh", "-c", script].map(str::to_owned).to_vec() }
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
