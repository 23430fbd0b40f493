//! What does a document say? Reads tables, drawn trees and names out of Markdown.
//!
//! The table of modules has three columns:
//!
//! | column | is read as |
//! | --- | --- |
//! | Module | names in backticks: a module (`server`) or a file (`scheduler/plan.rs`); the most exact row counts |
//! | May use | modules of the host in backticks, with a path to allow a part (`boundary::error`); the word "everything" allows all. "`wasmtime` only in `*/wit.rs`" keeps a crate to some files |
//! | Must stay free of | modules of the host and crates, with or without backticks |
//!
//! "`id` may be used by all", anywhere in the table, allows that module to every other.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Import;

pub(super) struct Map {
    rows: BTreeMap<String, Row>,
    /// Modules that every module may use.
    common: BTreeSet<String>,
}

struct Row {
    /// As the document names it.
    name: String,
    uses_everything: bool,
    may_use: BTreeSet<String>,
    forbidden_crates: BTreeSet<String>,
    /// Crates that only files of these endings may use.
    confined: BTreeMap<String, Vec<String>>,
}

impl Map {
    /// Reads the table of modules; `dependencies` are the crates that may be meant in it.
    pub(super) fn read(document: &str, dependencies: &BTreeSet<String>) -> Self {
        let mut lines = document.lines().skip_while(|line| !line.starts_with("| Module |"));
        assert!(lines.next().is_some(), "ARCHITECTURE.md has no table that begins `| Module |`");
        let lines: Vec<&str> = lines.skip(1).take_while(|line| line.starts_with('|')).collect();
        let mut map = Self { rows: BTreeMap::new(), common: BTreeSet::new() };
        for line in lines {
            map.common.extend(common(line));
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let [modules, may_use, free_of] = cells[..] else {
                panic!("a row of the table of modules has not three cells: {line}")
            };
            for name in quoted(modules) {
                map.rows.insert(module_of(name), Row::read(name, may_use, free_of, dependencies));
            }
        }
        map
    }

    /// Whether a file of the host belongs to a row. `lib.rs` only declares the others.
    pub(super) fn knows(&self, file: &str) -> bool {
        file == "lib.rs" || self.row(&module_of(file)).is_some()
    }

    /// Why the map does not allow this.
    pub(super) fn objection(&self, import: &Import) -> Option<String> {
        let (key, row) = self.row(&import.module)?;
        let reason = match import.target.strip_prefix("crate::") {
            Some(target) => self.objection_to_module(key, row, target),
            None => row.objection_to_crate(&import.target, &import.file),
        }?;
        Some(format!("{import}\n    `{}` {reason}", row.name))
    }

    fn objection_to_module(&self, key: &str, row: &Row, target: &str) -> Option<String> {
        let allowed = row.uses_everything
            || is_within(target, top(key)) && !self.is_apart(key, target)
            || self.common.iter().chain(&row.may_use).any(|allowed| is_within(target, allowed));
        (!allowed).then(|| format!("may use {:?}", row.may_use))
    }

    /// A file with a row of its own is held to it, also towards its siblings.
    fn is_apart(&self, key: &str, target: &str) -> bool {
        key.contains("::") && !is_within(target, key)
    }

    /// The most exact row for a module.
    fn row(&self, module: &str) -> Option<(&str, &Row)> {
        let fitting = self.rows.iter().filter(|(key, _)| is_within(module, key));
        fitting.max_by_key(|(key, _)| key.len()).map(|(key, row)| (key.as_str(), row))
    }
}

impl Row {
    fn read(name: &str, may_use: &str, free_of: &str, dependencies: &BTreeSet<String>) -> Self {
        let confined = confined(may_use, dependencies);
        let words = free_of.split([',', ';', ' ', '(', ')', '`']).map(str::to_lowercase);
        let crates = words.flat_map(|word| crates_meant(&word, dependencies)).collect();
        Self {
            name: name.to_owned(),
            uses_everything: may_use.contains("everything"),
            may_use: quoted(may_use).into_iter().map(module_of).collect(),
            forbidden_crates: crates,
            confined,
        }
    }

    fn objection_to_crate(&self, target: &str, file: &str) -> Option<String> {
        let name = target.split("::").next().unwrap_or_default();
        if self.forbidden_crates.contains(name) {
            return Some(format!("must stay free of {name}"));
        }
        let files = self.confined.get(name)?;
        (!files.iter().any(|pattern| file_matches(file, pattern))).then(|| format!("may use {name} only in {files:?}"))
    }
}

/// Crates that a word of the table means: `OpenTelemetry` means all of its crates, `wasmtime` also its WASI.
fn crates_meant(word: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let word = word.replace('-', "_");
    if word.len() < 4 {
        return Vec::new();
    }
    let means = |name: &&String| **name == word || name.starts_with(&format!("{word}_"));
    dependencies.iter().filter(means).cloned().collect()
}

/// Reads "`wasmtime` only in `*/wit.rs`, `x.rs`": the files follow until the clause ends.
fn confined(cell: &str, dependencies: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let mut rules = BTreeMap::new();
    for clause in cell.split(';') {
        let Some((before, after)) = clause.split_once(" only in ") else { continue };
        let word = before.rsplit(' ').next().unwrap_or_default().trim_matches('`').to_lowercase();
        let files: Vec<String> =
            quoted(after).into_iter().filter(|name| name.ends_with(".rs")).map(str::to_owned).collect();
        for name in crates_meant(&word, dependencies) {
            rules.insert(name, files.clone());
        }
    }
    rules
}

fn common(line: &str) -> Vec<String> {
    let before = line.split(" may be used by all").next().filter(|before| before.len() < line.len());
    before.and_then(|before| quoted(before).last().map(|name| module_of(name))).into_iter().collect()
}

/// `*/wit.rs` fits every file of that name below a folder.
fn file_matches(file: &str, pattern: &str) -> bool {
    match pattern.strip_prefix("*/") {
        Some(name) => file.ends_with(&format!("/{name}")),
        None => file == pattern,
    }
}

/// `scheduler/plan.rs` and `scheduler::plan` are the same module.
fn module_of(name: &str) -> String {
    name.trim_end_matches(".rs").trim_end_matches('/').replace('/', "::")
}

fn is_within(path: &str, module: &str) -> bool {
    path == module || path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// What stands in backticks within a line.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Modules right below a folder, in the order in which a fenced block draws them.
pub(super) fn drawn_modules(document: &str, folder: &str) -> Vec<String> {
    let paths = drawn_paths(document);
    let below = paths.iter().filter_map(|path| path.strip_prefix(folder));
    below.filter(|path| !path.contains('/')).filter_map(|path| path.strip_suffix(".rs")).map(str::to_owned).collect()
}

/// Paths that a document names: drawn, or in backticks outside of fenced blocks.
pub(super) fn paths(document: &str) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = drawn_paths(document).into_iter().collect();
    let prose = document.split("\n```").step_by(2);
    paths.extend(prose.flat_map(str::lines).flat_map(quoted).filter(|name| is_path(name)).map(str::to_owned));
    paths
}

/// Whether a name in backticks is that of a file or folder. Patterns, addresses and routes are none.
fn is_path(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    let ending = [".rs", ".toml", ".md", ".sh", ".wit", ".py", ".yaml", ".txt", ".json"];
    plain && !name.starts_with('/') && name.contains('/') && ending.iter().any(|end| name.ends_with(end))
        || plain && name.len() > 1 && name.ends_with('/') && !name.starts_with(['/', '.'])
}

/// Paths of the trees in fenced blocks. A block draws a tree if it begins with a folder and has its lines.
fn drawn_paths(document: &str) -> Vec<String> {
    let blocks = document.split("\n```").skip(1).step_by(2);
    let begins_with_folder =
        |block: &&str| block.lines().nth(1).is_some_and(|line| names(line).any(|name| name.ends_with('/')));
    blocks.filter(|block| block.contains("── ")).filter(begins_with_folder).flat_map(tree).collect()
}

fn tree(block: &str) -> Vec<String> {
    let mut paths = Vec::new();
    // The folders that lead to the current line, the root first.
    let mut folders: Vec<&str> = Vec::new();
    for line in block.lines().skip(1) {
        let Some(start) = line.find(|character: char| character.is_ascii_alphanumeric() || character == '.') else {
            continue;
        };
        folders.truncate(line[..start].chars().count() / 4);
        let above = folders.concat();
        paths.extend(names(&line[start..]).map(|name| format!("{above}{name}")));
        folders.extend(names(&line[start..]).find(|name| name.ends_with('/')));
    }
    paths
}

/// The files and folders that a drawn line names, before its comment: words with commas between them.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let last = line.split(' ').take_while(|word| word.ends_with(',')).count();
    let names = line.split(' ').take(last + 1).map(|word| word.trim_end_matches(','));
    names.filter(|name| name.ends_with('/') || name.contains('.'))
}

/// Targets after the word `make` in code.
pub(super) fn make_targets(document: &str) -> BTreeSet<String> {
    let after = ["`make ", "\nmake ", "$ make "].into_iter().flat_map(|marker| document.split(marker).skip(1));
    let in_a_name = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let words = after.filter_map(|rest| rest.split(|character: char| !in_a_name(character)).next());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Names of environment variables of our own.
pub(super) fn variables(document: &str) -> BTreeSet<String> {
    let words = document.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.strip_prefix("WEIR_").is_some_and(|rest| !rest.is_empty())).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| Module | May use | Must stay free of |
| --- | --- | --- |
| `main`, `config` | everything (wiring) | logic |
| `server` | `flow`, `boundary::error` | wasmtime, `sandbox` |
| `scheduler` | `flow` | – |
| `scheduler/plan.rs` | `flow` | tokio, clocks |
| `capability` | `boundary`; wasmtime only in `*/wit.rs` | OpenTelemetry |
| `flow` | serde | tokio |
| `id` | std (`id` may be used by all) | everything else |
";

    fn dependencies() -> BTreeSet<String> {
        ["wasmtime", "wasmtime_wasi", "tokio", "opentelemetry", "opentelemetry_sdk"].map(str::to_owned).into()
    }

    #[track_caller]
    fn check(file: &str, target: &str, allowed: bool) {
        let import = Import { file: file.to_owned(), module: module_of(file), line: 1, target: target.to_owned() };
        let objection = Map::read(TABLE, &dependencies()).objection(&import);
        assert_eq!(objection.is_none(), allowed, "{objection:?}");
    }

    #[test]
    fn what_the_table_names_may_be_used() {
        check("server/score.rs", "crate::flow::Flow", true);
        check("server/score.rs", "crate::boundary::error::Blame", true);
        check("server/score.rs", "crate::server::reply::Reply", true);
        check("main.rs", "crate::sandbox::Sandbox", true);
        check("server.rs", "crate::id::FlowId", true);
    }

    #[test]
    fn what_the_table_does_not_name_is_refused() {
        check("server/score.rs", "crate::sandbox::Store", false);
        check("server/score.rs", "crate::boundary::enter", false);
        check("id.rs", "crate::flow::Flow", false);
    }

    #[test]
    fn crates_are_kept_out_with_their_family() {
        check("server.rs", "wasmtime_wasi::p2", false);
        check("capability/llm.rs", "opentelemetry_sdk::trace", false);
        check("capability/llm.rs", "tokio::time", true);
    }

    #[test]
    fn a_crate_can_be_kept_to_some_files() {
        check("capability/llm/wit.rs", "wasmtime::component::Linker", true);
        check("capability/llm/openai.rs", "wasmtime::component::Linker", false);
    }

    #[test]
    fn a_file_with_a_row_of_its_own_is_held_to_it() {
        check("scheduler/drive.rs", "crate::scheduler::plan::Plan", true);
        check("scheduler/plan.rs", "crate::scheduler::drive::Driver", false);
        check("scheduler/plan.rs", "tokio::sync::Notify", false);
    }

    #[test]
    fn paths_and_targets_are_found_in_prose() {
        let document =
            "See `sdk/` and `wit/world.wit`, not `/score`, `*/x.rs` or `a.b`; run `make demo` or `weir serve`.";
        assert_eq!(paths(document), BTreeSet::from(["sdk/", "wit/world.wit"].map(str::to_owned)));
        assert_eq!(make_targets(document), BTreeSet::from(["demo".to_owned()]));
        assert_eq!(variables("WEIR_BIN and `WEIR_`"), BTreeSet::from(["WEIR_BIN".to_owned()]));
    }

    #[test]
    fn a_target_may_have_more_than_one_word() {
        let targets = make_targets("`make bench-parts ONLY=x`, and\nmake lint\n");
        assert_eq!(targets, ["bench-parts", "lint"].map(str::to_owned).into());
    }

    #[test]
    fn a_drawn_tree_is_read_as_paths() {
        let document = "
```text
host/src/
├── main.rs the story, e.g. of a process
│
├── http.rs, http/   parts
│   └── wit.rs
└── id.rs
```
";
        assert_eq!(
            drawn_paths(document),
            [
                "host/src/",
                "host/src/main.rs",
                "host/src/http.rs",
                "host/src/http/",
                "host/src/http/wit.rs",
                "host/src/id.rs"
            ]
        );
    }
}
