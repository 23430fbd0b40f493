//! Telemetry for the simulation of the whole host (simulation.rs): spans are numbered, counted and handed over, and nothing
//! runs on a thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};

use crate::telemetry::{Config, Exporters, Telemetry, feedback};

pub(crate) use crate::telemetry::feedback::simulated::{Delivering, Judge, deliverers, record};
pub(crate) use crate::telemetry::outbox::tests::simulated::{Collector, Exporter};

/// The spans of one life of a host. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    started: u64,
    ended: u64,
    /// The number of the next that ends.
    next: u32,
    /// Ended, and not yet taken by anybody.
    waiting: Vec<u32>,
}

impl Spans {
    /// The first that ends has this number.
    pub(crate) fn from(next: u32) -> Self {
        Self(Arc::new(Mutex::new(Known { started: 0, ended: 0, next, waiting: Vec::new() })))
    }

    /// By which they are told.
    pub(crate) fn telemetry(&self) -> Telemetry {
        let config = Config::default();
        let tracers = SdkTracerProvider::builder().with_span_processor(self.clone()).build();
        let meters = SdkMeterProvider::builder().build();
        let feedback = feedback::Store::start(None, &config.feedback, Vec::new()).expect("it needs no thread");
        Telemetry::with(Exporters::of(tracers, meters, feedback), &config)
    }

    /// Those that have ended and that nobody has taken.
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Whether nobody has anything to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// How many have begun and not ended.
    pub(crate) fn open(&self) -> u64 {
        let known = self.lock();
        known.started - known.ended
    }

    pub(crate) fn ended(&self) -> u64 {
        self.lock().ended
    }

    /// The number of the next that ends.
    pub(crate) fn next(&self) -> u32 {
        self.lock().next
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.lock().started += 1;
    }

    fn on_end(&self, _: SpanData) {
        let mut known = self.lock();
        let number = known.next;
        known.waiting.push(number);
        (known.next, known.ended) = (number + 1, known.ended + 1);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
