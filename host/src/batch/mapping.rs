//! Which column of the data is which input of the flow: `--column-mapping`. Not whether the values fit: see
//! flow/inputs.rs.
//!
//! An entry is `NAME=${data.COLUMN}`, or `NAME=TEXT` for the same text in every line. An input without an entry is the
//! column of its own name.

use indexmap::IndexMap;

use super::{LineError, list};
use crate::flow::Flow;
use crate::flow::value::Json;

/// Where each input of a flow comes from, in the order of the flow.
#[derive(Debug)]
pub struct Mapping(Vec<(String, Source)>);

#[derive(Clone, Debug)]
enum Source {
    /// A column, which each line must have.
    Column(String),
    /// The same in every line.
    Text(Json),
    /// The column of the input's own name; where it is missing, so is the input, which may have a default.
    Namesake,
}

impl Mapping {
    /// Reads the entries of the command line.
    ///
    /// # Errors
    /// All faults of all entries.
    pub fn parse(entries: &[String], flow: &Flow) -> Result<Self, Vec<String>> {
        let mut sources: IndexMap<String, Source> =
            flow.inputs().keys().map(|name| (name.clone(), Source::Namesake)).collect();
        let mut faults = Vec::new();
        for entry in entries {
            if let Err(fault) = set(&mut sources, entry) {
                faults.push(format!("--column-mapping {entry:?}: {fault}"));
            }
        }
        if faults.is_empty() { Ok(Self(sources.into_iter().collect())) } else { Err(faults) }
    }

    /// The columns that it names.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, source)| match source {
            Source::Column(column) => Some(column.as_str()),
            Source::Text(_) | Source::Namesake => None,
        })
    }

    /// What a line gives the flow.
    ///
    /// # Errors
    /// If the line does not have a column that is named.
    pub fn apply(&self, columns: &IndexMap<String, Json>) -> Result<IndexMap<String, Json>, LineError> {
        let mut given = IndexMap::new();
        for (input, source) in &self.0 {
            let value = match source {
                Source::Column(column) => Some(columns.get(column).ok_or_else(|| no_column(input, column, columns))?),
                Source::Text(text) => Some(text),
                Source::Namesake => columns.get(input),
            };
            given.extend(value.map(|value| (input.clone(), value.clone())));
        }
        Ok(given)
    }
}

fn set(sources: &mut IndexMap<String, Source>, entry: &str) -> Result<(), String> {
    let (input, value) = entry.split_once('=').ok_or("expected NAME=${data.COLUMN} or NAME=TEXT")?;
    let source = source(value)?;
    let known = list(sources.keys());
    match sources.get_mut(input) {
        Some(Source::Column(_) | Source::Text(_)) => Err(format!("input {input:?} has an entry already")),
        Some(unset) => {
            *unset = source;
            Ok(())
        }
        None => Err(format!("the flow has no input {input:?}; it has {known}")),
    }
}

fn source(value: &str) -> Result<Source, String> {
    match value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        None => Ok(Source::Text(Json::string(value))),
        Some(reference) => match reference.strip_prefix("data.") {
            Some(column) if !column.is_empty() => Ok(Source::Column(column.to_owned())),
            _ => Err(format!("{value:?} refers to no data; expected ${{data.COLUMN}}")),
        },
    }
}

fn no_column(input: &str, column: &str, columns: &IndexMap<String, Json>) -> LineError {
    let known = list(columns.keys());
    LineError::new("ColumnNotFound", format!("input {input:?}: no column {column:?} in this line; it has {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::object;
    use crate::flow::tests::flow;

    const FLOW: &str = "inputs: {question: {type: string}, n: {type: int, default: 3}}\nnodes: []\n";

    fn parse(entries: &[&str]) -> Result<Mapping, Vec<String>> {
        Mapping::parse(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>(), &flow(FLOW))
    }

    /// `expected` is what the line gives the flow, or the message of the refusal.
    #[track_caller]
    fn check(entries: &[&str], line: &str, expected: &str) {
        let columns = Json::parse(line).unwrap().members().unwrap();
        let found = match parse(entries).unwrap().apply(&columns) {
            Ok(given) => object(&given).to_string(),
            Err(error) => format!("{}: {}", error.code, error.message),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn without_entries_columns_are_inputs_by_name() {
        check(&[], r#"{"other": 1, "question": 2.50}"#, r#"{"question":2.50}"#);
        check(&[], r#"{"n": 1, "question": "hi"}"#, r#"{"question":"hi","n":1}"#);
    }

    #[test]
    fn an_entry_names_a_column_or_is_a_text() {
        check(&["question=${data.q}", "n=5"], r#"{"q": {"a": 1}, "n": 1}"#, r#"{"question":{"a": 1},"n":"5"}"#);
        check(&["question=${data.a b.c}"], r#"{"a b.c": 7}"#, r#"{"question":7}"#);
        check(&["question=what is ${data.q}?"], r#"{"q": 1}"#, r#"{"question":"what is ${data.q}?"}"#);
        check(&["question="], "{}", r#"{"question":""}"#);
    }

    #[test]
    fn a_column_that_a_line_lacks_is_named_with_those_it_has() {
        check(
            &["question=${data.q}"],
            r#"{"question": 1, "b": 2}"#,
            r#"ColumnNotFound: input "question": no column "q" in this line; it has question, b"#,
        );
    }

    #[test]
    fn all_faults_of_the_entries_are_told_together() {
        let faults = parse(&["quest=${data.q}", "n", "n=${run.outputs.n}", "question=a", "question=b", "n=${data.}"]);
        let expected = [
            r#"--column-mapping "quest=${data.q}": the flow has no input "quest"; it has question, n"#,
            r#"--column-mapping "n": expected NAME=${data.COLUMN} or NAME=TEXT"#,
            r#"--column-mapping "n=${run.outputs.n}": "${run.outputs.n}" refers to no data; expected ${data.COLUMN}"#,
            r#"--column-mapping "question=b": input "question" has an entry already"#,
            r#"--column-mapping "n=${data.}": "${data.}" refers to no data; expected ${data.COLUMN}"#,
        ];
        assert_eq!(faults.unwrap_err(), expected);
    }
}
