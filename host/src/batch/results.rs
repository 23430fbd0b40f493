//! The results of a run: one JSON line for each line of the data, in the order in which they were done, and what an
//! earlier run has left. Not whether that still belongs to the data: see ../batch.rs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answered, LineError, object};
use crate::flow::value::Json;

/// How every line of a result file begins. What begins otherwise is no half of one.
const BEGINNING: &[u8] = b"{\"line_number\":";

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub line_number: usize,
    /// What the line gave the flow, by input.
    pub inputs: IndexMap<String, Json>,
    pub end: Result<Answered, LineError>,
}

/// Where results go, whole line by whole line.
pub struct Results {
    out: Box<dyn Write + Send>,
}

/// A result file as an earlier run has left it, locked against others, and not changed yet.
#[derive(Debug)]
pub struct ResultFile {
    path: PathBuf,
    file: File,
    /// The lines that stay as they are.
    kept: Vec<u8>,
    /// Whether there are others.
    has_more: bool,
    completed: Vec<Row>,
}

/// Why a result file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: another run is writing to it", path.display())]
    InUse { path: PathBuf },
    #[error(
        "{}: line {line} is not a result of `weir run`, so the file is left as it is; give another --output",
        path.display()
    )]
    Foreign { path: PathBuf, line: usize },
}

impl ResultFile {
    /// Opens a result file, or makes it.
    ///
    /// # Errors
    /// If the file cannot be written, holds something else, or another run writes to it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed)?;
        let mut text = Vec::new();
        // A pipe or a terminal has no earlier lines.
        if file.metadata().map_err(failed)?.is_file() {
            lock(&file, path)?;
            file.read_to_end(&mut text).map_err(failed)?;
        }
        let (kept, completed) = completed(&text).map_err(|line| OpenError::Foreign { path: path.to_owned(), line })?;
        Ok(Self { path: path.to_owned(), file, has_more: kept.len() < text.len(), kept, completed })
    }

    /// The lines that an earlier run has completed.
    pub fn completed(&self) -> &[Row] {
        &self.completed
    }

    /// Goes on writing. Lines that failed, and a last one that is only half there, are dropped first: they will be run
    /// again.
    ///
    /// # Errors
    /// If the file cannot be written anew.
    pub fn resume(self) -> Result<Results, OpenError> {
        let Self { path, file, kept, has_more, .. } = self;
        let file = if has_more { replace(&path, &kept) } else { Ok(file) };
        file.map(Results::to).map_err(|source| OpenError::Io { path, source })
    }
}

impl Results {
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out) }
    }

    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        // In one piece, so that a process that is killed leaves at most its last line half-written.
        self.out.write_all(format!("{}\n", row.to_json()).as_bytes())?;
        self.out.flush()
    }
}

fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => OpenError::Io { path: path.to_owned(), source },
    })
}

/// Writes the file anew, all or nothing, and gives it locked.
fn replace(path: &Path, text: &[u8]) -> io::Result<File> {
    let target = path.canonicalize()?;
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".weir-new");
    let new = target.with_file_name(name);
    // One may be there: of a run that was killed here.
    let mut file = File::create(&new)?;
    let written = file.try_lock().map_err(io::Error::from).and_then(|()| file.write_all(text));
    match written.and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, &target)) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Ours, and of no use to anyone.
            let _ = fs::remove_file(&new);
            Err(error)
        }
    }
}

/// The text and the meaning of the lines that were completed; else the number of the first line, from 1, that is none of
/// ours.
fn completed(text: &[u8]) -> Result<(Vec<u8>, Vec<Row>), usize> {
    let (mut kept, mut rows) = (Vec::new(), Vec::new());
    for (at, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") && (line.starts_with(BEGINNING) || BEGINNING.starts_with(line)) {
            break;
        }
        let row = std::str::from_utf8(line).ok().and_then(Row::parse).ok_or(at + 1)?;
        if row.end.is_ok() {
            kept.extend_from_slice(line);
            rows.push(row);
        }
    }
    Ok((kept, rows))
}

/// A line as it is read.
#[derive(Deserialize)]
struct Written<'a> {
    line_number: usize,
    #[serde(borrow)]
    inputs: &'a RawValue,
    outputs: Option<&'a RawValue>,
    aggregation: Option<&'a RawValue>,
    error: Option<LineError>,
}

impl Row {
    fn to_json(&self) -> Json {
        let number = Json::from(serde_json::Value::from(self.line_number));
        let inputs = object(&self.inputs);
        let mut members = vec![("line_number", &number), ("inputs", &inputs)];
        let error;
        match &self.end {
            Ok(Answered { outputs, aggregation }) => {
                members.push(("outputs", outputs));
                members.extend(aggregation.as_ref().map(|values| ("aggregation", values)));
            }
            Err(LineError { code, message }) => {
                error = Json::object([("code", &Json::string(code)), ("message", &Json::string(message))]);
                members.push(("error", &error));
            }
        }
        Json::object(members)
    }

    fn parse(line: &str) -> Option<Self> {
        let Written { line_number, inputs, outputs, aggregation, error } = serde_json::from_str(line).ok()?;
        let json = |raw: &RawValue| Json::parse(raw.get()).ok();
        let end = match (outputs, error) {
            (Some(outputs), None) => {
                let aggregation = aggregation.map(|values| json(values).ok_or(())).transpose().ok()?;
                Ok(Answered { outputs: json(outputs)?, aggregation })
            }
            (None, Some(error)) => Err(error),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        Some(Self { line_number, inputs: json(inputs)?.members()?, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = r#"{"line_number":0,"inputs":{"q":1.0},"outputs":{"a":"é"}}"#;
    const COLLECTED: &str = r#"{"line_number":7,"inputs":{},"outputs":{},"aggregation":{"node.x":[1]}}"#;
    const FAILED: &str = r#"{"line_number":2,"inputs":{},"error":{"code":"NodeTimeout","message":"too \"slow\""}}"#;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    /// What is left of a file when it is opened, after it was written to once more.
    #[track_caller]
    fn check(text: &str, numbers: &[usize], left: &str) {
        let (_dir, path) = file(text);
        let opened = ResultFile::open(&path).unwrap();
        assert_eq!(opened.completed().iter().map(|row| row.line_number).collect::<Vec<_>>(), numbers);
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing is changed by looking");
        let mut results = opened.resume().unwrap();
        results.write(&Row::parse(COLLECTED).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{left}{COLLECTED}\n"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        for line in [DONE, COLLECTED, FAILED] {
            assert_eq!(Row::parse(line).unwrap().to_json().as_str(), line);
        }
    }

    #[test]
    fn completed_lines_stay_and_failed_ones_go() {
        check("", &[], "");
        check(&format!("{DONE}\n{COLLECTED}\n"), &[0, 7], &format!("{DONE}\n{COLLECTED}\n"));
        check(&format!("{FAILED}\n{DONE}\n{FAILED}\n"), &[0], &format!("{DONE}\n"));
    }

    #[test]
    fn half_a_last_line_goes_wherever_it_was_broken_off() {
        for end in 1..=COLLECTED.len() {
            check(&format!("{DONE}\n{}", &COLLECTED[..end]), &[0], &format!("{DONE}\n"));
        }
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        for (text, line) in [
            ("{\"question\": 1}", 1),
            ("notes", 1),
            ("{\"line_number\": 1}\n", 1),
            (&*format!("{DONE}\n\n"), 2),
            (&*format!("{DONE}\n{{\"line_number\":1,\"inputs\":[],\"outputs\":{{}}}}\n{DONE}\n"), 2),
        ] {
            let (_dir, path) = file(text);
            let refused = ResultFile::open(&path).unwrap_err();
            assert!(matches!(refused, OpenError::Foreign { line: found, .. } if found == line), "{text:?}: {refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn two_runs_do_not_write_to_one_file() {
        let (_dir, path) = file(&format!("{FAILED}\n"));
        let first = ResultFile::open(&path).unwrap();
        assert!(matches!(ResultFile::open(&path), Err(OpenError::InUse { .. })));
        let _results = first.resume().unwrap();
        assert!(matches!(ResultFile::open(&path), Err(OpenError::InUse { .. })), "nor once it was written anew");
    }
}
