//! The paths that a Rust text names, as far as imports need it: no macros are expanded and no aliases followed.

/// A path and the line it stands on. Inside the crate it begins with `crate::`, however it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Then,
    Open,
    Close,
    Comma,
    Other,
}

/// The module of a file, by its path inside `src/`.
pub(crate) fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        module.pop();
    }
    module
}

/// Every path of two or more words in `text`, the text of `module`. A group counts as each of its members.
pub(crate) fn names_in(text: &str, module: &[String]) -> Vec<Named> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, found: Vec::new() };
    let mut scope = Scope { module: module.to_vec(), depth: 0, inline: Vec::new() };
    while let Some((token, line)) = reader.next() {
        match token {
            Token::Word("mod") => scope.enter(&reader),
            Token::Word(word) if reader.peek() == Some(Token::Then) => {
                let start = scope.resolve(word);
                reader.path(start, line, &scope);
            }
            Token::Open => scope.depth += 1,
            Token::Close => scope.leave(),
            _ => {}
        }
    }
    reader.found
}

/// Where in the tree of modules the reader is.
struct Scope {
    module: Vec<String>,
    depth: usize,
    /// The depths at which inline modules opened.
    inline: Vec<usize>,
}

impl Scope {
    /// `mod` was read: an inline module begins with the next brace.
    fn enter(&mut self, reader: &Reader<'_>) {
        if let (Some(Token::Word(name)), Some(Token::Open)) = (reader.ahead(0), reader.ahead(1)) {
            self.module.push(name.to_owned());
            self.inline.push(self.depth);
        }
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.inline.last() == Some(&self.depth) {
            self.inline.pop();
            self.module.pop();
        }
    }

    /// The first word of a path.
    fn resolve(&self, word: &str) -> Vec<String> {
        let within = |module: &[String]| std::iter::once("crate".to_owned()).chain(module.iter().cloned()).collect();
        match word {
            "crate" => within(&[]),
            "self" => within(&self.module),
            "super" => within(self.module.split_last().map_or(&[], |(_, parent)| parent)),
            _ => vec![word.to_owned()],
        }
    }
}

struct Reader<'a> {
    tokens: &'a [(Token<'a>, usize)],
    at: usize,
    found: Vec<Named>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Token<'a>, usize)> {
        let next = self.tokens.get(self.at).copied();
        self.at += 1;
        next
    }

    fn ahead(&self, by: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + by).map(|(token, _)| *token)
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.ahead(0)
    }

    /// Goes on behind a word of a path, whose words so far are `path`.
    fn path(&mut self, mut path: Vec<String>, mut line: usize, scope: &Scope) {
        while self.peek() == Some(Token::Then) {
            match self.ahead(1) {
                Some(Token::Word(word)) => {
                    self.at += 1;
                    line = self.next().map_or(line, |(_, line)| line);
                    match word {
                        "super" => drop(path.pop()),
                        "self" => {}
                        _ => path.push(word.to_owned()),
                    }
                }
                Some(Token::Open) => {
                    self.at += 2;
                    self.group(&path, scope);
                    return;
                }
                // A glob, or type arguments.
                _ => break,
            }
        }
        self.found.push(Named { line, path: path.join("::") });
    }

    /// Reads `a, b::c, d as e}`.
    fn group(&mut self, parent: &[String], scope: &Scope) {
        let mut expected = true;
        while let Some((token, line)) = self.next() {
            match token {
                Token::Word("self") if expected => self.found.push(Named { line, path: parent.join("::") }),
                Token::Word(word) if expected => {
                    let path =
                        if parent.is_empty() { scope.resolve(word) } else { [parent, &[word.to_owned()]].concat() };
                    self.path(path, line, scope);
                }
                Token::Close => return,
                _ => {}
            }
            expected = token == Token::Comma;
        }
    }
}

/// The tokens of a text with their lines, without comments, strings and lifetimes.
fn tokens(text: &str) -> Vec<(Token<'_>, usize)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (token, length) = if let Some(length) = skipped(rest) {
            (None, length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            (Some(Token::Word(&rest[..length])), length)
        } else if rest.starts_with("::") {
            (Some(Token::Then), 2)
        } else {
            let token = match first {
                '{' => Token::Open,
                '}' => Token::Close,
                ',' => Token::Comma,
                _ => Token::Other,
            };
            ((!first.is_whitespace()).then_some(token), first.len_utf8())
        };
        tokens.extend(token.map(|token| (token, line)));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of a comment, a string, a character or a lifetime at the beginning of `text`.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if let Some(length) = raw_string(text) {
        return Some(length);
    }
    let quoted = text.strip_prefix("b\"").or_else(|| text.strip_prefix("c\"")).or_else(|| text.strip_prefix('"'));
    if let Some(inner) = quoted {
        return Some(text.len() - inner.len() + end_of(inner, '"'));
    }
    let inner = text.strip_prefix("b'").or_else(|| text.strip_prefix('\''))?;
    let mut letters = inner.chars();
    let is_character = match letters.next() {
        Some('\\') => true,
        Some(_) => letters.next() == Some('\''),
        None => false,
    };
    // Of a lifetime only the quote is passed over; its name is a word like another.
    Some(text.len() - inner.len() + if is_character { end_of(inner, '\'') } else { 0 })
}

fn raw_string(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + length)
}

/// The place behind the closing quote; a backslash hides the letter behind it.
fn end_of(inner: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, letter) in inner.char_indices() {
        match letter {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            _ if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    inner.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, file: &str) -> Vec<String> {
        names_in(text, &module_of(file)).into_iter().map(|named| named.path).collect()
    }

    #[test]
    fn every_way_of_naming_a_module_is_seen() {
        let text = r#"
            use std::{fmt, io::{self, Read as _}};
            pub(crate) use self::inner::Thing;
            use super::{a, b::{c, d as e}, *};
            fn f<'a>(x: &'a super::super::far::Away) -> Vec<u8> { crate::there::<u8>::new('{', '\'', b'"') }
            mod tests { use super::*; use super::super::near::N; fn g() {} }
            use super::after;
        "#;
        let expected = [
            "std::fmt",
            "std::io",
            "std::io::Read",
            "crate::l::m::inner::Thing",
            "crate::l::a",
            "crate::l::b::c",
            "crate::l::b::d",
            "crate::far::Away",
            "crate::there",
            "crate::l::m",
            "crate::l::near::N",
            "crate::l::after",
        ];
        assert_eq!(paths(text, "l/m.rs"), expected);
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        let text = "// a::b\n/* a::b */ /// [`a::b`]\nlet x = (\"a::b \\\" a::b\", r#\"a::b\"#, b\"a::b\", 'a');\nc::d";
        assert_eq!(names_in(text, &[]), [Named { line: 4, path: "c::d".into() }]);
    }

    #[test]
    fn a_file_is_its_module() {
        assert_eq!(module_of("engine/tail/mod.rs"), ["engine", "tail"]);
        assert_eq!(module_of("engine/lease.rs"), ["engine", "lease"]);
        assert_eq!(module_of("lib.rs"), [""; 0]);
    }
}
