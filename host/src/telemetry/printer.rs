//! Prints each finished trace on the terminal, so that the first thing a newcomer sees is the trace.
//!
//! How a trace looks: see tree.rs. Who writes it: console.rs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::console::{Console, FLUSH};
use super::exporters::Sink;
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

    /// Takes a finished span. Whether its trace, if it is whole now, will be printed.
    fn take(&self, span: SpanData) -> bool {
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

impl SpanProcessor for Printer {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !self.take(span) {
            tracing::debug!("a trace was not printed: the terminal is too slow");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.console.flush(FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.console.flush(timeout)
    }
}

impl Sink for Printer {
    /// Returns when they are on the terminal.
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let mut printed = true;
        for span in spans {
            printed &= self.take(span);
        }
        self.console.flush(FLUSH)?;
        if printed { Ok(()) } else { Err(OTelSdkError::InternalFailure("the terminal is too slow".to_owned())) }
    }
}
