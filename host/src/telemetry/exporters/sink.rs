//! Where spans are told that must arrive: whoever gives them keeps them until the sink says that they have.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;

use crate::telemetry::outbox::parcel::{Destination, Log, Outcome, Parcel};

pub(in crate::telemetry) trait Sink: Debug + Send {
    /// Tells these spans, and the evaluations among them where those are told by themselves: all or none as far as can be
    /// known. Blocks until that is done, for at most some seconds.
    fn tell(&self, spans: Vec<SpanData>, evaluations: &[Log]) -> OTelSdkResult;
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
            let mut outcome = self.runtime.block_on(destination.send(&parcel));
            if !matches!(outcome, Outcome::Taken { rejected: 0, .. }) {
                return Err(OTelSdkError::InternalFailure(std::mem::take(outcome.why_mut())));
            }
        }
        Ok(())
    }
}

impl Sink for Direct {
    fn tell(&self, spans: Vec<SpanData>, evaluations: &[Log]) -> OTelSdkResult {
        self.send(&*self.destination, self.destination.spans(&spans))?;
        match self.records.as_deref().filter(|_| !evaluations.is_empty()) {
            Some(records) => self.send(records, records.logs(evaluations)),
            None => Ok(()),
        }
    }
}
