//! What a verb that runs flows needs of the process: a log, two runtimes, and their end in the right order.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, stderr};
use std::panic;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::assembly::Parts;
use crate::cli::masked::Masked;
use crate::cli::{Done, Error, watch};
use crate::config;
use crate::sandbox::Threads;
use crate::scheduler::Runner;
use crate::server::drain::Ended;
use crate::telemetry::{HostLog, Redactor, Telemetry};

/// How long the last spans and metrics may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long requests that were given up may take to let go of their threads.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(1);

/// The same, and for the flush, once the host was told twice to stop. With the last words of requests it makes less than
/// two seconds.
const HURRIED: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The threads that run flows.
pub(super) struct Process {
    /// For sockets, and for what nodes ask of the host.
    io: Runtime,
    /// For guests alone: one that never rests must not delay a socket.
    guests: Runtime,
    telemetry: Telemetry,
}

impl Process {
    /// # Errors
    /// If the system gives no threads.
    pub(super) fn start(telemetry: Telemetry) -> anyhow::Result<Self> {
        let io = Builder::new_multi_thread().thread_name("weir-io").enable_all().build();
        // Guests yield at every tick of the epoch; with an interval of one the runtime looks for timers at every such turn.
        // For sockets it need not look, which would be a system call each time: guests have none.
        let guests = Builder::new_multi_thread().thread_name("weir-guest").event_interval(1).enable_time().build();
        Ok(Self {
            io: io.context("no threads for sockets")?,
            guests: guests.context("no threads for guests")?,
            telemetry,
        })
    }

    /// A runner of these parts on these threads.
    pub(super) fn runner(&self, parts: Parts) -> Runner {
        watch::workshop(&self.telemetry, parts.workshop());
        parts.runner(self.telemetry.clone(), self.threads())
    }

    pub(super) fn threads(&self) -> Threads {
        Threads { io: self.io.handle().clone(), guests: self.guests.handle().clone() }
    }

    /// Does the work of the verb, then ends all: what still runs belongs to requests that were given up. A request that
    /// is dropped ends its nodes, and their spans are told of before telemetry stops.
    pub(super) fn run<T>(self, work: impl Future<Output = T>) -> T {
        let done = self.io.block_on(work);
        self.end(ABANDON_TIMEOUT, FLUSH_TIMEOUT);
        done
    }

    /// Serves, until the signals stop it, then ends all and lets telemetry take so long to leave.
    ///
    /// # Errors
    /// What the serving failed with; or that a second signal cut the end short: then what was not told is lost.
    pub(super) fn serve(
        self,
        flush: Duration,
        serving: impl AsyncFnOnce(&mut StopSignals) -> anyhow::Result<Ended>,
    ) -> Done {
        // A thread of its own hears the signals: it must do so until the very end.
        let ear = Builder::new_multi_thread().worker_threads(1).thread_name("weir-signals").enable_all().build();
        let ear = ear.context("no thread for signals")?;
        let mut signals = ear.block_on(async { StopSignals::listen() })?;
        let ended = self.io.block_on(serving(&mut signals));

        let (abandon, flush) = match ended {
            Ok(Ended::Hurried) => HURRIED,
            Ok(Ended::InOrder) | Err(_) => (ABANDON_TIMEOUT, flush),
        };
        let (done, all_ended) = oneshot::channel();
        std::thread::spawn(move || {
            self.end(abandon, flush);
            // Nobody listens if a signal was faster.
            let _ = done.send(());
        });
        let in_time = ear.block_on(async {
            let mut all_ended = pin!(all_ended);
            tokio::select! {
                _ = &mut all_ended => return true,
                () = signals.next() => {}
            }
            let _ = tokio::time::timeout(HURRIED.1, all_ended).await;
            false
        });
        ear.shutdown_background();
        match ended? {
            Ended::InOrder if in_time => Ok(()),
            Ended::InOrder | Ended::Hurried => {
                Err(anyhow!("told a second time to stop; what was not finished is lost").into())
            }
        }
    }

    fn end(self, abandon: Duration, flush: Duration) {
        self.io.shutdown_timeout(abandon);
        self.guests.shutdown_timeout(abandon);
        self.telemetry.stop(flush);
    }
}

/// What asks the process to stop: Ctrl-C, or SIGTERM, as Kubernetes asks.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// # Errors
    /// If the system lets nobody listen.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?,
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The host's own log goes to standard error, so that standard output has what was asked for only; and to whoever exports
/// logs, once telemetry has started with what this gives. Secrets are in neither.
pub(super) fn start_log(filter: &str, redactor: &Redactor) -> Result<HostLog, Error> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| Error::wrong(format_args!("{}: {filter:?}: {error}", config::LOG.variable)))?;
    let shown =
        tracing_subscriber::fmt::layer().with_writer(Masked(redactor.clone())).with_ansi(stderr().is_terminal());
    let log = HostLog::default();
    let layers = tracing_subscriber::registry().with(filter).with(shown).with(log.layer());
    // A second start in one process, as tests may do, keeps the first log.
    if layers.try_init().is_ok() {
        log_panics();
    }
    Ok(log)
}

/// Has panics told like all else that goes wrong: in one line, masked, and without waiting for whoever reads it. Whoever asks
/// for backtraces gets the usual text.
fn log_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if Backtrace::capture().status() == BacktraceStatus::Captured || !tracing::enabled!(tracing::Level::ERROR) {
            return usual(panic);
        }
        let (thread, told) = (std::thread::current(), panic.to_string().replace('\n', ": "));
        tracing::error!(thread = thread.name(), "{told}");
    }));
}
