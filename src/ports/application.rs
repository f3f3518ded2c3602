//! The application whose table is moved: programs that the operator provides, and the pointer that the application reads.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::PortError;

/// An operator's program: its path and its arguments. No shell is in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The path, looked up in `PATH` when it holds no slash, and then the arguments.
    pub argv: Vec<String>,
}

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.argv.join(" "))
    }
}

/// A program that did not do what it was asked for. `output` is the end of what it wrote, both streams together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramFailure {
    /// It could not be started: its file was not executed, and nothing happened.
    #[error("it cannot be started: {0}")]
    NotStarted(String),
    /// It ended with another code than 0, or by a signal.
    #[error("it ended with {status}{}", said(output))]
    Failed {
        /// How it ended.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// It did not end in time and was killed with all its children. What it did until then is not known.
    #[error("it did not end within {} s and was killed{}", limit.as_secs_f64(), said(output))]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// The end of what it wrote.
        output: String,
    },
}

fn said(output: &str) -> String {
    let output = output.trim();
    if output.is_empty() { String::new() } else { format!(", having said: {output}") }
}

/// What a cutover does to the application.
pub trait Application: Send + Sync + 'static {
    /// Runs a program to its end. Returns the end of what it wrote.
    fn run(
        &self,
        program: &Program,
        environment: &[(&'static str, String)],
        limit: Duration,
    ) -> impl Future<Output = Result<String, ProgramFailure>> + Send;
    /// Whether a program could be started here, as far as can be told without doing so; otherwise why not.
    fn check(&self, program: &Program) -> impl Future<Output = Result<(), String>> + Send;
    /// Asks for a write of the pointer that cannot hold: whether it may be written. Nothing is changed.
    fn may_point(&self) -> impl Future<Output = Result<(), PortError>> + Send;
    /// The table that the pointer names; `None` where there is no pointer.
    fn pointer(&self) -> impl Future<Output = Result<Option<String>, PortError>> + Send;
    /// Lets the pointer name `to`, if it names `from`; [`Fault::Conflict`](super::Fault::Conflict) if it does not.
    fn point(&self, from: &str, to: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
