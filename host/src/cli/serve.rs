//! `weir serve`: the story of a host, from its settings to its last flushed span.

use std::io::{IsTerminal as _, stdout};
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;

use crate::cli::process::{Process, StopSignals, start_log};
use crate::cli::{Done, Error, load, say};
use crate::config::{self, Environment, ServeArgs};
use crate::folder::Folder;
use crate::images::Images;
use crate::server::swagger::{self, Document};
use crate::server::{App, Server};
use crate::telemetry::{Telemetry, Terminal};

pub fn run(args: &ServeArgs) -> Done {
    start_log()?;
    let Environment { mut telemetry, flows, images, build_info } =
        Environment::read(&config::variable).map_err(Error::Wrong)?;
    let parts = load(&args.flow, flows)?;

    telemetry.terminal = Some(Terminal { out: Box::new(stdout()), color: stdout().is_terminal() });
    let telemetry = Telemetry::start(telemetry).context("telemetry cannot be started")?;
    telemetry.describe().iter().for_each(say);

    let process = Process::start(telemetry)?;
    let facts = swagger::Facts { example: example(&parts.folder), ..swagger::Facts::default() };
    let document = Document::new(&parts.flow, &facts);
    let images = Images::new(images, parts.folder.clone());
    let app = App { runner: process.runner(parts), images, document, build_info, ready: AtomicBool::new(true) };
    Ok(process.run(serve(args, app))?)
}

/// The first sample of the flow folder, if it has any.
fn example(folder: &Folder) -> Option<serde_json::Value> {
    let path = "samples.json";
    folder.resolve(path).ok()?;
    let sample = folder.read_text(path).map_err(|error| error.to_string()).and_then(|text| swagger::sample(&text));
    sample.unwrap_or_else(|problem| {
        tracing::warn!(%problem, "the document of the flow shows no example");
        None
    })
}

async fn serve(args: &ServeArgs, app: App) -> anyhow::Result<()> {
    let mut signals = StopSignals::listen()?;
    let server = Server::bind(args.listen, args.admin_listen, app).await?;
    say(format_args!("admin on http://{}", server.admin_addr()?));
    say(format_args!("listening on http://{}", server.public_addr()?));
    server.serve(async move { signals.next().await }).await;
    Ok(())
}
