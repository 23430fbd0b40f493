//! A data file: JSON lines, each an object of values by column. Which column is which input: see mapping.rs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::LineError;
use crate::flow::value::Json;

/// A data file, held whole, so that nothing that happens to it during a run can mix two versions of it. Data sets of
/// evaluations are megabytes.
#[derive(Debug)]
pub struct Data {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the lines are, by their number.
    lines: Vec<(usize, Range<usize>)>,
}

/// One line that is not blank.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Counted from 0, blank lines included: an editor shows it with one more.
    pub number: usize,
    text: &'a [u8],
}

impl Data {
    /// Reads a file. Whether its lines can be understood shows one by one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::new(path, fs::read(path)?))
    }

    pub(super) fn new(path: &Path, bytes: Vec<u8>) -> Self {
        let mut lines = Vec::new();
        let mut start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        for (number, line) in bytes[start..].split(|&byte| byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                lines.push((number, start..start + line.len()));
            }
            start += line.len() + 1;
        }
        Self { path: path.to_owned(), bytes, lines }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many lines are not blank.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines.iter().map(|(number, range)| Line { number: *number, text: &self.bytes[range.clone()] })
    }

    /// The line of a number, if there is one that is not blank.
    pub fn line(&self, number: usize) -> Option<Line<'_>> {
        let at = self.lines.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(Line { number, text: &self.bytes[self.lines[at].1.clone()] })
    }

    /// The columns of all lines that can be understood.
    pub fn columns(&self) -> BTreeSet<String> {
        self.lines().filter_map(|line| line.columns().ok()).flatten().map(|(name, _)| name).collect()
    }
}

impl Line<'_> {
    /// The values of the line by column.
    ///
    /// # Errors
    /// If the line is not one JSON object.
    pub fn columns(&self) -> Result<IndexMap<String, Json>, LineError> {
        let refused = |problem: String| LineError::new("InvalidDataLine", problem);
        let text = std::str::from_utf8(self.text).map_err(|_| refused("not UTF-8 text".to_owned()))?;
        let json = Json::parse(text).map_err(|error| refused(format!("not JSON: {error}")))?;
        json.members().ok_or_else(|| refused("expected one JSON object of values by column".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::object;

    fn data(text: &[u8]) -> Data {
        Data::new(Path::new("data.jsonl"), text.to_vec())
    }

    #[test]
    fn blank_lines_count_but_are_none() {
        let data = data(b"\xef\xbb\xbf{\"a\": 1}\r\n\n  \n{\"b\": [2]}");
        let lines: Vec<_> = data.lines().map(|line| (line.number, object(&line.columns().unwrap()))).collect();
        let text = |number, text| (number, Json::parse(text).unwrap());
        assert_eq!(lines, [text(0, r#"{"a":1}"#), text(3, r#"{"b":[2]}"#)]);
        assert_eq!((data.len(), data.line(3).map(|line| line.number)), (2, Some(3)));
        assert!(data.line(1).is_none() && data.line(4).is_none());
        assert_eq!(data.columns(), BTreeSet::from(["a", "b"].map(str::to_owned)));
    }

    #[test]
    fn a_line_that_is_no_object_says_why() {
        let data = data(b"{\"a\": \n[1]\n\xff\n");
        let errors: Vec<_> = data.lines().map(|line| line.columns().unwrap_err().message).collect();
        let not_json = "not JSON: EOF while parsing a value at line 1 column 6";
        assert_eq!(errors, [not_json, "expected one JSON object of values by column", "not UTF-8 text"]);
    }

    #[test]
    fn a_file_without_lines_is_empty() {
        assert!(data(b"\n \n").is_empty());
    }
}
