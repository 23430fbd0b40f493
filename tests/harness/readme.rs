//! Tables of the README, for tests that hold them against what is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rows of all tables of the README that have this head, as they are written: `| a | b |`.
///
/// # Panics
/// If there is no such table.
pub fn rows(head: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(path).expect("the README can be read");
    let mut rows = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == head {
            let body = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
            rows.extend(body.map(str::to_owned));
        }
    }
    assert!(!rows.is_empty(), "the README has no table {head:?}");
    rows
}

/// Holds the tables of this head against the rows that they should have.
///
/// # Panics
/// If they differ; the message has the rows that are to be put in and out.
#[track_caller]
pub fn check_rows(head: &str, expected: impl IntoIterator<Item = String>) {
    let found: BTreeSet<String> = rows(head).into_iter().collect();
    let expected: Vec<String> = expected.into_iter().collect();
    let missing: Vec<_> = expected.iter().filter(|row| !found.contains(*row)).cloned().collect();
    let surplus: Vec<_> = found.iter().filter(|row| !expected.contains(row)).cloned().collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "the tables {head:?} of the README lack\n{}\nand should not have\n{}",
        missing.join("\n"),
        surplus.join("\n")
    );
}
