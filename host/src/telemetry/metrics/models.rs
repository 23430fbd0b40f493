//! What the GenAI conventions want to know of calls of models.

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::{Metrics, histogram, whole_histogram};
use crate::telemetry::content::{LABEL_BYTES, cut};
use crate::telemetry::names::{metric, semconv};
use crate::telemetry::spans::Server;
use crate::telemetry::usage::Tokens;

/// The instruments.
#[derive(Clone, Debug)]
pub(super) struct Models {
    duration: Histogram<f64>,
    tokens: Histogram<u64>,
    first_chunk: Histogram<f64>,
    chunk: Histogram<f64>,
}

/// A call of a model that is going on. Its labels are made once, however many chunks come.
#[derive(Debug)]
pub(in crate::telemetry) struct ModelCall {
    labels: Vec<KeyValue>,
    began: Instant,
    last_chunk: Option<Instant>,
}

impl Models {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            duration: histogram(meter, metric::GEN_AI_DURATION),
            tokens: whole_histogram(meter, metric::GEN_AI_TOKENS),
            first_chunk: histogram(meter, metric::GEN_AI_FIRST_CHUNK),
            chunk: histogram(meter, metric::GEN_AI_CHUNK),
        }
    }
}

impl Metrics {
    /// A call that begins now.
    pub(in crate::telemetry) fn model_call(
        &self,
        operation: &'static str,
        provider: &str,
        model: &str,
        server: Option<&Server>,
    ) -> ModelCall {
        let mut labels = vec![KeyValue::new(semconv::OPERATION, operation)];
        if !provider.is_empty() {
            labels.push(KeyValue::new(semconv::PROVIDER, cut(provider, LABEL_BYTES).to_owned()));
        }
        if !model.is_empty() {
            labels.push(KeyValue::new(semconv::REQUEST_MODEL, self.names.models.told(model)));
        }
        // From a connection, which the operator has written.
        if let Some(Server { address, port }) = server.filter(|server| !server.address.is_empty()) {
            labels.push(KeyValue::new(semconv::SERVER_ADDRESS, cut(address, LABEL_BYTES).to_owned()));
            labels.extend(port.map(|port| KeyValue::new(semconv::SERVER_PORT, i64::from(port))));
        }
        ModelCall { labels, began: Instant::now(), last_chunk: None }
    }

    /// A chunk of its answer is there.
    pub(in crate::telemetry) fn model_chunk(&self, call: &mut ModelCall) {
        let now = Instant::now();
        let (instrument, since) = match call.last_chunk.replace(now) {
            None => (&self.models.first_chunk, call.began),
            Some(last) => (&self.models.chunk, last),
        };
        instrument.record(now.duration_since(since).as_secs_f64(), &call.labels);
    }

    /// It has ended: what it spent, if that is known, and the model that answered.
    pub(in crate::telemetry) fn model_called(
        &self,
        mut call: ModelCall,
        answered_by: &str,
        tokens: Option<Tokens>,
        error: Option<&str>,
        took: Duration,
    ) {
        let labels = &mut call.labels;
        if !answered_by.is_empty() {
            labels.push(KeyValue::new(semconv::RESPONSE_MODEL, self.names.answered.told(answered_by)));
        }
        for (token_type, count) in tokens.iter().flat_map(|it| [("input", it.prompt), ("output", it.completion)]) {
            if count > 0 {
                labels.push(KeyValue::new(semconv::TOKEN_TYPE, token_type));
                self.models.tokens.record(count, labels);
                labels.pop();
            }
        }
        labels.extend(error.map(|code| KeyValue::new(semconv::ERROR_TYPE, self.names.exceptions.told(code))));
        self.models.duration.record(took.as_secs_f64(), labels);
    }
}
