//! The tries that a call of a service is made of: told on its span, and counted, by whoever makes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

use super::{Clock, Open};
use crate::id::FlowId;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Unasked;
use crate::telemetry::names::{attribute, event, semconv};

/// The tries of one call. Clones are the same; the default tells nobody.
#[derive(Clone, Debug, Default)]
pub struct Tries(Option<Arc<Told>>);

#[derive(Debug)]
struct Told {
    telemetry: Telemetry,
    flow: FlowId,
    cx: Context,
    clock: Clock,
    so_far: Mutex<SoFar>,
}

/// What the span says of it when it ends.
#[derive(Debug, Default)]
struct SoFar {
    circuit: Option<&'static str>,
    again: u32,
    paused: Duration,
    asked: Option<Duration>,
    stopped: Option<&'static str>,
}

/// A try that failed, and after which there will be another.
#[derive(Clone, Copy, Debug)]
pub struct Retry<'a> {
    /// Name of the connection.
    pub connection: &'a str,
    /// The code of the failure.
    pub code: &'static str,
    /// The status of the service's answer, if there is one.
    pub status: Option<u16>,
    /// How long it will be until then.
    pub pause: Duration,
}

impl Tries {
    pub(super) fn of(open: &Open, telemetry: &Telemetry, flow: &FlowId) -> Self {
        let (telemetry, flow) = (telemetry.clone(), flow.clone());
        let so_far = Mutex::default();
        Self(Some(Arc::new(Told { telemetry, flow, cx: open.context().clone(), clock: open.clock(), so_far })))
    }

    /// The state of the connection's circuit breaker as the call begins.
    pub fn circuit(&self, state: &'static str) {
        self.so_far(|so_far| so_far.circuit = Some(state));
    }

    /// The service asks for a pause.
    pub fn asked(&self, pause: Duration) {
        self.so_far(|so_far| so_far.asked = Some(pause));
    }

    /// One more try will be made.
    pub fn again(&self, retry: Retry<'_>) {
        let Some(told) = &self.0 else { return };
        let Retry { connection, code, status, pause } = retry;
        let number = {
            let mut so_far = told.so_far();
            so_far.again = so_far.again.saturating_add(1);
            so_far.paused += pause;
            so_far.again
        };
        let mut attributes = vec![
            KeyValue::new(semconv::RESEND_COUNT, i64::from(number)),
            KeyValue::new(semconv::ERROR_TYPE, code),
            KeyValue::new(attribute::RETRY_PAUSE, pause.as_secs_f64()),
        ];
        attributes.extend(status.map(|status| KeyValue::new(semconv::HTTP_STATUS, i64::from(status))));
        told.cx.span().add_event_with_timestamp(event::RETRY, told.clock.wall(Instant::now()), attributes);
        told.telemetry.metrics().retried(&told.flow, connection, code);
    }

    /// No further try will be made, though the failure may pass: why, out of a small set.
    pub fn stopped(&self, why: &'static str) {
        self.so_far(|so_far| so_far.stopped = Some(why));
    }

    /// What the connection's service was not asked for.
    pub fn unasked(&self, connection: &str, why: Unasked) {
        if let Some(told) = &self.0 {
            told.telemetry.metrics().unasked(&told.flow, connection, why);
        }
    }

    /// What the span says of all tries.
    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let Some(told) = &self.0 else { return Vec::new() };
        let so_far = told.so_far();
        let seconds = |key, time: Option<Duration>| time.map(|time| KeyValue::new(key, time.as_secs_f64()));
        let again = (so_far.again > 0).then_some(i64::from(so_far.again));
        [
            so_far.circuit.map(|state| KeyValue::new(attribute::CIRCUIT_STATE, state)),
            again.map(|again| KeyValue::new(semconv::RESEND_COUNT, again)),
            seconds(attribute::RETRY_PAUSE, again.map(|_| so_far.paused)),
            seconds(attribute::RETRY_ASKED, so_far.asked),
            so_far.stopped.map(|why| KeyValue::new(attribute::RETRY_STOPPED, why)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn so_far(&self, change: impl FnOnce(&mut SoFar)) {
        if let Some(told) = &self.0 {
            change(&mut told.so_far());
        }
    }
}

impl Told {
    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
