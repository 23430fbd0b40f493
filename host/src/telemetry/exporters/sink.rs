//! Where spans are told that must arrive: whoever gives them keeps them until the sink says that they have.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;

use crate::telemetry::outbox::parcel::{Destination, Outcome};

pub(in crate::telemetry) trait Sink: Debug + Send {
    /// Tells these spans, all or none as far as can be known. Blocks until that is done, for at most some seconds.
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult;
}

/// Sends them past the outboxes, which may give something up.
#[derive(Debug)]
pub(super) struct Direct {
    destination: Arc<dyn Destination>,
    runtime: Handle,
}

impl Direct {
    pub(super) fn new(destination: Arc<dyn Destination>, runtime: Handle) -> Self {
        Self { destination, runtime }
    }
}

impl Sink for Direct {
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        for parcel in self.destination.spans(&spans) {
            let why = match self.runtime.block_on(self.destination.send(&parcel)) {
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
