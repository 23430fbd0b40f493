//! Is what is promised of metrics what a run exports, and what the README says? The promise is
//! `host/src/telemetry/names/metric.rs`.

pub(crate) mod promised;
mod recorded;
