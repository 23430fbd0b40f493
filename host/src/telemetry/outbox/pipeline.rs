//! From the SDK to the outboxes: what has ended is taken from whoever ended it at once, and made into parcels elsewhere.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use opentelemetry::logs::AnyValue;
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::batch::{Batcher, Limits, NotTaken};
use super::parcel::{Encode, Log};
use super::{Loss, Outbox};
use crate::telemetry::printer::Printer;
use crate::telemetry::store::is_local_root;

/// How long a flush waits, where nobody says.
const FLUSH: Duration = Duration::from_secs(5);

/// What a span or record takes beside its texts, in bytes.
const FRAME: usize = 256;

/// Takes the spans that have ended. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Spans {
    batcher: Batcher<SpanData>,
    outboxes: Arc<[Outbox]>,
    /// Whoever watches a terminal wants to see a trace when it is whole.
    printer: Option<Printer>,
}

impl Spans {
    /// `edit` sees each span before anyone else does.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(in crate::telemetry) fn start(
        limits: Limits,
        edit: impl Fn(&mut SpanData) + Send + 'static,
        outboxes: Vec<Outbox>,
        printer: Option<Printer>,
    ) -> std::io::Result<Self> {
        let outboxes: Arc<[Outbox]> = outboxes.into();
        let (to, prints) = (Arc::clone(&outboxes), printer.clone());
        let batcher = Batcher::start("weir-spans", limits, move |mut spans: Vec<SpanData>| {
            spans.iter_mut().for_each(&edit);
            for batch in spans.chunks(limits.batch) {
                for outbox in &*to {
                    block_on(outbox.put(batch, Encode::spans));
                }
            }
            if let Some(printer) = &prints {
                spans.into_iter().for_each(|span| printer.take(span));
            }
        })?;
        Ok(Self { batcher, outboxes, printer })
    }
}

impl Spans {
    /// Whether a trace that is whole is taken at once: somebody watches, or it is only safe from the end of the process when
    /// it is on disk.
    fn is_in_a_hurry(&self) -> bool {
        self.printer.is_some() || self.outboxes.iter().any(Outbox::is_spooling)
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let hurry = is_local_root(&span) && self.is_in_a_hurry();
        let bytes = size(&span);
        if let Err(why) = self.batcher.put(span, bytes) {
            let loss = match why {
                NotTaken::Full => Loss::QueueFull,
                NotTaken::Ended => Loss::Unsent,
            };
            self.outboxes.iter().for_each(|outbox| outbox.ledger().lose(loss, 1));
        }
        if hurry {
            self.batcher.hurry();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        done(self.batcher.flush(FLUSH), FLUSH)?;
        self.printer.as_ref().map_or(Ok(()), |printer| printer.flush(FLUSH))
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        done(self.batcher.stop(within), within)?;
        self.printer.as_ref().map_or(Ok(()), |printer| printer.flush(within))
    }
}

/// Takes log records, after [`EditLogs`]. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Logs {
    batcher: Batcher<Log>,
    outboxes: Arc<[Outbox]>,
}

impl Logs {
    /// # Errors
    /// If the system gives no thread.
    pub(in crate::telemetry) fn start(limits: Limits, outboxes: Vec<Outbox>) -> std::io::Result<Self> {
        let outboxes: Arc<[Outbox]> = outboxes.into();
        let to = Arc::clone(&outboxes);
        let batcher = Batcher::start("weir-logs", limits, move |records: Vec<Log>| {
            for batch in records.chunks(limits.batch) {
                for outbox in &*to {
                    block_on(outbox.put(batch, Encode::logs));
                }
            }
        })?;
        Ok(Self { batcher, outboxes })
    }
}

impl LogProcessor for Logs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let attributes = record.attributes_iter().map(|(key, value)| key.as_str().len() + told(value)).sum::<usize>();
        let bytes = FRAME + record.body().map_or(0, told) + attributes;
        // What is logged after the end is on standard error, as is what the end itself has to say: no loss to tell of.
        if self.batcher.put((record.clone(), scope.clone()), bytes) == Err(NotTaken::Full) {
            self.outboxes.iter().for_each(|outbox| outbox.ledger().lose(Loss::QueueFull, 1));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        done(self.batcher.flush(FLUSH), FLUSH)
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        done(self.batcher.stop(within), within)
    }
}

/// Sees each log record before anyone else does.
pub(in crate::telemetry) struct EditLogs<F>(pub(in crate::telemetry) F);

impl<F: Fn(&mut SdkLogRecord) + Send + Sync> LogProcessor for EditLogs<F> {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        (self.0)(record);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl<F> std::fmt::Debug for EditLogs<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EditLogs").finish_non_exhaustive()
    }
}

/// Takes the points of metrics when a reader has collected them.
#[derive(Debug)]
pub(in crate::telemetry) struct Points {
    pub(in crate::telemetry) outbox: Outbox,
    pub(in crate::telemetry) temporality: Temporality,
}

impl PushMetricExporter for Points {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        // One collection, which no encoder can be given in parts.
        let collection = std::slice::from_ref(&metrics);
        self.outbox.put(collection, |destination, metrics| destination.metrics(metrics[0])).await;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

fn done(in_time: bool, within: Duration) -> OTelSdkResult {
    if in_time { Ok(()) } else { Err(OTelSdkError::Timeout(within)) }
}

/// About what a span takes, in bytes.
fn size(span: &SpanData) -> usize {
    let events = span.events.iter().map(|event| FRAME + texts(&event.attributes)).sum::<usize>();
    FRAME + texts(&span.attributes) + events
}

/// The same of a value of a log record.
fn told(value: &AnyValue) -> usize {
    match value {
        AnyValue::String(text) => text.as_str().len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::ListAny(list) => list.iter().map(told).sum(),
        AnyValue::Map(members) => members.iter().map(|(key, value)| key.as_str().len() + told(value)).sum(),
        _ => 16,
    }
}

fn texts(attributes: &[KeyValue]) -> usize {
    let text = |value: &Value| if let Value::String(text) = value { text.as_str().len() } else { 16 };
    attributes.iter().map(|it| it.key.as_str().len() + text(&it.value)).sum()
}
