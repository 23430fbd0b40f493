//! `weir run`: one request to a flow, without a server.

use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;

use anyhow::Context as _;
use indexmap::IndexMap;
use opentelemetry::Context;

use crate::cli::process::{Process, start_log};
use crate::cli::{Done, Error, RunArgs, load, say};
use crate::config::{self, Environment};
use crate::flow::inputs::{InputError, Inputs};
use crate::flow::value::Json;
use crate::id::RequestId;
use crate::images::Images;
use crate::scheduler::outcome::{Failure, Outcome};
use crate::scheduler::{Call, ReplyMode};
use crate::telemetry::{Telemetry, Terminal};

pub fn run(args: &RunArgs) -> Done {
    start_log()?;
    let Environment { mut telemetry, components, images, .. } =
        Environment::read(&config::variable).map_err(Error::Wrong)?;
    let parts = load(&args.flow, components)?;
    let flow = parts.flow.clone();
    let inputs =
        Inputs::new(&flow, &given(args)?).and_then(|inputs| inputs.find_images(&flow)).map_err(Error::wrong)?;
    let images = Images::new(images, parts.folder.clone());

    if args.trace {
        // Whoever asks for the trace here wants to see it here.
        telemetry.traces = None;
        telemetry.terminal = Some(Terminal { out: Box::new(stderr()), color: stderr().is_terminal() });
    }
    let telemetry = Telemetry::start(telemetry).context("telemetry cannot be started")?;
    let process = Process::start(telemetry)?;
    let runner = process.runner(parts);
    let call = Call {
        parent: Context::new(),
        request: RequestId::new(uuid::Uuid::new_v4().to_string()),
        request_from_caller: false,
        reply: ReplyMode::Whole,
        line: false,
    };
    let work = async { Ok(runner.run(images.load(inputs).await?, call).await) };
    match process.run(work).map_err(|error: InputError| Error::wrong(error))? {
        Ok(Outcome::Whole(whole)) => {
            say(whole.reply);
            Ok(())
        }
        Ok(Outcome::Streaming(_)) => {
            Err(anyhow::anyhow!("the flow streamed to someone who asked for no stream").into())
        }
        Err(Failure::Node { node, error }) => Err(anyhow::anyhow!("node {:?}: {}", node.as_str(), error).into()),
        Err(failure) => Err(anyhow::Error::new(failure).into()),
    }
}

/// What the command line gives, by name: `--input` comes before what `--inputs` says.
fn given(args: &RunArgs) -> Result<IndexMap<String, Json>, Error> {
    let mut given = match &args.inputs {
        Some(path) => members_of(path)?,
        None => IndexMap::new(),
    };
    for pair in &args.input {
        let (name, text) =
            pair.split_once('=').ok_or_else(|| Error::wrong(format_args!("--input {pair:?}: expected NAME=VALUE")))?;
        // Text, as on a form: the flow's types make numbers, lists and objects of it.
        given.insert(name.to_owned(), Json::string(text));
    }
    Ok(given)
}

fn members_of(path: &Path) -> Result<IndexMap<String, Json>, Error> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| Error::wrong(format_args!("{shown}: {error}")))?;
    let json = Json::parse(&text).map_err(|error| Error::wrong(format_args!("{shown}: {error}")))?;
    json.members().ok_or_else(|| Error::wrong(format_args!("{shown}: expected one JSON object of inputs by name")))
}
