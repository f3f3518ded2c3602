//! `man`: made from the definition of the command line, so that it cannot say anything else.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man as Roff;

use crate::cli::output::{data, talk};
use crate::cli::{Cli, FAILED};

const ABOUT: &str = "\
Print a manual page, in the form that man reads: of the whole, or of the verb that is named. The page of the whole names those \
of the verbs: shadowtable-run(1), shadowtable-quarantine-list(1).";

const AFTER: &str = "\
Examples:
  shadowtable man run | man -l -
  shadowtable man > /usr/local/share/man/man1/shadowtable.1
  shadowtable man quarantine list > /usr/local/share/man/man1/shadowtable-quarantine-list.1

Exit codes: 0 printed; 1 there is no such verb.";

/// Print the manual page, of the whole or of a verb
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Man {
    /// The verb, such as `run` or `quarantine list`; the whole where none is named
    verb: Vec<String>,
}

impl Man {
    /// Prints a page for the whole, or one for a verb, which the first one names.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        let mut command = Cli::command();
        command.build();
        let mut found = &command;
        for word in &self.verb {
            let Some(next) = found.find_subcommand(word) else {
                let there: Vec<_> = found.get_subcommands().map(Command::get_name).collect();
                talk(&format!("error: there is no verb {word:?}\nhint: there are {}", there.join(", ")));
                return ExitCode::from(FAILED);
            };
            found = next;
        }
        let mut page = Vec::new();
        match Roff::new(found.clone()).source(concat!("shadowtable ", env!("CARGO_PKG_VERSION"))).render(&mut page) {
            Ok(()) => data(&String::from_utf8_lossy(&page)),
            Err(error) => {
                talk(&format!("error: the manual page cannot be made: {error}"));
                ExitCode::from(FAILED)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages that a page names.
    fn named(command: &Command) -> Vec<String> {
        let mut page = Vec::new();
        Roff::new(command.clone()).render(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace('\\', "");
        let names = page.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-()".contains(letter)));
        names.filter_map(|word| word.strip_suffix("(1)")).map(str::to_owned).collect()
    }

    /// A reader who follows a name finds that page.
    #[test]
    fn every_page_that_is_named_is_there() {
        let mut whole = Cli::command();
        whole.build();
        let mut seen = 0;
        let mut all = vec![&whole];
        while let Some(command) = all.pop() {
            for name in named(command) {
                let words = name.strip_prefix("shadowtable").unwrap_or_else(|| panic!("{name} is not ours"));
                let mut at = Some(&whole);
                let mut rest = words.trim_start_matches('-');
                while let (Some(command), false) = (at, rest.is_empty()) {
                    let next = command.get_subcommands().find(|verb| rest.starts_with(verb.get_name()));
                    rest = next.map_or("", |next| rest[next.get_name().len()..].trim_start_matches('-'));
                    at = next;
                }
                assert!(at.is_some(), "{name} is named, and there is none");
                seen += 1;
            }
            all.extend(command.get_subcommands());
        }
        assert!(seen > 20, "{seen}");
    }
}
