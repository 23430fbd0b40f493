//! `weir serve`: the story of a host, from its settings to its last flushed span.

use std::io::{IsTerminal as _, stderr, stdout};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::assembly;
use crate::cli::{Done, Error, say, warn};
use crate::config::{self, Environment, ServeArgs};
use crate::folder::Folder;
use crate::scheduler::Runner;
use crate::server::{App, Server};
use crate::telemetry::{Telemetry, Terminal};

/// How long the last spans and metrics may take to leave once the host is asked to stop.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long requests that were given up may take to let go of their threads.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(1);

pub fn run(args: &ServeArgs) -> Done {
    start_log()?;
    let Environment { mut telemetry, components, build_info } =
        Environment::read(&config::variable).map_err(Error::Wrong)?;
    let folder = Folder::open(&args.flow).map_err(Error::wrong)?;
    let (flow, warnings) = assembly::read_flow(&folder).map_err(Error::wrong)?;
    warnings.iter().for_each(warn);
    let parts = assembly::prepare(&folder, flow, &args.connections.paths, components, &config::variable)
        .map_err(|faults| Error::Wrong(faults.iter().map(ToString::to_string).collect()))?;
    parts.warnings.iter().for_each(warn);

    telemetry.terminal = Some(Terminal { out: Box::new(stdout()), color: stdout().is_terminal() });
    let telemetry = Telemetry::start(telemetry).context("telemetry cannot be started")?;
    telemetry.describe().iter().for_each(say);

    let sockets = runtime("weir-io").context("no threads for sockets")?;
    let guests = guest_runtime().context("no threads for guests")?;
    let runner = parts.runner(telemetry.clone(), sockets.handle().clone(), guests.handle().clone());
    let served = sockets.block_on(serve(args, runner, build_info));
    // What still runs belongs to requests that were given up. In this order: a request that is dropped ends its nodes,
    // and their spans are told of before telemetry stops.
    sockets.shutdown_timeout(ABANDON_TIMEOUT);
    guests.shutdown_timeout(ABANDON_TIMEOUT);
    telemetry.stop(FLUSH_TIMEOUT);
    Ok(served?)
}

async fn serve(args: &ServeArgs, runner: Runner, build_info: String) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let app = App { runner, build_info, ready: AtomicBool::new(true) };
    let server = Server::bind(args.listen, args.admin_listen, app).await?;
    say(format_args!("admin on http://{}", server.admin_addr()?));
    say(format_args!("listening on http://{}", server.public_addr()?));
    server.serve(stop).await;
    Ok(())
}

/// Ready when the host is asked to stop: by Ctrl-C, or as Kubernetes asks.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn runtime(name: &str) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().thread_name(name).enable_all().build()
}

/// Guests run on threads of their own: one that never rests must not delay a socket. They yield at every tick of the
/// epoch, and with an interval of one the runtime looks for timers and I/O at every such turn.
fn guest_runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("weir-guest").event_interval(1).enable_all().build()
}

/// The host's own log goes to standard error, so that standard output has traces and addresses only.
fn start_log() -> Done {
    let filter = config::variable(config::LOG).unwrap_or_else(|| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&filter)
        .map_err(|error| Error::wrong(format_args!("{}: {filter:?}: {error}", config::LOG)))?;
    // A second start in one process, as tests may do, keeps the first log.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    let _ = log.try_init();
    Ok(())
}
