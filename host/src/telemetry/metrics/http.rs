//! Requests on the public listener, whatever their route, as the stable HTTP conventions want them measured. DOOR 1.

use std::time::Instant;

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, StringValue};

use super::{histogram, up_down_counter};
use crate::telemetry::Telemetry;
use crate::telemetry::names::{metric, semconv, value};
use crate::telemetry::spans::request::known_method;

/// The instruments.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Http {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

/// A request that is being answered. Dropped without an end: its client went away.
#[derive(Debug)]
pub struct HttpRequestTimer {
    http: Http,
    method: &'static str,
    version: &'static str,
    began: Instant,
    ended: bool,
}

impl Http {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { duration: histogram(meter, metric::HTTP_DURATION), active: up_down_counter(meter, metric::HTTP_ACTIVE) }
    }
}

impl Telemetry {
    /// A request has arrived. `version` is that of HTTP, such as `1.1`.
    pub fn http_request(&self, method: &str, version: &'static str) -> HttpRequestTimer {
        let http = self.metrics().http.clone();
        let method = known_method(method);
        let timer = HttpRequestTimer { http, method, version, began: Instant::now(), ended: false };
        timer.http.active.add(1, &timer.labels());
        timer
    }
}

impl HttpRequestTimer {
    /// The last byte of the answer has left. `route` is none for a path that nobody serves.
    pub fn finish(mut self, route: Option<&'static str>, status: u16) {
        let error = (status >= 500).then(|| super::response_code(status));
        self.end(route, Some(status), error);
    }

    /// The client went away; with the status, if it had been sent.
    pub fn give_up(mut self, route: Option<&'static str>, status: Option<u16>) {
        self.end(route, status, Some(value::CLIENT_DISCONNECT.into()));
    }

    fn end(&mut self, route: Option<&'static str>, status: Option<u16>, error: Option<StringValue>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let [method, scheme] = self.labels();
        self.http.active.add(-1, &[method.clone(), scheme.clone()]);
        let mut labels = Vec::with_capacity(6);
        labels.extend([method, scheme, KeyValue::new(semconv::PROTOCOL_VERSION, self.version)]);
        labels.extend(route.map(|route| KeyValue::new(semconv::HTTP_ROUTE, route)));
        labels.extend(status.map(|status| KeyValue::new(semconv::HTTP_STATUS, i64::from(status))));
        labels.extend(error.map(|error| KeyValue::new(semconv::ERROR_TYPE, error)));
        self.http.duration.record(self.began.elapsed().as_secs_f64(), &labels);
    }

    /// Who ends TLS in front of us is not known here.
    fn labels(&self) -> [KeyValue; 2] {
        [KeyValue::new(semconv::HTTP_METHOD, self.method), KeyValue::new(semconv::URL_SCHEME, "http")]
    }
}

impl Drop for HttpRequestTimer {
    fn drop(&mut self) {
        self.end(None, None, Some(value::CLIENT_DISCONNECT.into()));
    }
}
