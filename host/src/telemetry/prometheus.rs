//! Metrics for Prometheus, which comes and reads them: see server/scrape.rs.
//!
//! What is read is made when it is asked for, on the thread of whoever asks. Readers wait for each other; whoever records
//! does not wait for them. No labels of the scope: they would make new series with every version of weir, and the names
//! of metrics are all different.

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};

use super::Telemetry;

/// The content type of what is read.
pub const SCRAPE_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the metrics of one host are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrape(Registry);

impl Scrape {
    /// With the reader that fills it.
    ///
    /// # Errors
    /// None that is known: the registry is new.
    pub(super) fn start() -> Result<(Self, PrometheusExporter), opentelemetry_sdk::error::OTelSdkError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        Ok((Self(registry), reader.build()?))
    }

    fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be told to Prometheus");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Telemetry {
    /// All metrics as Prometheus reads them; none if it is not to. Takes some milliseconds of the thread.
    pub fn scrape(&self) -> Option<String> {
        self.0.exporters.scrape.as_ref().map(Scrape::text)
    }
}
