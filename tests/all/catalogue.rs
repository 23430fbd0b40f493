//! Is every row of tests/CATALOGUE.md shown by a test that exists?

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
    // As a function, or as a line of a macro's list: alone, or with a colon and more behind it.
    text.lines().map(str::trim).any(|line| {
        let function = line.split_once("fn ").and_then(|(_, rest)| rest.strip_prefix(test)).unwrap_or_default();
        let entry = line.strip_prefix(test).filter(|rest| !rest.starts_with(is_word));
        function.starts_with('(') || entry.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ',', ' ']))
    })
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

/// How many rows there are of each letter; those without one are the cases.
const ROWS: [(&str, usize); 7] = [("G", 30), ("C", 22), ("F", 10), ("S", 6), ("D", 13), ("O", 15), ("", 216)];

/// A number, or all from one to another: `56–96`.
fn each(number: &str) -> Vec<String> {
    let range = number.split_once('–').and_then(|(from, to)| Some(from.parse::<usize>().ok()?..=to.parse().ok()?));
    range.map_or_else(|| vec![number.to_owned()], |range| range.map(|number| number.to_string()).collect())
}

#[test]
fn every_number_stands_once() {
    let mut numbers: Vec<_> = rows().iter().flat_map(|row| each(&row.number)).collect();
    let of = |(letter, count): (&'static str, usize)| (1..=count).map(move |number| format!("{letter}{number}"));
    let mut expected: Vec<_> = ROWS.into_iter().flat_map(of).collect();
    numbers.sort_unstable();
    expected.sort_unstable();
    assert_eq!(numbers, expected);
}
