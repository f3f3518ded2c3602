//! `completions`: made from the definition of the command line, so that it cannot say anything else.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::output::data;

const ABOUT: &str = "Print a completion script for a shell.";

const AFTER: &str = "\
Examples:
  shadowtable completions bash > /etc/bash_completion.d/shadowtable
  shadowtable completions zsh > ~/.zfunc/_shadowtable

Exit codes: 0 printed.";

/// Print a completion script for a shell
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "shadowtable", &mut script);
        data(&with_migrations(self.shell, &String::from_utf8_lossy(&script)))
    }
}

/// Lets a script ask the state table which migrations there are, where the generated one would offer files.
fn with_migrations(shell: Shell, script: &str) -> String {
    const IDS: &str = r#"shadowtable list --json 2>/dev/null | sed -n 's/^ *"migration": "\([^"]*\)".*/\1/p'"#;
    match shell {
        Shell::Bash => {
            let files = "--migration)\n                    COMPREPLY=($(compgen -f \"${cur}\"))";
            let ids =
                format!("--migration)\n                    COMPREPLY=($(compgen -W \"$({IDS})\" -- \"${{cur}}\"))");
            script.replace(files, &ids)
        }
        // A function, since within the generated text colons and quotes have a meaning of their own.
        Shell::Zsh => {
            let ids = format!(
                "_shadowtable_migrations() {{\n    local -a ids\n    ids=(${{(f)\"$({IDS})\"}})\n    compadd -a ids\n}}\n\n_shadowtable() {{"
            );
            script.replace(":ID:_default'", ":ID:_shadowtable_migrations'").replacen("_shadowtable() {", &ids, 1)
        }
        _ => script.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_ask_which_migrations_there_are() {
        for shell in [Shell::Bash, Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "shadowtable", &mut script);
            let script = with_migrations(shell, &String::from_utf8(script).unwrap());
            assert!(script.contains("shadowtable list --json"), "{shell}");
        }
    }
}
