//! What does a source file use? Reads its tokens, so that a path counts wherever it stands: in `use`, in a type, in a
//! macro. Comments and texts do not count. Code for tests is left out.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

pub(super) struct Source {
    /// From `host/src`, such as `server/score.rs`.
    pub(super) path: String,
    /// Such as `server::score`; empty for `lib.rs`.
    pub(super) module: String,
    pub(super) text: String,
    tokens: Vec<TokenTree>,
}

/// A path that a source file uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) file: String,
    pub(super) module: String,
    pub(super) line: usize,
    /// `crate::…` for the host's own, else the crate's name first.
    pub(super) target: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host/src/{}:{}: {}", self.file, self.line, self.target)
    }
}

impl Source {
    pub(super) fn read(root: &Path, file: &Path) -> Self {
        let path = file.strip_prefix(root).expect("a file below the root").to_string_lossy().into_owned();
        Self::parse(path, super::read(file))
    }

    pub(super) fn parse(path: String, text: String) -> Self {
        let stem = path.trim_end_matches(".rs").replace('/', "::");
        let module = if stem == "lib" { String::new() } else { stem };
        let tokens = text.parse::<TokenStream>().unwrap_or_else(|error| panic!("{path}: {error}"));
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let tokens = if is_test { Vec::new() } else { without_tests(tokens) };
        Self { path, module, text, tokens }
    }

    pub(super) fn has_unsafe(&self) -> bool {
        fn found(tokens: &[TokenTree]) -> bool {
            tokens.iter().any(|token| match token {
                TokenTree::Ident(word) => word == "unsafe",
                TokenTree::Group(group) => found(&list(group)),
                _ => false,
            })
        }
        found(&self.tokens)
    }

    /// Modules that the file declares, in their order.
    pub(super) fn modules(&self) -> Vec<String> {
        let pairs = self.tokens.windows(2);
        pairs.filter(|pair| is_word(&pair[0], "mod")).map(|pair| pair[1].to_string()).collect()
    }

    pub(super) fn imports(&self, dependencies: &BTreeSet<String>) -> Vec<Import> {
        let mut imports = Vec::new();
        self.walk(&self.tokens, dependencies, &mut imports);
        imports
    }

    fn walk(&self, tokens: &[TokenTree], dependencies: &BTreeSet<String>, imports: &mut Vec<Import>) {
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.walk(&list(group), dependencies, imports),
                TokenTree::Ident(word) if !continues_path(tokens, index) => {
                    let word = word.to_string();
                    let Some(start) = self.start(&word, dependencies) else { continue };
                    let line = token.span().start().line;
                    let found = targets(&start, &tokens[index + 1..]);
                    imports.extend(found.into_iter().filter_map(|target| {
                        let target = self.resolve(&target)?;
                        Some(Import { file: self.path.clone(), module: self.module.clone(), line, target })
                    }));
                }
                _ => {}
            }
        }
    }

    /// How a path begins if this word begins one that is of interest.
    fn start(&self, word: &str, dependencies: &BTreeSet<String>) -> Option<String> {
        match word {
            "crate" | "super" => Some(word.to_owned()),
            _ if dependencies.contains(word) => Some(word.to_owned()),
            _ => None,
        }
    }

    /// Turns `super::…` into `crate::…`. None for a word that is not followed by a path.
    fn resolve(&self, target: &str) -> Option<String> {
        let mut parts: Vec<&str> = target.split("::").collect();
        if parts.len() < 2 {
            return None;
        }
        let mut module: Vec<&str> = self.module.split("::").filter(|part| !part.is_empty()).collect();
        if parts[0] != "super" {
            return Some(target.to_owned());
        }
        while parts.first() == Some(&"super") {
            parts.remove(0);
            module.pop();
        }
        Some([vec!["crate"], module, parts].concat().join("::"))
    }
}

/// All paths that begin with `start` and go on with these tokens: more than one, if there are braces.
fn targets(start: &str, tokens: &[TokenTree]) -> Vec<String> {
    let [first, second, next, rest @ ..] = tokens else { return vec![start.to_owned()] };
    if !(is_punct(first, ':') && is_punct(second, ':')) {
        return vec![start.to_owned()];
    }
    match next {
        TokenTree::Ident(word) => targets(&format!("{start}::{word}"), rest),
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let inside = list(group);
            let items = inside.split(|token| is_punct(token, ','));
            items.filter(|item| !item.is_empty()).flat_map(|item| one_of(start, item)).collect()
        }
        _ => vec![start.to_owned()],
    }
}

/// One item between the braces of a `use`.
fn one_of(start: &str, item: &[TokenTree]) -> Vec<String> {
    match item {
        [TokenTree::Ident(word), rest @ ..] => targets(&format!("{start}::{word}"), rest),
        _ => vec![start.to_owned()],
    }
}

/// Whether the word at `index` is the middle of a path, a field or a method.
fn continues_path(tokens: &[TokenTree], index: usize) -> bool {
    let before = |distance: usize| index.checked_sub(distance).map(|place| &tokens[place]);
    match before(1) {
        Some(token) if is_punct(token, '.') => true,
        // A path that begins with `::` names a crate.
        Some(token) if is_punct(token, ':') => {
            before(2).is_some_and(|token| is_punct(token, ':')) && before(3).is_some_and(ends_segment)
        }
        _ => false,
    }
}

fn ends_segment(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => word != "use",
        token => is_punct(token, '>'),
    }
}

/// The tokens without items that stand under `#[cfg(test)]`.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let is_test =
            is_punct(&token, '#') && matches!(rest.peek(), Some(TokenTree::Group(group)) if is_cfg_test(group));
        if !is_test {
            kept.push(token);
            continue;
        }
        // An item ends with its braces or with a semicolon.
        for skipped in rest.by_ref() {
            let body = matches!(&skipped, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            if body || is_punct(&skipped, ';') {
                break;
            }
        }
    }
    kept
}

fn is_cfg_test(attribute: &Group) -> bool {
    attribute.delimiter() == Delimiter::Bracket
        && attribute.stream().to_string().replace(' ', "").starts_with("cfg(test")
}

fn list(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

fn is_word(token: &TokenTree, text: &str) -> bool {
    matches!(token, TokenTree::Ident(word) if word == text)
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, targets: &[&str]) {
        let source = Source::parse(path.to_owned(), text.to_owned());
        let dependencies = BTreeSet::from(["tokio".to_owned(), "wasmtime".to_owned()]);
        let found: Vec<String> = source.imports(&dependencies).into_iter().map(|import| import.target).collect();
        assert_eq!(found, targets);
    }

    #[test]
    fn a_path_counts_wherever_it_stands() {
        check("flow.rs", "use crate::id::{FlowId, NodeId as N};", &["crate::id::FlowId", "crate::id::NodeId"]);
        check("flow.rs", "fn f(x: &tokio::X) { log!(crate::a::b) }", &["tokio::X", "crate::a::b"]);
        check(
            "flow.rs",
            "use ::wasmtime::{self, component::{Linker, Val}};",
            &["wasmtime::self", "wasmtime::component::Linker", "wasmtime::component::Val"],
        );
    }

    #[test]
    fn a_path_from_the_parent_is_resolved() {
        check("scheduler/plan.rs", "use super::drive::Driver;", &["crate::scheduler::drive::Driver"]);
        check("scheduler/plan.rs", "use super::super::flow::Flow;", &["crate::flow::Flow"]);
    }

    #[test]
    fn texts_comments_fields_and_tests_do_not_count() {
        check("flow.rs", "// crate::server\nconst A: &str = \"tokio::x\"; fn f() { self.tokio.x() }", &[]);
        check("flow.rs", "#[cfg(test)] mod tests { use tokio::time; } fn f() { a::tokio::b() }", &[]);
        check("flow/tests.rs", "use tokio::time;", &[]);
    }

    #[test]
    fn unsafe_code_is_found_and_the_name_of_its_lint_is_not() {
        let has_unsafe = |text: &str| Source::parse("a.rs".to_owned(), text.to_owned()).has_unsafe();
        assert!(has_unsafe("fn f() { unsafe { g() } }"));
        assert!(!has_unsafe("#![deny(unsafe_code)] // unsafe"));
    }
}
