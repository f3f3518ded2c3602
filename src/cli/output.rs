//! The two ways out: data to stdout, talk to stderr.
//!
//! The print macros panic when nobody reads any more (`config example | head`); these do not.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;

use super::{DONE, FAILED};
use crate::telemetry::stderr;

/// Writes data to stdout, as it is. A reader that has seen enough and left is no failure; a full disk is.
pub(crate) fn data(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::from(DONE),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(DONE),
        Err(error) => {
            talk(&format!("error: stdout cannot be written: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Writes a line to stderr, behind what was logged. Where that fails there is nobody left to tell.
pub(crate) fn talk(line: &str) {
    stderr::flush();
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
