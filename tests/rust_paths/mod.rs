//! The paths that a Rust text names, as far as imports need it: no macros are expanded and no aliases followed.

use proc_macro2::{Ident, Spacing, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, UseTree};

/// A path and the line it ends on. Inside the crate it begins with `crate::`, however it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// The module of a file, by its path inside `src/`.
pub(crate) fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        module.pop();
    }
    module
}

/// Every path of two or more words in `text`, the text of `module`. A group counts as each of its members, a glob as what it is
/// of. Attributes count for nothing.
pub(crate) fn names_in(text: &str, module: &[String]) -> Vec<Named> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
    let mut names = Names { module: module.to_vec(), found: Vec::new() };
    names.visit_file(&file);
    names.found
}

/// What was found, and in which module the next is.
struct Names {
    module: Vec<String>,
    found: Vec<Named>,
}

impl Names {
    fn name(&mut self, words: &[&Ident]) {
        let [first, .., last] = words else { return };
        let mut path = vec!["crate".to_owned()];
        match first.to_string().as_str() {
            "crate" => {}
            "self" => path.extend(self.module.iter().cloned()),
            "super" => path.extend(self.module.split_last().map_or(&[][..], |(_, parent)| parent).iter().cloned()),
            other => path = vec![other.to_owned()],
        }
        for word in &words[1..] {
            match word.to_string().as_str() {
                "super" => drop(path.pop()),
                "self" => {}
                word => path.push(word.to_owned()),
            }
        }
        self.found.push(Named { line: last.span().start().line, path: path.join("::") });
    }

    fn tree<'a>(&mut self, above: &mut Vec<&'a Ident>, tree: &'a UseTree) {
        match tree {
            UseTree::Path(path) => {
                above.push(&path.ident);
                self.tree(above, &path.tree);
                above.pop();
            }
            UseTree::Name(name) => self.name(&[above.as_slice(), &[&name.ident]].concat()),
            UseTree::Rename(rename) => self.name(&[above.as_slice(), &[&rename.ident]].concat()),
            // A word more, so that it counts, which says nothing.
            UseTree::Glob(_) => self.name(&[above.as_slice(), &[&Ident::new("self", above[0].span())]].concat()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(above, tree)),
        }
    }

    /// What a macro is given may be anything: words with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut words, mut colons): (Vec<Ident>, u8) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons = if punct.spacing() == Spacing::Joint { 1 } else { colons * 2 };
                    continue;
                }
                TokenTree::Ident(word) if colons == 2 && !words.is_empty() => words.push(word),
                other => {
                    self.name(&words.iter().collect::<Vec<_>>());
                    words.clear();
                    match other {
                        TokenTree::Ident(word) => words.push(word),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
            colons = 0;
        }
        self.name(&words.iter().collect::<Vec<_>>());
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_attribute(&mut self, _: &'a Attribute) {}

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        self.tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.name(&path.segments.iter().map(|segment| &segment.ident).collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a Macro) {
        visit::visit_macro(self, called);
        self.tokens(called.tokens.clone());
    }
}

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
            fn g() { told!("{}", crate::here::now(x, self::when), a: b); }
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
            "crate::l",
            "crate::far::Away",
            "crate::there::new",
            "crate::here::now",
            "crate::l::m::when",
            "crate::l::m",
            "crate::l::near::N",
            "crate::l::after",
        ];
        assert_eq!(paths(text, "l/m.rs"), expected);
    }

    #[test]
    fn comments_strings_and_attributes_name_nothing() {
        let text = "// a::b\n/* a::b */ /// [`a::b`]\n#[a::b]\nfn f() { let x = (\"a::b \\\" a::b\", r#\"a::b\"#, b\"a::b\", 'a'); }\n\
                    fn g() {\n    c::d;\n}";
        assert_eq!(names_in(text, &[]), [Named { line: 6, path: "c::d".into() }]);
    }

    #[test]
    fn a_file_is_its_module() {
        assert_eq!(module_of("engine/replicate/tail/mod.rs"), ["engine", "replicate", "tail"]);
        assert_eq!(module_of("engine/lease.rs"), ["engine", "lease"]);
        assert_eq!(module_of("lib.rs"), [""; 0]);
    }
}
