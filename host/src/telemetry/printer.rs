//! Prints each finished trace on the terminal, so that the first thing a newcomer sees is the trace.
//!
//! How a trace looks: see tree.rs. Who writes it: console.rs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;

use super::console::{Console, FLUSH};
use super::exporters::Sink;
use super::outbox::parcel::Log;
use super::store::Store;
use super::tree::{self, Style};

/// Spans that are kept while their roots are open. About a thousand requests at a time; beyond that the oldest trace is
/// given up, and what is printed is no longer read by anyone.
const MAX_SPANS: usize = 10_000;

/// Puts traces together and has them printed. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    store: Arc<Mutex<Store>>,
    console: Console,
}

impl Printer {
    pub(super) fn on(console: Console) -> Self {
        Self { store: Arc::default(), console }
    }

    /// Takes a finished span; prints its trace, if it is whole now and the terminal is fast enough.
    pub(super) fn take(&self, span: SpanData) {
        if !self.add(span) {
            tracing::debug!("a trace was not printed: the terminal is too slow");
        }
    }

    /// Returns when all before has been printed.
    pub(super) fn flush(&self, within: Duration) -> OTelSdkResult {
        self.console.flush(within)
    }

    /// Whether the span's trace, if it is whole now, will be printed.
    fn add(&self, span: SpanData) -> bool {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = store.add(span);
        if store.spans() > MAX_SPANS
            && let Some((oldest, spans)) = store.take_oldest()
        {
            tracing::debug!(trace = %oldest, spans = spans.len(), "a trace without an end was given up");
        }
        drop(store);
        let Some(spans) = whole else { return true };
        self.console.print(move |color| tree::render(&tree::Trace::of(&spans), Style::Terminal { color }))
    }
}

impl Sink for Printer {
    /// Returns when they are on the terminal.
    fn tell(&self, spans: Vec<SpanData>, _: &[Log]) -> OTelSdkResult {
        let mut printed = true;
        for span in spans {
            printed &= self.add(span);
        }
        self.console.flush(FLUSH)?;
        if printed { Ok(()) } else { Err(OTelSdkError::InternalFailure("the terminal is too slow".to_owned())) }
    }
}
