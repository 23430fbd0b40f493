//! `weir serve`: the story of a host, from its settings to its last flushed span.

mod asked;
mod reload;

use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::assembly::endpoint::{Prepared, Unserved};
use crate::cli::process::{Process, start_log};
use crate::cli::{Done, Error, say, warn, watch, workshop, wrong};
use crate::config::{self, ServeArgs};
use crate::sandbox::Threads;
use crate::sandbox::component::Workshop;
use crate::server::access::Access;
use crate::server::drain::Drain;
use crate::server::endpoint::Endpoint;
use crate::server::token::FeedbackTokens;
use crate::server::{App, Server};
use crate::telemetry::{self, HostLog, Telemetry, Terminal};

pub(super) use asked::Asked;
use reload::{Reload, Seen};

pub fn run(args: ServeArgs) -> Done {
    let asked = Asked::read(&args)?;
    // At once: compiling takes a while, and what changes meanwhile is a change.
    let seen = Seen::now(asked.files(&args));
    let settings = asked.settings(&args)?;
    let log = start_log(&settings.log, &settings.telemetry.redactor)?;
    config::prompt_flow::notes(&config::variable).iter().for_each(warn);

    let access = Access::open(settings.server.access.clone(), settings.listen).map_err(Error::wrong)?;
    let workshop = workshop(settings.flows.components.clone())?;
    let prepared = prepare(&asked, &args, &workshop)?;

    let tokens = FeedbackTokens::open(&settings.server.tokens, settings.telemetry.data_dir.as_deref());
    let tokens = tokens.context("feedback tokens cannot be made")?;
    let telemetry = start(settings.telemetry, log)?;
    watch::workshop(&telemetry, &workshop);
    telemetry.describe().iter().for_each(say);
    say(tokens.describe());

    let process = Process::start(telemetry.clone())?;
    let threads = process.threads();
    let loader =
        Loader { args, workshop, telemetry: telemetry.clone(), keys_required: access.auth.is_required(), threads };
    let endpoint = loader.finish(prepared)?;
    let (drain, config) = (Drain::default(), settings.server);
    let app = App::new(endpoint, telemetry, config.clone(), tokens, access, settings.build_info, drain.watch());
    let app = Arc::new(app);
    watch::app(&app.telemetry, &app);
    process.serve(config.drain.flush, async |signals| {
        let reload = Reload::new(loader, app.clone(), settings.reload_interval, seen)?;
        let server = Server::bind(settings.listen, settings.admin_listen, app)?;
        say(format_args!("admin on http://{}", server.admin_addr()?));
        say(format_args!("listening on http://{}", server.public_addr()?));
        tokio::select! {
            ended = server.serve(&config, drain, async || signals.next().await) => Ok(ended),
            never = reload.run() => match never {},
        }
    })
}

/// Makes what is served of the files as they are.
struct Loader {
    args: ServeArgs,
    workshop: Arc<Workshop>,
    telemetry: Telemetry,
    keys_required: bool,
    threads: Threads,
}

impl Loader {
    /// What serves requests, and the files that say so, but for the flows themselves.
    ///
    /// # Errors
    /// All that is wrong with what the command line names.
    fn endpoint(&self) -> Result<(Endpoint, Vec<PathBuf>), Error> {
        let asked = Asked::read(&self.args)?;
        let endpoint = self.finish(prepare(&asked, &self.args, &self.workshop)?)?;
        Ok((endpoint, asked.files(&self.args)))
    }

    fn finish(&self, prepared: Prepared) -> Result<Endpoint, Error> {
        let endpoint = prepared.endpoint(&self.telemetry, self.keys_required, &self.threads);
        Ok(endpoint.context("there is nothing to serve")?)
    }
}

fn prepare(asked: &Asked, args: &ServeArgs, workshop: &Arc<Workshop>) -> Result<Prepared, Error> {
    let prepared = Prepared::new(&asked.served, &args.given, asked.layers(args), workshop).map_err(unserved)?;
    prepared.warnings.iter().for_each(warn);
    Ok(prepared)
}

fn start(mut config: telemetry::Config, log: HostLog) -> Result<Telemetry, Error> {
    config.terminal = Some(Terminal { out: Box::new(stdout()), color: stdout().is_terminal() });
    config.host_log = Some(log);
    Ok(Telemetry::start(config).context("telemetry cannot be started")?)
}

/// All that is wrong with the deployments, of which one may be the machine's fault.
fn unserved(faults: Vec<Unserved>) -> Error {
    let mut all = Vec::new();
    for fault in faults {
        match fault {
            Unserved::Settings(problems) => all.extend(problems),
            Unserved::Flow(fault) => match wrong(fault) {
                Error::Wrong(problems) => all.extend(problems),
                failed @ (Error::Told | Error::Left | Error::Failed(_)) => return failed,
            },
        }
    }
    Error::Wrong(all)
}
