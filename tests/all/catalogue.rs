//! Is every row of tests/CATALOGUE.md shown by a test that exists?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row: its number, and its last cell.
struct Row {
    number: String,
    shown: String,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(tests().join("CATALOGUE.md")).expect("tests/CATALOGUE.md");
    let rows = text.lines().filter(|line| line.starts_with("| ")).filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, shown] = cells[..] else { panic!("a row has not three cells: {line}") };
        let heading = number == "number" || number.starts_with("---");
        (!heading).then(|| Row { number: number.to_owned(), shown: shown.to_owned() })
    });
    rows.collect()
}

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a test of that name exists: the last part in the file that the others lead to, be it as a function or in the list
/// of a macro that makes functions.
fn exists(name: &str) -> bool {
    let (root, name) = match name.strip_prefix("weir: ") {
        Some(name) => (tests().join("../host/src"), name),
        None => (tests().join("all"), name),
    };
    let parts: Vec<_> = name.split("::").collect();
    let Some((test, modules)) = parts.split_last() else { return false };
    // A module `tests` stands in the file of the module above, or in a file of its own.
    let above = modules.strip_suffix(&["tests"]);
    [Some(modules), above].into_iter().flatten().any(|modules| declares(&root, modules, test))
}

fn declares(root: &Path, modules: &[&str], test: &str) -> bool {
    let file = root.join(modules.join("/")).with_extension("rs");
    let Ok(text) = fs::read_to_string(file) else { return false };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_word(c)).any(|word| word == test)
}

#[test]
fn every_row_is_shown() {
    let mut faults = Vec::new();
    for Row { number, shown } in rows() {
        if shown.chars().filter(|c| c.is_alphabetic()).count() < 20 {
            faults.push(format!("{number}: neither a test nor a reason"));
        }
        faults.extend(quoted(&shown).filter(|name| !exists(name)).map(|name| format!("{number}: no test `{name}`")));
    }
    assert!(faults.is_empty(), "tests/CATALOGUE.md:\n{}", faults.join("\n"));
}

#[test]
fn no_number_stands_twice() {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> =
        rows().into_iter().map(|row| row.number).filter(|number| !seen.insert(number.clone())).collect();
    assert_eq!(twice, Vec::<String>::new());
}
