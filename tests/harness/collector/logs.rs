//! Log records as plain values.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1 as otlp;
use serde_json::Value;

use super::spans::{attributes, hex, value};

/// A log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Empty if it has none.
    pub event: String,
    /// Such as `WARN`.
    pub severity: String,
    pub body: Value,
    /// 32 hex digits; empty: it was written outside of any span.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    pub attributes: BTreeMap<String, Value>,
    /// Attributes of the resource, such as `service.name`.
    pub resource: BTreeMap<String, Value>,
    /// Name of the scope.
    pub scope: String,
}

pub(super) fn read(export: ExportLogsServiceRequest) -> Vec<Log> {
    let mut logs = Vec::new();
    for of_resource in export.resource_logs {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        for of_scope in of_resource.scope_logs {
            let scope = of_scope.scope.unwrap_or_default().name;
            logs.extend(of_scope.log_records.into_iter().map(|record| one(record, &resource, &scope)));
        }
    }
    logs
}

fn one(record: otlp::LogRecord, resource: &BTreeMap<String, Value>, scope: &str) -> Log {
    Log {
        event: record.event_name,
        severity: record.severity_text,
        body: value(record.body),
        trace_id: hex(&record.trace_id),
        span_id: hex(&record.span_id),
        attributes: attributes(record.attributes),
        resource: resource.clone(),
        scope: scope.to_owned(),
    }
}
