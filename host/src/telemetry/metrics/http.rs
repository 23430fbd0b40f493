//! Requests on the public listener, whatever their route, as the stable HTTP conventions want them measured. DOOR 1.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, StringValue};

use super::usual::OfHttp;
use super::{histogram, up_down_counter};
use crate::telemetry::Telemetry;
use crate::telemetry::names::{metric, semconv, value};
use crate::telemetry::spans::request::known_method;

/// The instruments.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Http {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    /// Found already.
    usual: Arc<OfHttp>,
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
        let (duration, active) = (histogram(meter, metric::HTTP_DURATION), up_down_counter(meter, metric::HTTP_ACTIVE));
        Self { duration, active, usual: Arc::default() }
    }
}

impl Telemetry {
    /// A request has arrived. `version` is that of HTTP, such as `1.1`.
    pub fn http_request(&self, method: &str, version: &'static str) -> HttpRequestTimer {
        let http = self.metrics().http.clone();
        let method = known_method(method);
        let timer = HttpRequestTimer { http, method, version, began: Instant::now(), ended: false };
        timer.active(1);
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
        self.active(-1);
        let is_usual = (self.method, self.version, route, status) == ("POST", "1.1", Some("/score"), Some(200));
        let is_usual = is_usual && error.is_none();
        let labels = || {
            let mut labels = Vec::with_capacity(6);
            labels.extend(self.labels());
            labels.push(KeyValue::new(semconv::PROTOCOL_VERSION, self.version));
            labels.extend(route.map(|route| KeyValue::new(semconv::HTTP_ROUTE, route)));
            labels.extend(status.map(|status| KeyValue::new(semconv::HTTP_STATUS, i64::from(status))));
            labels.extend(error.map(|error| KeyValue::new(semconv::ERROR_TYPE, error)));
            labels
        };
        let (http, took) = (&self.http, self.began.elapsed().as_secs_f64());
        match is_usual {
            true => http.usual.duration.get_or_init(|| http.duration.bind(&labels())).record(took),
            false => http.duration.record(took, &labels()),
        }
    }

    /// There is one more that is being answered, or one less.
    fn active(&self, change: i64) {
        let active = &self.http.active;
        match self.method {
            "POST" => self.http.usual.active.get_or_init(|| active.bind(&self.labels())).add(change),
            _ => active.add(change, &self.labels()),
        }
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
