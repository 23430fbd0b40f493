//! `weir run --data`: a flow over a data set, for the person who asked for it. What is run, and what becomes of it: see
//! ../batch.rs.

use std::fs;
use std::io::stdout;
use std::path::Path;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::assembly::Parts;
use crate::batch::data::Data;
use crate::batch::mapping::Mapping;
use crate::batch::results::{ResultFile, Results};
use crate::batch::{Answered, Batch, LineError, Summary};
use crate::cli::process::{Process, StopSignals};
use crate::cli::progress::{Progress, shares_terminal_with_stdout};
use crate::cli::run::{ask, words};
use crate::cli::{Done, Error, RunArgs, tell};
use crate::scheduler::Runner;
use crate::telemetry::{Tokens, Usage};

/// How much of a failure's message the summary shows, in characters. The results have all of it.
const MESSAGE: usize = 200;

/// Runs the flow over a data set. `start` is asked for threads once everything else is known to be right.
pub(super) fn run(args: &RunArgs, data: &Path, parts: Parts, start: impl FnOnce() -> anyhow::Result<Process>) -> Done {
    let flow = parts.flow.clone();
    let mapping = Mapping::parse(&args.column_mapping, &flow).map_err(Error::Wrong)?;
    let read = Data::read(data).map_err(|error| Error::wrong(format_args!("{}: {error}", data.display())))?;
    let output = args.output.as_deref();
    if output.is_some_and(|output| is_same(output, data)) {
        return Err(Error::wrong(format_args!("--output {}: is the data; give another file", data.display())));
    }
    let file = output.map(ResultFile::open).transpose().map_err(Error::wrong)?;
    let earlier = file.as_ref().map_or(&[][..], ResultFile::completed);
    let batch = Batch::new(&flow, &read, mapping, earlier).map_err(Error::wrong)?;
    let results = match file {
        Some(file) => file.resume().map_err(Error::wrong)?,
        None => Results::to(stdout()),
    };

    let process = start()?;
    let runner = process.runner(parts);
    let usage = Usage::default();
    let summary = process.run(lines(args, batch, &runner, &usage, results))?;
    tell_summary(&summary, usage.tokens());
    verdict(&summary, output.is_some()).map_err(Error::from)
}

/// Runs the lines until all are done or the user has had enough: asked once to stop, those that run are waited for;
/// asked twice, they are given up.
async fn lines(
    args: &RunArgs,
    batch: Batch<'_>,
    runner: &Runner,
    usage: &Usage,
    mut results: Results,
) -> anyhow::Result<Summary> {
    let mut signals = StopSignals::listen()?;
    let (ask_to_stop, asked_to_stop) = oneshot::channel::<()>();
    let impatience = async {
        signals.next().await;
        drop(ask_to_stop);
        tell("\nno more lines are started; waiting for those that run (once more, and they are given up)");
        signals.next().await;
    };
    let run_line = async |inputs| match ask(runner, inputs, usage.clone()).await {
        Ok(outputs) => Ok(Answered { outputs, aggregation: None }),
        Err(failure) => Err(LineError::new(failure.code(), words(&failure))),
    };
    let is_alone = !args.trace && (args.output.is_some() || !shares_terminal_with_stdout());
    let mut progress = Progress::start(is_alone);
    let stop = async { drop(asked_to_stop.await) };
    let done = tokio::select! {
        done = batch.run(args.concurrency, run_line, &mut results, stop, |tally| progress.show(tally)) => {
            done.context("a result cannot be written")
        }
        () = impatience => Err(anyhow::anyhow!("given up; the same command goes on with the lines that have no result")),
    };
    progress.end();
    done
}

fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

fn tell_summary(summary: &Summary, tokens: Tokens) {
    let tally = summary.tally;
    let mut text = format!("{} of {} lines completed", tally.earlier + tally.completed, tally.lines);
    if tally.earlier > 0 {
        text.push_str(&format!(", {} of them before", tally.earlier));
    }
    text.push_str(&format!("; {} failed", tally.failed));
    if tokens.total > 0 {
        text.push_str(&format!("; {}+{}={} tokens", tokens.prompt, tokens.completion, tokens.total));
    }
    tell(text);
    for (line, LineError { code, message }) in &summary.failures {
        let shown: String = message.chars().take(MESSAGE).collect();
        let more = if shown.len() < message.len() { "…" } else { "" };
        tell(format_args!("  line_number {line}: {code}: {shown}{more}"));
    }
    if tally.failed > summary.failures.len() {
        tell(format_args!("  and {} more", tally.failed - summary.failures.len()));
    }
}

/// Whether all is well, and what to do if not.
fn verdict(summary: &Summary, can_resume: bool) -> anyhow::Result<()> {
    let tally = summary.tally;
    let hint = |hint: &'static str| if can_resume { hint } else { "" };
    if tally.left() > 0 {
        let hint = hint("; the same command goes on");
        anyhow::bail!("stopped before {} of {} lines were run{hint}", tally.left(), tally.lines);
    }
    if tally.failed > 0 {
        let hint = hint("; the same command runs those again");
        anyhow::bail!("{} of {} lines failed{hint}", tally.failed, tally.lines);
    }
    Ok(())
}
