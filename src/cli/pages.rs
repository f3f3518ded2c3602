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
    data(&with_migrations(shell, &String::from_utf8_lossy(&script)))
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

/// `man`: a page for the whole, and one for each verb, which the first one names.
pub(super) fn man(verb: &[String]) -> ExitCode {
    let mut command = Cli::command();
    command.build();
    let mut found = &command;
    for word in verb {
        let Some(next) = found.find_subcommand(word) else {
            let there: Vec<_> = found.get_subcommands().map(Command::get_name).collect();
            talk(&format!("error: there is no verb {word:?}\nhint: there are {}", there.join(", ")));
            return ExitCode::from(FAILED);
        };
        found = next;
    }
    let mut page = Vec::new();
    match Man::new(found.clone()).source(concat!("shadowtable ", env!("CARGO_PKG_VERSION"))).render(&mut page) {
        Ok(()) => data(&String::from_utf8_lossy(&page)),
        Err(error) => {
            talk(&format!("error: the manual page cannot be made: {error}"));
            ExitCode::from(FAILED)
        }
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

    /// The pages that a page names.
    fn named(command: &Command) -> Vec<String> {
        let mut page = Vec::new();
        Man::new(command.clone()).render(&mut page).unwrap();
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
