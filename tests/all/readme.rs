//! The tables of the README, for the tests that hold them against the code.

use std::fs;
use std::path::Path;

/// The cells of every row of every table.
pub(crate) fn rows() -> Vec<Vec<String>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("the README can be read");
    let rows = readme.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The name that a row is about, if its first cell is nothing but a name.
pub(crate) fn name(cells: &[String]) -> Option<&str> {
    cells.first()?.strip_prefix('`')?.strip_suffix('`').filter(|name| !name.contains('`'))
}
