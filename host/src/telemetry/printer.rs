//! Prints each finished trace on the terminal, so that the first thing a newcomer sees is the trace.
//!
//! A thread of its own writes: a terminal that is scrolled back, or a pipe that nobody reads, must not hold up a
//! request. How a trace looks: see tree.rs.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;

use super::exporters::Sink;
use super::store::Store;
use super::tree::{self, Style};

/// Traces that wait for a slow terminal; further ones are not printed.
const QUEUE: usize = 64;

/// How long a flush waits, where nobody says.
const FLUSH: Duration = Duration::from_secs(5);

/// Where traces are printed.
pub struct Terminal {
    pub out: Box<dyn Write + Send>,
    pub color: bool,
}

/// Puts traces together and has them printed. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    store: Arc<Mutex<Store>>,
    queue: SyncSender<Job>,
}

#[derive(Debug)]
enum Job {
    Print(tree::Trace),
    /// Answers when all before it has been printed.
    Flush(SyncSender<()>),
}

impl Printer {
    pub(super) fn start(terminal: Terminal) -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel(QUEUE);
        thread::Builder::new().name("weir-terminal".to_owned()).spawn(move || print(terminal, &jobs))?;
        Ok(Self { store: Arc::default(), queue })
    }

    /// Takes a finished span; prints its trace, if it is whole now and the terminal is fast enough.
    pub(super) fn take(&self, span: SpanData) {
        if !self.add(span) {
            tracing::debug!("a trace was not printed: the terminal is too slow");
        }
    }

    /// Whether the span's trace, if it is whole now, will be printed.
    fn add(&self, span: SpanData) -> bool {
        let whole = self.store.lock().unwrap_or_else(PoisonError::into_inner).add(span);
        whole.is_none_or(|trace| self.queue.try_send(Job::Print(trace)).is_ok())
    }

    /// Returns when all before has been printed.
    pub(super) fn flush(&self, within: Duration) -> OTelSdkResult {
        let (sender, done) = mpsc::sync_channel(1);
        // `send` waits for a place, which the thread makes unless the terminal is stuck; then this is, too, and the one
        // who stops telemetry has a deadline of its own.
        self.queue.send(Job::Flush(sender)).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        done.recv_timeout(within).map_err(|_| OTelSdkError::Timeout(within))
    }
}

impl Sink for Printer {
    /// Returns when they are on the terminal.
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let mut printed = true;
        for span in spans {
            printed &= self.add(span);
        }
        self.flush(FLUSH)?;
        if printed { Ok(()) } else { Err(OTelSdkError::InternalFailure("the terminal is too slow".to_owned())) }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("color", &self.color).finish_non_exhaustive()
    }
}

/// Prints until nobody can ask for more.
fn print(terminal: Terminal, jobs: &Receiver<Job>) {
    let Terminal { mut out, color } = terminal;
    for job in jobs {
        match job {
            Job::Print(trace) => {
                let text = tree::render(&trace, Style::Terminal { color });
                // A terminal that is gone is no reason to end; there is nobody left to tell.
                let _ = writeln!(out, "{text}").and_then(|()| out.flush());
            }
            // The one who asked may have given up.
            Job::Flush(done) => drop(done.send(())),
        }
    }
}
