//! `weir serve`: the story of a host, from its settings to its last flushed span.

use std::io::{IsTerminal as _, stdout};
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;

use crate::cli::process::{Process, StopSignals, start_log};
use crate::cli::{Done, Error, load, say};
use crate::config::{self, Environment, ServeArgs};
use crate::images::Images;
use crate::server::access::Access;
use crate::server::{App, Server};
use crate::telemetry::{Telemetry, Terminal};

pub fn run(args: &ServeArgs) -> Done {
    start_log()?;
    let Environment { mut telemetry, flows, images, access, build_info } =
        Environment::read(&config::variable).map_err(Error::Wrong)?;
    let access = Access::open(access, args.listen).map_err(Error::wrong)?;
    let parts = load(&args.flow, flows)?;

    telemetry.terminal = Some(Terminal { out: Box::new(stdout()), color: stdout().is_terminal() });
    let telemetry = Telemetry::start(telemetry).context("telemetry cannot be started")?;
    telemetry.describe().iter().for_each(say);

    let process = Process::start(telemetry)?;
    let images = Images::new(images, parts.folder.clone());
    let app = App { runner: process.runner(parts), images, access, build_info, ready: AtomicBool::new(true) };
    Ok(process.run(serve(args, app))?)
}

async fn serve(args: &ServeArgs, app: App) -> anyhow::Result<()> {
    let mut signals = StopSignals::listen()?;
    let server = Server::bind(args.listen, args.admin_listen, app).await?;
    say(format_args!("admin on http://{}", server.admin_addr()?));
    say(format_args!("listening on http://{}", server.public_addr()?));
    server.serve(async move { signals.next().await }).await;
    Ok(())
}
