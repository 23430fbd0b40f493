//! What is sent at once, to whom, and what may become of it.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::SpanData;

/// What encoders aim at, in bytes of a parcel's body: within the 4 MiB that gRPC servers take by default. A single item
/// may be larger.
pub(crate) const PARCEL_BYTES: usize = 1024 * 1024;

/// Parcels on their way at once, at most. Between regions an answer takes a tenth of a second, and a parcel holds 512 spans.
pub(crate) const FLIGHTS: usize = 4;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// One request to a destination, as its body will be, but for compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub signal: Signal,
    /// Spans, points of metrics or log records, or what a destination makes of them: what is counted when it is lost.
    pub items: u32,
    pub body: Bytes,
}

/// A log record and who made it.
pub(crate) type Log = (SdkLogRecord, InstrumentationScope);

/// What became of a parcel that was sent once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, but for `rejected` of its items, which will never be taken.
    Taken {
        rejected: u32,
        /// Why some were rejected; else empty.
        why: String,
    },
    /// Not now: the destination is away, slow or overloaded. `after`: it asked for at least this pause.
    Later { after: Option<Duration>, why: String },
    /// These are not taken yet, all others are, but for `rejected`.
    Partly { again: Vec<Parcel>, rejected: u32, after: Option<Duration>, why: String },
    /// It is more than the destination takes at once.
    TooLarge { why: String },
    /// It will never be taken.
    Refused { why: String },
}

impl Outcome {
    /// What the destination said, for people.
    pub fn why_mut(&mut self) -> &mut String {
        let (Self::Taken { why, .. }
        | Self::Later { why, .. }
        | Self::Partly { why, .. }
        | Self::TooLarge { why }
        | Self::Refused { why }) = self;
        why
    }
}

/// Makes parcels of what has ended. Must not lose or change anything that the destination can take; what it cannot take is
/// cut, not left out. Borrowed, so that a batch in which one item makes an encoder panic can be tried item by item.
pub(crate) trait Encode: Debug + Send + Sync + 'static {
    fn spans(&self, spans: &[SpanData]) -> Vec<Parcel>;
    fn metrics(&self, metrics: &ResourceMetrics) -> Vec<Parcel>;
    fn logs(&self, logs: &[Log]) -> Vec<Parcel>;
}

/// Sends parcels.
pub(crate) trait Transmit: Debug + Send + Sync + 'static {
    /// Sends it once; ends by itself within the exporter's timeout. Called on the runtime of telemetry, for up to
    /// [`FLIGHTS`] parcels at once.
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Outcome>;

    /// The same items in two parcels of about half as many; none, if it has one item or cannot be read.
    fn halve(&self, parcel: &Parcel) -> Option<[Parcel; 2]>;
}

/// Where one exporter sends: its two halves.
pub(crate) trait Destination: Encode + Transmit {}

impl<D: Encode + Transmit> Destination for D {}
