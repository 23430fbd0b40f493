//! Log records: what the host logs, what guests write, and what people judge, each with the span that it belongs to.
//!
//! The host's own log is that of the `tracing` crate. It goes to standard error, and from there nowhere else; with an
//! exporter of logs it becomes records as well (bridge.rs). Lines of guests are records of their node's span (guest.rs), and
//! an evaluation is a record beside the feedback it was read from (evaluation.rs).
//!
//! Which span that is, the doors say: they attach their context to what runs behind them, for the time that it runs
//! ([`opentelemetry::context::FutureExt`]). Only logs look there. A span's parent is always named.

mod bridge;
mod draft;
mod evaluation;
mod guest;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::{Array, InstrumentationScope, Key, Value};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::content::marked;
use super::{Config, Redactor, names};

pub use bridge::HostLog;
pub(super) use evaluation::evaluation;
pub(super) use guest::{GuestLines, GuestLog};

/// Longest text of a record, its body or the value of an attribute, in bytes. Application Insights keeps no more of one.
const TEXT_BYTES: usize = 8 * 1024;

/// By which records are told. The standard's limits of attributes are kept further on: see exporters/builder.rs.
#[derive(Clone, Debug)]
pub(super) struct Told {
    logger: SdkLogger,
    redactor: Redactor,
}

impl Told {
    /// The host's own log.
    pub(super) fn of_host(provider: &SdkLoggerProvider, config: &Config) -> Self {
        let scope = InstrumentationScope::builder(names::CONVENTIONS_METER).with_version(env!("CARGO_PKG_VERSION"));
        Self::by(provider.logger_with_scope(scope.build()), config)
    }

    fn by(logger: SdkLogger, config: &Config) -> Self {
        Self { logger, redactor: config.redactor.clone() }
    }

    fn record(&self) -> SdkLogRecord {
        self.logger.create_log_record()
    }

    /// A text as it may be told: masked, and then cut, since half of a secret is a secret.
    fn text(&self, text: &str) -> AnyValue {
        AnyValue::String(marked(&self.redactor, text, TEXT_BYTES).into())
    }

    fn emit<K: Into<Key>>(&self, mut record: SdkLogRecord, attributes: Vec<(K, AnyValue)>) {
        record.add_attributes(attributes);
        self.logger.emit(record);
    }
}

/// The value of an attribute of a span as that of a record.
fn any(value: &Value) -> AnyValue {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::I64(integer) => (*integer).into(),
        Value::F64(double) => (*double).into(),
        Value::String(text) => text.clone().into(),
        Value::Array(Array::Bool(values)) => values.iter().copied().collect(),
        Value::Array(Array::I64(values)) => values.iter().copied().collect(),
        Value::Array(Array::F64(values)) => values.iter().copied().collect(),
        Value::Array(Array::String(values)) => values.iter().cloned().collect(),
        // What OpenTelemetry may add.
        other => other.to_string().into(),
    }
}
