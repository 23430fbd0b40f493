//! `weir run`: one request to a flow, without a server. Many, one for each line of a data file: see batch.rs.

use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;

use anyhow::Context as _;
use indexmap::IndexMap;
use opentelemetry::Context;

use crate::assembly::Parts;
use crate::cli::process::{Process, start_log};
use crate::cli::{Done, Error, RunArgs, batch, load, say, settings};
use crate::config::Settings;
use crate::flow::Flow;
use crate::flow::inputs::{InputError, Inputs};
use crate::flow::value::Json;
use crate::id::RequestId;
use crate::images::Images;
use crate::scheduler::outcome::{Failure, Outcome, Whole};
use crate::scheduler::{Call, ReplyMode, Runner};
use crate::telemetry::{Telemetry, Terminal, Usage};

pub fn run(args: &RunArgs) -> Done {
    let settings = settings(&args.flow.given)?;
    let log = start_log(&settings.log, &settings.telemetry.redactor)?;
    let parts = load(&args.flow, &settings)?;
    let Settings { mut telemetry, images, .. } = settings;
    // It belongs to a host that takes feedback, which may be running.
    telemetry.data_dir = None;
    telemetry.host_log = Some(log);
    if args.trace {
        telemetry.print_traces(Terminal { out: Box::new(stderr()), color: stderr().is_terminal() });
    }
    let images = Images::new(images, parts.folder.clone());
    let start = move || Process::start(Telemetry::start(telemetry).context("telemetry cannot be started")?);
    match &args.data {
        Some(data) => batch::run(args, data, parts, images, start),
        None => once(args, parts, images, start),
    }
}

/// One request.
fn once(args: &RunArgs, parts: Parts, images: Images, start: impl FnOnce() -> anyhow::Result<Process>) -> Done {
    let inputs =
        Inputs::of_request(&parts.flow, &given(args, &parts.flow)?).map_err(|error| Error::wrong(unfit(&error)))?;
    let process = start()?;
    let asker = Asker { runner: process.runner(parts), images };
    let answer = process.run(async { asker.ask(inputs, false, Usage::default()).await });
    say(answer?.reply);
    Ok(())
}

/// Runs a flow without a server.
pub(super) struct Asker {
    pub(super) runner: Runner,
    pub(super) images: Images,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The inputs are wrong.
    Input(InputError),
    Flow(Failure),
}

impl Asker {
    /// Runs the flow once, as a request of its own, or as a line of a batch. What it costs counts in `usage`.
    pub(super) async fn ask(&self, inputs: Inputs, line: bool, usage: Usage) -> Result<Whole, NoAnswer> {
        let outstanding = inputs.find_images(&self.runner.flow).map_err(NoAnswer::Input)?;
        let inputs = self.images.load(outstanding).await.map_err(NoAnswer::Input)?;
        match self.runner.run(inputs, call(line, usage)).await.map_err(NoAnswer::Flow)? {
            Outcome::Whole(whole) => Ok(whole),
            // Nobody asked for a stream, so that none can begin.
            Outcome::Streaming(_) => Err(NoAnswer::Flow(Failure::ManyStreams)),
        }
    }
}

/// A call that nobody has made by HTTP.
pub(super) fn call(line: bool, usage: Usage) -> Call {
    Call {
        parent: Context::new(),
        request: RequestId::new(uuid::Uuid::new_v4().to_string()),
        request_from_caller: false,
        reply: ReplyMode::Whole,
        line,
        usage,
    }
}

impl From<NoAnswer> for Error {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Input(error) => Self::wrong(error),
            NoAnswer::Flow(failure) => Self::Failed(anyhow::anyhow!(words(&failure))),
        }
    }
}

/// A failure in words that name the node.
pub(super) fn words(failure: &Failure) -> String {
    let words = failure.to_string();
    match failure {
        // The host's own words name it already.
        Failure::Node { node, .. } if !words.contains(&format!("node {:?}", node.as_str())) => {
            format!("node {:?}: {words}", node.as_str())
        }
        Failure::Node { .. } | Failure::Reference(_) | Failure::ManyStreams | Failure::Timeout | Failure::Stuck => {
            words
        }
    }
}

/// What the command line gives, by name: `--input` comes before what `--inputs` says.
fn given(args: &RunArgs, flow: &Flow) -> Result<IndexMap<String, Json>, Error> {
    let mut given = match &args.inputs {
        Some(path) => members_of(path)?,
        None => IndexMap::new(),
    };
    for pair in &args.input {
        let (name, text) =
            pair.split_once('=').ok_or_else(|| Error::wrong(format_args!("--input {pair:?}: expected NAME=VALUE")))?;
        if !flow.inputs().contains_key(name) {
            let known = flow.inputs().keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::wrong(format_args!("--input {pair:?}: the flow has no input {name:?}; it has {known}")));
        }
        // Text, as on a form: the flow's types make numbers, lists and objects of it.
        given.insert(name.to_owned(), Json::string(text));
    }
    Ok(given)
}

fn unfit(error: &InputError) -> String {
    match error {
        InputError::Missing { missing } => {
            format!("no value for {}; give it by --input NAME=VALUE or --inputs FILE", missing.join(", "))
        }
        other => other.to_string(),
    }
}

fn members_of(path: &Path) -> Result<IndexMap<String, Json>, Error> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| Error::wrong(format_args!("{shown}: {error}")))?;
    let json = Json::parse(&text).map_err(|error| Error::wrong(format_args!("{shown}: {error}")))?;
    json.members().ok_or_else(|| Error::wrong(format_args!("{shown}: expected one JSON object of inputs by name")))
}
