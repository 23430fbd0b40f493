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
use crate::batch::shard::Shard;
use crate::batch::{Answered, Batch, LineError, Summary};
use crate::cli::process::{Process, StopSignals};
use crate::cli::progress::{Progress, shares_terminal_with_stdout};
use crate::cli::run::{Asker, NoAnswer, call, words};
use crate::cli::{Done, Error, RunArgs, say, tell};
use crate::flow::value::Json;
use crate::flow::{Aggregation, Flow};
use crate::images::Images;
use crate::scheduler::outcome::Whole;
use crate::scheduler::plan::Collected;
use crate::scheduler::{Aggregated, Runner};
use crate::telemetry::{Tokens, Usage};

/// How much of a failure's message the summary shows, in characters. The results have all of it.
const MESSAGE: usize = 200;

/// Runs the flow over a data set. `start` is asked for threads once everything else is known to be right.
pub(super) fn run(
    args: &RunArgs,
    data: &Path,
    parts: Parts,
    images: Images,
    start: impl FnOnce() -> anyhow::Result<Process>,
) -> Done {
    let flow = parts.flow.clone();
    if *flow.aggregation() == Aggregation::LeftOut {
        return Err(Error::wrong("the aggregation nodes of the flow cannot be run, for the reasons above"));
    }
    let mapping = Mapping::parse(&args.column_mapping, &flow).map_err(Error::Wrong)?;
    let read = Data::read(data).map_err(|error| Error::wrong(format_args!("{}: {error}", data.display())))?;
    let output = args.output.as_deref();
    if output.is_some_and(|output| is_same(output, data)) {
        return Err(Error::wrong(format_args!("--output {}: is the data; give another file", data.display())));
    }
    let file = output.map(ResultFile::open).transpose().map_err(Error::wrong)?;
    let earlier = file.as_ref().map_or(&[][..], ResultFile::completed);
    let batch = Batch::new(&flow, &read, args.shard, mapping, earlier).map_err(Error::wrong)?;
    let results = match file {
        Some(file) => file.resume().map_err(Error::wrong)?,
        None => Results::to(stdout()),
    };

    let process = start()?;
    let asker = Asker { runner: process.runner(parts), images };
    let usage = Usage::default();
    let (summary, aggregated) = process.run(async {
        let summary = lines(args, batch, &asker, &usage, results).await?;
        tell_summary(&summary, usage.tokens());
        let aggregated = if args.shard.is_whole() {
            aggregate(&asker.runner, &summary, &usage).await?
        } else {
            tell_left_over(&asker.runner, args.shard);
            None
        };
        anyhow::Ok((summary, aggregated))
    })?;
    aggregated.iter().for_each(say);
    verdict(&summary, output.is_some()).map_err(Error::from)
}

/// Runs the lines until all are done or the user has had enough: asked once to stop, those that run are waited for;
/// asked twice, they are given up.
async fn lines(
    args: &RunArgs,
    batch: Batch<'_>,
    asker: &Asker,
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
    let run_line = async |inputs| match asker.ask(inputs, true, usage.clone()).await {
        Ok(Whole { reply, collected, .. }) => {
            let aggregation = (!collected.is_empty()).then(|| collected.to_json());
            Ok(Answered { outputs: reply, aggregation })
        }
        Err(NoAnswer::Input(error)) => Err(LineError::new(error.code(), error.to_string())),
        Err(NoAnswer::Flow(failure)) => Err(LineError::new(failure.code(), words(&failure))),
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

/// What the aggregation nodes make of all lines that were completed, if the flow has such nodes and no line is left: one
/// JSON object.
async fn aggregate(runner: &Runner, summary: &Summary, usage: &Usage) -> anyhow::Result<Option<Json>> {
    if !has_aggregation(&runner.flow) || summary.tally.left() > 0 {
        return Ok(None);
    }
    let lines: Vec<_> = summary.collected.iter().filter_map(Collected::from_json).collect();
    let aggregated = runner.aggregate(&lines, call(false, usage.clone())).await;
    let Aggregated { outputs, metrics } =
        aggregated.map_err(|failure| anyhow::anyhow!("aggregation failed: {}", words(&failure)))?;
    Ok(Some(Json::object([("metrics", &metrics), ("outputs", &outputs)])))
}

/// That a part of the data is not what the flow's aggregation nodes are for, if it has some.
fn tell_left_over(runner: &Runner, shard: Shard) {
    if has_aggregation(&runner.flow) {
        tell(format_args!(
            "shard {shard}: nothing is aggregated yet; put the results of all shards into one file, and give it as --output \
             of the same command without --shard"
        ));
    }
}

fn has_aggregation(flow: &Flow) -> bool {
    matches!(flow.aggregation(), Aggregation::Nodes(nodes) if !nodes.is_empty())
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
