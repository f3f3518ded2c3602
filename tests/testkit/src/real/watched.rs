//! Servers of other projects that end when the tests do.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

/// Stops the server when this process is gone, however it went: then the pipe closes, and `read` returns.
const WATCH: &str = r#""$@" </dev/null & server=$!; read -r _; kill "$server"; wait "$server""#;

/// A server, which ends when this is dropped.
pub struct Watched(Child);

impl Watched {
    /// Starts a program with its arguments. What it says is thrown away.
    pub fn start<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "watched", program]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("cannot start sh: {error}")))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
