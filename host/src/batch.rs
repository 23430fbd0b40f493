//! A flow over a data set: which lines are still to be run, so many at a time, and what became of each. Knows neither how
//! a flow is run nor what a person sees meanwhile: it is given the one and tells the other.
//!
//! [`data`] reads lines, [`shard`] says which of them are run here, [`mapping`] makes inputs of them, [`results`] keeps what
//! became of them, so that a run that was broken off goes on where it was.

pub mod data;
pub mod mapping;
pub mod results;
pub mod shard;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indexmap::IndexMap;
use serde::Deserialize;

use crate::flow::Flow;
use crate::flow::inputs::{InputError, Inputs};
use crate::flow::value::Json;

use data::{Data, Line};
use mapping::Mapping;
use results::{Results, Row};
use shard::Shard;

/// How many lines can run at the same time: more only makes models refuse, and the pool of instances has an end.
pub const MAX_CONCURRENCY: u16 = 64;

/// How many failures a summary holds: enough to see a pattern. The results have all of them.
const FAILURES_TOLD: usize = 5;

/// How many names an error lists.
const NAMES_TOLD: usize = 20;

/// A data set that fits its flow, and what is known of it already.
#[derive(Debug)]
pub struct Batch<'a> {
    flow: &'a Flow,
    data: &'a Data,
    shard: Shard,
    mapping: Mapping,
    /// Of lines that an earlier run has completed, by their number: what aggregation will want of them.
    earlier: BTreeMap<usize, Option<Json>>,
}

/// A line that was completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The flow's outputs: a JSON object.
    pub outputs: Json,
    /// What the flow's aggregation nodes will want of this line, if it has any.
    pub aggregation: Option<Json>,
}

/// Why a line was not completed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LineError {
    /// A stable name for programs.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All lines of the data, or of the part that is run.
    pub lines: usize,
    /// Completed by an earlier run.
    pub earlier: usize,
    pub completed: usize,
    pub failed: usize,
}

/// What became of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub tally: Tally,
    /// The first failures, by the number of their lines.
    pub failures: Vec<(usize, LineError)>,
    /// What aggregation will want, of all completed lines that have something, in the order of the data; those of an
    /// earlier run among them.
    pub collected: Vec<Json>,
}

/// Why a data set cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("{}: has no lines", data.display())]
    Empty { data: PathBuf },
    #[error("--column-mapping: no line of {} has a column {column:?}; it has {known}", data.display())]
    NoColumn { data: PathBuf, column: String, known: String },
    #[error(
        "the result of line_number {line} was made of other inputs than {} and --column-mapping give now; go on with \
         those that it was made of, or give another --output",
        data.display()
    )]
    Changed { data: PathBuf, line: usize },
    #[error(
        "--output has the result of line_number {line}, which is not of --shard {shard}; give each part its own file"
    )]
    OtherShard { line: usize, shard: Shard },
}

impl<'a> Batch<'a> {
    /// Holds the data against the mapping, and the part of it that is to be run against the lines that an earlier run has
    /// completed.
    ///
    /// # Errors
    /// If nothing, or nothing good, can come of a run.
    pub fn new(flow: &'a Flow, data: &'a Data, shard: Shard, mapping: Mapping, earlier: &[Row]) -> Result<Self, Unfit> {
        let path = || data.path().to_owned();
        if data.is_empty() {
            return Err(Unfit::Empty { data: path() });
        }
        if mapping.columns().next().is_some() {
            let known = data.columns();
            if let Some(column) = mapping.columns().find(|column| !known.contains(*column)) {
                return Err(Unfit::NoColumn { data: path(), column: column.to_owned(), known: list(known.iter()) });
            }
        }
        let given = |number| mapping.apply(&data.line(number)?.columns().ok()?).ok();
        let changed = earlier.iter().filter(|row| given(row.line_number).as_ref() != Some(&row.inputs));
        // The first of the data: results stand in the order in which they were done.
        if let Some(line) = changed.map(|row| row.line_number).min() {
            return Err(Unfit::Changed { data: path(), line });
        }
        let completed = |row: &Row| Some((row.line_number, row.end.as_ref().ok()?.aggregation.clone()));
        let earlier = earlier.iter().filter_map(completed).collect();
        let batch = Self { flow, data, shard, mapping, earlier };
        let ours: BTreeSet<_> = batch.lines().map(|line| line.number).collect();
        match batch.earlier.keys().find(|line| !ours.contains(line)) {
            Some(&line) => Err(Unfit::OtherShard { line, shard }),
            None => Ok(batch),
        }
    }

    /// The lines that are to be run here.
    fn lines(&self) -> impl Iterator<Item = Line<'a>> {
        let (data, shard) = (self.data, self.shard);
        data.lines().enumerate().filter(move |(position, _)| shard.has(*position)).map(|(_, line)| line)
    }

    /// How far it is before it begins.
    pub fn tally(&self) -> Tally {
        Tally { lines: self.lines().count(), earlier: self.earlier.len(), ..Tally::default() }
    }

    /// Runs all lines that are not completed, `concurrency` at a time, and writes what became of each as it is done. A
    /// line that fails stops no other. Once `stop` is ready no more lines are started; those that run are waited for.
    /// Dropping the future gives them up.
    ///
    /// # Errors
    /// If a result cannot be written.
    pub async fn run<R, F>(
        self,
        concurrency: u16,
        run_line: R,
        results: &mut Results,
        stop: impl Future<Output = ()>,
        mut watch: impl FnMut(Tally),
    ) -> io::Result<Summary>
    where
        R: Fn(Inputs) -> F,
        F: Future<Output = Result<Answered, LineError>>,
    {
        let mut summary = Summary { tally: self.tally(), ..Summary::default() };
        let mut collected = self.earlier.clone();
        let mut outstanding = self.lines().filter(|line| !self.earlier.contains_key(&line.number)).fuse();
        let mut running = FuturesUnordered::new();
        let (mut stop, mut stopped) = (pin!(stop), false);
        loop {
            while !stopped && running.len() < usize::from(concurrency) {
                let Some(line) = outstanding.next() else { break };
                running.push(self.line(line, &run_line));
            }
            let row = tokio::select! {
                biased;
                () = &mut stop, if !stopped => {
                    stopped = true;
                    continue;
                }
                row = running.next() => row,
            };
            let Some(row) = row else { break };
            results.write(&row)?;
            summary.count(&row);
            if let Ok(answered) = row.end {
                collected.insert(row.line_number, answered.aggregation);
            }
            watch(summary.tally);
        }
        summary.failures.sort_by_key(|(line, _)| *line);
        summary.collected = collected.into_values().flatten().collect();
        Ok(summary)
    }

    async fn line<R, F>(&self, line: Line<'_>, run_line: &R) -> Row
    where
        R: Fn(Inputs) -> F,
        F: Future<Output = Result<Answered, LineError>>,
    {
        let line_number = line.number;
        let columns_and_given = line.columns().and_then(|columns| {
            let given = self.mapping.apply(&columns)?;
            Ok((columns, given))
        });
        let (columns, inputs) = match columns_and_given {
            Ok(fitting) => fitting,
            Err(error) => return Row { line_number, inputs: IndexMap::new(), end: Err(error) },
        };
        let end = match Inputs::new(self.flow, &inputs) {
            Ok(inputs) => run_line(inputs).await,
            Err(error) => Err(unfit(&error, &columns)),
        };
        Row { line_number, inputs, end }
    }
}

/// Why a line does not fit the flow, and what would help.
fn unfit(error: &InputError, columns: &IndexMap<String, Json>) -> LineError {
    let message = match error {
        InputError::Missing { missing } => format!(
            "no value for {}; the line has {}; name a column by --column-mapping 'NAME=${{data.COLUMN}}'",
            list(missing.iter()),
            list(columns.keys())
        ),
        other => other.to_string(),
    };
    LineError::new(error.code(), message)
}

impl Summary {
    fn count(&mut self, row: &Row) {
        match &row.end {
            Ok(_) => self.tally.completed += 1,
            Err(error) => {
                self.tally.failed += 1;
                if self.failures.len() < FAILURES_TOLD {
                    self.failures.push((row.line_number, error.clone()));
                }
            }
        }
    }
}

impl Tally {
    /// Lines that nobody has started.
    pub fn left(&self) -> usize {
        self.lines - self.earlier - self.completed - self.failed
    }
}

impl LineError {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// Names as an error lists them.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = names.len();
    let mut text = names.take(NAMES_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match count {
        0 => text.push_str("none"),
        _ if count > NAMES_TOLD => text.push_str(", …"),
        _ => {}
    }
    text
}

/// An object of these values by name.
fn object(members: &IndexMap<String, Json>) -> Json {
    Json::object(members.iter().map(|(name, value)| (name.as_str(), value)))
}

#[cfg(test)]
mod tests;
