//! `completions` and `man`: made from the definition of the command line, so that they cannot say anything else.

use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::output::{data, talk};
use super::{Cli, FAILED};

/// `completions`.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "shadowtable", &mut script);
    data(&String::from_utf8_lossy(&script))
}

/// `man`.
pub(super) fn man() -> ExitCode {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let rendered = Man::new(command.clone()).render(&mut page).and_then(|()| verbs(&command, &mut page));
    match rendered {
        Ok(()) => data(&String::from_utf8_lossy(&page)),
        Err(error) => {
            talk(&format!("error: the manual page cannot be made: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Each verb's own description and options, below those of the whole.
fn verbs(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let man = Man::new(verb.clone());
        let name = verb.get_bin_name().unwrap_or(verb.get_name()).to_uppercase();
        page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
        let mut parts = Vec::new();
        man.render_synopsis_section(&mut parts)?;
        man.render_description_section(&mut parts)?;
        if verb.get_arguments().any(|argument| !argument.is_global_set() && argument.get_id() != "help") {
            man.render_options_section(&mut parts)?;
        }
        man.render_extra_section(&mut parts)?;
        // Sections of a verb stand within its own.
        page.extend_from_slice(String::from_utf8_lossy(&parts).replace(".SH ", ".SS ").as_bytes());
        verbs(verb, page)?;
    }
    Ok(())
}
