//! `weir serve`: the story of a host, from its settings to its last flushed span.

use std::io::{IsTerminal as _, stdout};

use anyhow::Context as _;

use crate::cli::process::{Process, start_log};
use crate::cli::{Done, Error, load, say};
use crate::config::{self, Environment, ServeArgs};
use crate::images::Images;
use crate::server::admission::Admission;
use crate::server::body::Bodies;
use crate::server::drain::Drain;
use crate::server::{App, Server};
use crate::telemetry::{Telemetry, Terminal};

pub fn run(args: &ServeArgs) -> Done {
    start_log()?;
    let Environment { mut telemetry, flows, images, server, build_info } =
        Environment::read(&config::variable).map_err(Error::Wrong)?;
    let parts = load(&args.flow, flows)?;

    telemetry.terminal = Some(Terminal { out: Box::new(stdout()), color: stdout().is_terminal() });
    let telemetry = Telemetry::start(telemetry).context("telemetry cannot be started")?;
    telemetry.describe().iter().for_each(say);

    let process = Process::start(telemetry)?;
    let images = Images::new(images, parts.folder.clone());
    let drain = Drain::default();
    let app = App {
        runner: process.runner(parts),
        images,
        bodies: Bodies::new(server.bodies.clone()),
        admission: Admission::new(server.admission.clone()),
        build_info,
        draining: drain.watch(),
    };
    process.serve(server.drain.flush, async |signals| {
        let bound = Server::bind(args.listen, args.admin_listen, app)?;
        say(format_args!("admin on http://{}", bound.admin_addr()?));
        say(format_args!("listening on http://{}", bound.public_addr()?));
        Ok(bound.serve(&server, drain, async || signals.next().await).await)
    })
}
