//! Where spans are told that must arrive: whoever gives them keeps them until the sink says that they have.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;

use crate::telemetry::logs::evaluation;
use crate::telemetry::names::event;
use crate::telemetry::outbox::parcel::{Destination, Log, Outcome, Parcel};

pub(in crate::telemetry) trait Sink: Debug + Send {
    /// Tells these spans, all or none as far as can be known. Blocks until that is done, for at most some seconds.
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult;
}

/// Sends them past the outboxes, which may give something up.
#[derive(Debug)]
pub(super) struct Direct {
    destination: Arc<dyn Destination>,
    /// Where evaluations are told as log records, if they are.
    records: Option<Arc<dyn Destination>>,
    runtime: Handle,
}

impl Direct {
    pub(super) fn new(
        destination: Arc<dyn Destination>,
        records: Option<Arc<dyn Destination>>,
        runtime: Handle,
    ) -> Self {
        Self { destination, records, runtime }
    }

    fn send(&self, destination: &dyn Destination, parcels: Vec<Parcel>) -> OTelSdkResult {
        for parcel in parcels {
            let why = match self.runtime.block_on(destination.send(&parcel)) {
                Outcome::Taken { rejected: 0, .. } => continue,
                Outcome::Taken { why, .. }
                | Outcome::Later { why, .. }
                | Outcome::Partly { why, .. }
                | Outcome::TooLarge { why }
                | Outcome::Refused { why } => why,
            };
            return Err(OTelSdkError::InternalFailure(why));
        }
        Ok(())
    }
}

impl Sink for Direct {
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        self.send(&*self.destination, self.destination.spans(&spans))?;
        let Some(records) = &self.records else { return Ok(()) };
        let evaluations: Vec<Log> = spans.iter().flat_map(evaluations).collect();
        if evaluations.is_empty() { Ok(()) } else { self.send(&**records, records.logs(&evaluations)) }
    }
}

/// What a feedback says of the span that it is about, as log records of that span.
fn evaluations(span: &SpanData) -> impl Iterator<Item = Log> + use<'_> {
    let own = &span.span_context;
    let judged = SpanContext::new(own.trace_id(), span.parent_span_id, own.trace_flags(), true, TraceState::NONE);
    let events = span.events.iter().filter(|event| event.name == event::EVALUATION);
    events.map(move |event| evaluation(&judged, event.timestamp, &event.attributes))
}
