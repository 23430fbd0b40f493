#!/usr/bin/env python3
"""What Microsoft's exporter for Python sends for telemetry.json: makes golden.json, which host/src/telemetry/azure_monitor/golden.rs reads.

Made anew, outside of the repository, by:

    python3 -m venv /tmp/exporter && /tmp/exporter/bin/pip install azure-monitor-opentelemetry-exporter==1.0.0b58
    /tmp/exporter/bin/python tests/all/app_insights/golden.py

Times of telemetry.json are microseconds after 2026-11-25T22:04:05Z; ids are numbers. Nothing leaves the machine: the real
exporters send to a server in this process. What differs from machine to machine is replaced, long texts are told by
their beginning and length.
"""
import gzip
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

for name in ("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
             "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "APPLICATIONINSIGHTS_METRIC_NAMESPACE_OPT_IN"):
    os.environ[name] = "true"

from azure.monitor.opentelemetry.exporter import (  # noqa: E402
    AzureMonitorLogExporter, AzureMonitorMetricExporter, AzureMonitorTraceExporter)
from opentelemetry import _logs, trace  # noqa: E402
from opentelemetry.sdk._logs import ReadableLogRecord  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider  # noqa: E402
from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: E402

HERE = Path(__file__).parent
START = 1_795_644_245_000_000_000
LONG = 200
RECEIVED = []


class Ingestion(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        envelopes = json.loads(body)
        RECEIVED.extend(envelopes)
        answer = json.dumps({"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def at(microseconds):
    return START + microseconds * 1000


def attributes(of):
    def value(it):
        return it["repeat"] * it["times"] if isinstance(it, dict) else tuple(it) if isinstance(it, list) else it
    return {key: value(it) for key, it in of.items()}


def context(trace_id, span_id):
    return trace.SpanContext(trace_id, span_id, False, trace.TraceFlags(1))


def span(of, resource):
    status = {"ok": trace.StatusCode.OK, "unset": trace.StatusCode.UNSET}.get(of["status"] if isinstance(of["status"], str) else "")
    status = trace.Status(status) if status else trace.Status(trace.StatusCode.ERROR, of["status"]["error"])
    return ReadableSpan(
        name=of["name"], context=context(1, of["span"]), parent=context(1, of["parent"]) if of["parent"] else None,
        resource=resource, attributes=attributes(of["attributes"]),
        events=[Event(event["name"], attributes(event["attributes"]), at(event["at"])) for event in of.get("events", [])],
        links=[trace.Link(context(link["trace"], link["span"])) for link in of.get("links", [])],
        kind=trace.SpanKind[of["kind"].upper()], status=status, start_time=at(of["start"]), end_time=at(of["end"]),
        instrumentation_scope=InstrumentationScope("promptflow"))


def log(of, resource):
    record = _logs.LogRecord(
        timestamp=at(of["at"]), body=of["body"], severity_number=_logs.SeverityNumber(of["severity"]),
        attributes=attributes(of["attributes"]),
        context=trace.set_span_in_context(trace.NonRecordingSpan(context(of["trace"], of["span"]))) if "trace" in of else None)
    return ReadableLogRecord(record, resource, InstrumentationScope("weir"))


def metrics(of, exporter, resource):
    reader = InMemoryMetricReader(preferred_temporality=exporter._preferred_temporality)
    meter = MeterProvider([reader], resource).get_meter("promptflow standard metrics")
    for metric in of:
        instrument = getattr(meter, "create_" + metric["kind"])(metric["name"])
        put = {"histogram": "record", "gauge": "set"}.get(metric["kind"], "add")
        for value in metric["records"]:
            getattr(instrument, put)(value, metric["attributes"])
    exporter.export(reader.get_metrics_data())


def short(value):
    if isinstance(value, dict):
        return {key: short(it) for key, it in value.items()}
    if isinstance(value, list):
        return [short(it) for it in value]
    if isinstance(value, str) and len(value) > LONG:
        return f"{value[:8]}… {len(value)} characters"
    return value


def told(envelope):
    del envelope["iKey"]
    tags = envelope["tags"]
    for tag in ("ai.device.id", "ai.device.locale", "ai.internal.sdkVersion"):
        tags[tag] = "<machine>"
    if envelope["data"]["baseType"] == "MetricData":
        envelope["time"] = "<now>"
    return short(envelope)


def main():
    server = HTTPServer(("127.0.0.1", 0), Ingestion)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = {
        "connection_string": "InstrumentationKey=00000000-0000-0000-0000-0000000000aa;"
                             f"IngestionEndpoint=http://127.0.0.1:{server.server_port}",
        "disable_offline_storage": True,
    }
    telemetry = json.loads((HERE / "telemetry.json").read_text())
    resource = Resource(telemetry["resource"])
    result = {}

    def take(name):
        result[name] = [told(envelope) for envelope in RECEIVED]
        RECEIVED.clear()

    AzureMonitorTraceExporter(**options, tracer_provider=TracerProvider(resource=resource)).export(
        [span(of, resource) for of in telemetry["spans"]])
    take("spans")
    metrics(telemetry["metrics"], AzureMonitorMetricExporter(**options), resource)
    take("metrics")
    AzureMonitorLogExporter(**options).export([log(of, resource) for of in telemetry["logs"]])
    take("logs")
    (HERE / "golden.json").write_text(json.dumps(result, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    print({name: len(envelopes) for name, envelopes in result.items()})


if __name__ == "__main__":
    main()
