//! Programs of an operator: a path and arguments, quoted as for a shell, though no shell runs them.

use super::reader::Reader;
use crate::ports::Program;

/// A program, if one is configured. What only a shell would understand is a mistake: passed on as an argument it would do
/// nothing, in silence.
pub(super) fn program(reader: &mut Reader, key: &'static str) -> Option<Program> {
    let text = reader.text(key, "a program and its arguments, quoted as for a shell", |text| {
        let argv = shlex::split(text)?;
        argv.first().is_some_and(|program| !program.is_empty()).then(|| text.to_owned())
    })?;
    if let Some(syntax) = shell_syntax(&text) {
        let what = format!("{syntax:?} means something to a shell only, and no shell runs this");
        reader.refuse(key, what, "quote it if it is part of an argument; else name a script, or write sh -c '…'");
        return None;
    }
    shlex::split(&text).map(|argv| Program { argv })
}

/// The first thing outside of quotes that a shell would act on.
fn shell_syntax(text: &str) -> Option<String> {
    let (mut quote, mut starts_word) = (None, true);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            // A backslash escapes what follows, but not between single quotes.
            (None | Some('"'), '\\') => drop(letters.next()),
            (None, '\'' | '"') => quote = Some(letter),
            (None, '&' | '|' | ';' | '<' | '>' | '(' | ')' | '`' | '$' | '*' | '?' | '[' | '\n') => {
                let next = letters.peek().map(|(_, next)| *next);
                let pair =
                    next.filter(|next| matches!((letter, *next), ('&', '&') | ('|', '|') | ('>', '>') | ('$', '(')));
                return Some([Some(letter), pair].into_iter().flatten().collect());
            }
            (None, '~' | '#') if starts_word => return Some(letter.to_string()),
            (None, '=') => {
                let name = text.get(..at).unwrap_or_default().trim_start();
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                if !name.is_empty() && name.bytes().all(is_name) {
                    return Some(format!("{name}="));
                }
            }
            _ => {}
        }
        starts_word = quote.is_none() && letter.is_whitespace();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_shell_understands_is_seen() {
        for (text, syntax) in [
            ("/bin/true && /bin/false", "&&"),
            ("/bin/true&", "&"),
            ("a || b", "||"),
            ("a | b", "|"),
            ("a; b", ";"),
            ("a < b", "<"),
            ("a >> b", ">>"),
            ("a 2>b", ">"),
            ("a `b`", "`"),
            ("a $(b)", "$("),
            ("a $HOME", "$"),
            ("(a)", "("),
            ("~/bin/fence", "~"),
            ("a ~/b", "~"),
            ("A=1 b", "A="),
            ("  A_2=1 b", "A_2="),
            ("a *.json", "*"),
            ("a b?", "?"),
            ("a [ab]", "["),
            ("a # b", "#"),
            ("a\nb", "\n"),
            ("a 'b' && c", "&&"),
            ("a \"b\\\"\" | c", "|"),
        ] {
            assert_eq!(shell_syntax(text).as_deref(), Some(syntax), "{text}");
        }
    }

    #[test]
    fn what_is_quoted_or_ordinary_is_left_alone() {
        for text in [
            "/usr/local/bin/stop-writes Orders",
            "sh -c 'echo \"$CUTOVER_SOURCE\" > /tmp/x && true'",
            "sh -c \"a | b\"",
            "aws ssm put-parameter --name /orders/writes --value off",
            "a --key=value b=c",
            "a b\\&c it\\'s",
            "curl 'https://example.com/?a=1&b=2'",
            "a b~c d#e",
        ] {
            assert_eq!(shell_syntax(text), None, "{text}");
        }
    }
}
