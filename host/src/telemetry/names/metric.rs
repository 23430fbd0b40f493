//! The instruments: what each counts, in which unit, and by which labels. Metrics are recorded under what stands here
//! and under nothing else; `tests/all/metrics.rs` compares this table with what a run exports and with the README.
//!
//! The first eight are prompt flow's; durations among them are in milliseconds, and they have no unit: the original
//! declares none, and one would rename them in Prometheus. What begins with `weir.` is ours.

use super::{attribute as a, dimension as d, semconv as s};

/// An instrument as it is promised.
#[derive(Debug)]
pub struct Instrument {
    pub name: &'static str,
    pub kind: Kind,
    /// By UCUM, as OpenTelemetry wants it; empty: none.
    pub unit: &'static str,
    /// The help text in Prometheus.
    pub meaning: &'static str,
    /// Labels that every point has.
    pub labels: &'static [&'static str],
    /// Labels that a point has if there is anything to say. The eight have the common dimensions as well.
    pub sometimes: &'static [&'static str],
    /// Bounds of a histogram's buckets.
    pub bounds: &'static [f64],
}

/// What kind of instrument it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Histogram,
    /// Goes up and down; of several hosts, the sum is of use.
    UpDownCounter,
    /// Goes up and down; a sum would mean nothing.
    Gauge,
}

pub const FLOW_REQUEST: &str = "flow_request";
pub const FLOW_LATENCY: &str = "flow_latency";
pub const FLOW_STREAMING_RESPONSE_DURATION: &str = "flow_streaming_response_duration";
pub const NODE_REQUEST: &str = "node_request";
pub const NODE_LATENCY: &str = "node_latency";
pub const RPC_REQUEST: &str = "rpc_request";
pub const RPC_LATENCY: &str = "rpc_latency";
pub const TOKEN_CONSUMPTION: &str = "token_consumption";

pub const HTTP_DURATION: &str = "http.server.request.duration";
pub const HTTP_ACTIVE: &str = "http.server.active_requests";
pub const GEN_AI_DURATION: &str = "gen_ai.client.operation.duration";
pub const GEN_AI_TOKENS: &str = "gen_ai.client.token.usage";
pub const GEN_AI_FIRST_CHUNK: &str = "gen_ai.client.operation.time_to_first_chunk";
pub const GEN_AI_CHUNK: &str = "gen_ai.client.operation.time_per_output_chunk";

pub const REQUEST_RUNNING: &str = "weir.request.running";
pub const REQUEST_WAITING: &str = "weir.request.waiting";
pub const REQUEST_LIMIT: &str = "weir.request.limit";
pub const REQUEST_REFUSED: &str = "weir.request.refused";
pub const CONNECTION_OPEN: &str = "weir.connection.open";
pub const CONNECTION_LIMIT: &str = "weir.connection.limit";
pub const CONNECTION_REFUSED: &str = "weir.connection.refused";
pub const MEMORY_USED: &str = "weir.memory.used";
pub const MEMORY_LIMIT: &str = "weir.memory.limit";
pub const LOG_LOST: &str = "weir.log.lost";
pub const INSTANCE_ACTIVE: &str = "weir.instance.active";
pub const INSTANCE_WAITING: &str = "weir.instance.waiting";
pub const INSTANCE_TAKEN: &str = "weir.instance.taken";
pub const INSTANTIATION_DURATION: &str = "weir.instantiation.duration";
pub const POOL_SLOT: &str = "weir.pool.slot";
pub const POOL_RESIDENT: &str = "weir.pool.resident";
pub const COMPILE_CACHE_LOOKUP: &str = "weir.compile.cache.lookup";
pub const NODE_MEMORY_PEAK: &str = "weir.node.memory.peak";
pub const NODE_CPU: &str = "weir.node.cpu.time";
pub const NODE_TRAP: &str = "weir.node.trap";
pub const CAPABILITY_DENIAL: &str = "weir.capability.denial";
pub const UPSTREAM_RETRY: &str = "weir.upstream.retry";
pub const UPSTREAM_UNASKED: &str = "weir.upstream.unasked";
pub const UPSTREAM_CIRCUIT: &str = "weir.upstream.circuit";
pub const FEEDBACK_PENDING: &str = "weir.feedback.pending";
/// Traces and spans of which tail sampling decided. Only if it is on.
pub const SAMPLING_TRACES: &str = "weir.sampling.traces";
pub const SAMPLING_SPANS: &str = "weir.sampling.spans";
pub const SAMPLING_DEMOTED: &str = "weir.sampling.demoted";
/// Of exporters that push: spans, points of metrics and log records.
pub const EXPORTER_SENT: &str = "weir.exporter.sent";
pub const EXPORTER_LOST: &str = "weir.exporter.lost";
pub const EXPORTER_RETRY: &str = "weir.exporter.retry";
pub const EXPORTER_RESTART: &str = "weir.exporter.restart";
pub const EXPORTER_WAITING: &str = "weir.exporter.waiting";
pub const EXPORTER_SPOOL: &str = "weir.exporter.spool";
pub const EXPORTER_AWAY: &str = "weir.exporter.away";
pub const UPTIME: &str = "process.uptime";
pub const BUILD: &str = "weir.build.info";

/// Bucket bounds of the latencies, in milliseconds. The original declares them and, by a slip of upper and lower
/// case, exports the SDK's instead, which end at ten seconds; flows take longer.
pub const LATENCY_BOUNDS: &[f64] = &[
    1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1_000.0, 2_500.0, 5_000.0, 7_500.0, 10_000.0,
    25_000.0, 50_000.0, 75_000.0, 100_000.0, 300_000.0,
];
/// Those of the HTTP conventions, in seconds.
pub const HTTP_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Those of the GenAI conventions for durations, of whole calls and of chunks: powers of two, in seconds.
pub const GEN_AI_DURATION_BOUNDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Those of the GenAI conventions for tokens: powers of four.
pub const GEN_AI_TOKEN_BOUNDS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// From a small component in a warm slot to a large one in a cold slot of a busy machine, in seconds.
pub const INSTANTIATION_BOUNDS: &[f64] =
    &[0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
/// From an answer without a thought to the most that a flow may ask for by default, in seconds.
pub const CPU_BOUNDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];
/// From one page of WebAssembly to the most that a flow may ask for, in bytes.
pub const MEMORY_BOUNDS: &[f64] = &[
    65_536.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
    536_870_912.0,
    1_073_741_824.0,
];

/// What was asked of a model, on all that is told of it.
const GEN_AI_SOMETIMES: &[&str] =
    &[s::PROVIDER, s::REQUEST_MODEL, s::RESPONSE_MODEL, s::SERVER_ADDRESS, s::SERVER_PORT];
/// The name of what is served, where it has one.
const SERVED: &[&str] = &[d::ENDPOINT, d::DEPLOYMENT];

/// Every instrument there is, but for those of the exporters themselves.
pub static ALL: &[Instrument] = &[
    ours(
        FLOW_REQUEST,
        Kind::Counter,
        "Requests to /score that reached a flow's deployment, by how they were answered.",
        &[d::FLOW, d::RESPONSE_CODE, d::EXCEPTION, d::STREAMING],
    ),
    latency(
        FLOW_LATENCY,
        "Time from the arrival of a request to its whole answer, or to the first or last byte of a stream, in ms.",
        &[d::FLOW, d::RESPONSE_CODE, d::STREAMING, d::RESPONSE_TYPE],
    ),
    latency(
        FLOW_STREAMING_RESPONSE_DURATION,
        "Time from the first to the last byte of a stream that came to its end, in ms.",
        &[d::FLOW],
    ),
    ours(
        NODE_REQUEST,
        Kind::Counter,
        "Runs of nodes, and decisions not to run them, by how they ended.",
        &[d::FLOW, d::NODE, d::RUN_STATUS, d::EXCEPTION],
    ),
    latency(NODE_LATENCY, "Time that runs of nodes took, in ms.", &[d::FLOW, d::NODE, d::RUN_STATUS]),
    ours(
        RPC_REQUEST,
        Kind::Counter,
        "Calls of nodes to the host, by how they ended.",
        &[d::FLOW, d::NODE, d::API_CALL, d::EXCEPTION],
    ),
    latency(RPC_LATENCY, "Time that calls of nodes to the host took, in ms.", &[d::FLOW, d::NODE, d::API_CALL]),
    ours(
        TOKEN_CONSUMPTION,
        Kind::Counter,
        "Tokens that calls of models used up, as their services counted them.",
        &[d::FLOW, d::NODE, d::LLM_ENGINE, d::TOKEN_TYPE],
    ),
    Instrument {
        sometimes: &[s::HTTP_ROUTE, s::HTTP_STATUS, s::ERROR_TYPE],
        ..histogram(
            HTTP_DURATION,
            "s",
            "Time from the arrival of a request on the public listener to the last byte of its answer.",
            &[s::HTTP_METHOD, s::URL_SCHEME, s::PROTOCOL_VERSION],
            HTTP_BOUNDS,
        )
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(
            HTTP_ACTIVE,
            "{request}",
            "Requests on the public listener that are being answered.",
            &[s::HTTP_METHOD, s::URL_SCHEME],
        )
    },
    Instrument {
        sometimes: &[
            s::PROVIDER,
            s::REQUEST_MODEL,
            s::RESPONSE_MODEL,
            s::SERVER_ADDRESS,
            s::SERVER_PORT,
            s::ERROR_TYPE,
        ],
        ..histogram(GEN_AI_DURATION, "s", "Time that calls of models took.", &[s::OPERATION], GEN_AI_DURATION_BOUNDS)
    },
    Instrument {
        sometimes: GEN_AI_SOMETIMES,
        ..histogram(
            GEN_AI_TOKENS,
            "{token}",
            "Tokens of a call of a model, in and out.",
            &[s::OPERATION, s::TOKEN_TYPE],
            GEN_AI_TOKEN_BOUNDS,
        )
    },
    Instrument {
        sometimes: GEN_AI_SOMETIMES,
        ..histogram(
            GEN_AI_FIRST_CHUNK,
            "s",
            "Time from the call of a model that streams to its first chunk.",
            &[s::OPERATION],
            GEN_AI_DURATION_BOUNDS,
        )
    },
    Instrument {
        sometimes: GEN_AI_SOMETIMES,
        ..histogram(
            GEN_AI_CHUNK,
            "s",
            "Time from one chunk of a model's stream to the next.",
            &[s::OPERATION],
            GEN_AI_DURATION_BOUNDS,
        )
    },
    Instrument {
        kind: Kind::UpDownCounter,
        sometimes: SERVED,
        ..counter(REQUEST_RUNNING, "{request}", "Requests to /score that have a place and run.", &[d::FLOW])
    },
    Instrument {
        kind: Kind::UpDownCounter,
        sometimes: SERVED,
        ..counter(REQUEST_WAITING, "{request}", "Requests to /score that wait for a place.", &[d::FLOW])
    },
    Instrument {
        kind: Kind::UpDownCounter,
        sometimes: SERVED,
        ..counter(REQUEST_LIMIT, "{request}", "Requests to /score that may run at the same time.", &[d::FLOW])
    },
    Instrument {
        sometimes: SERVED,
        ..counter(
            REQUEST_REFUSED,
            "{request}",
            "Requests to /score that were refused before their flow ran, by reason.",
            &[d::FLOW, d::REASON],
        )
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(CONNECTION_OPEN, "{connection}", "Connections that clients have open.", &[d::LISTENER])
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(CONNECTION_LIMIT, "{connection}", "Connections that clients may have open.", &[d::LISTENER])
    },
    counter(CONNECTION_REFUSED, "{connection}", "Connections that were closed for want of a place.", &[d::LISTENER]),
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(MEMORY_USED, "By", "Memory that the host takes, or all that runs in its cgroup.", &[])
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(MEMORY_LIMIT, "By", "How much of it there may be; 0: there is no limit.", &[])
    },
    counter(LOG_LOST, "{line}", "Lines of the host's log that were not written, since nobody read them.", &[]),
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(INSTANCE_ACTIVE, "{instance}", "Instances of components that live at the moment.", &[])
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(
            INSTANCE_WAITING,
            "{instance}",
            "Those of them that wait for a run of their node: made ahead of it, or left by an earlier one.",
            &[],
        )
    },
    counter(
        INSTANCE_TAKEN,
        "{run}",
        "Runs of nodes whose instance was there: fresh and made `ahead`, or `reused`.",
        &[d::FLOW, d::NODE, d::KIND],
    ),
    histogram(
        INSTANTIATION_DURATION,
        "s",
        "Time that it took to make a fresh instance for a run of a node.",
        &[d::FLOW, d::NODE],
        INSTANTIATION_BOUNDS,
    ),
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(POOL_SLOT, "{slot}", "Slots of the pool of instances.", &[d::RESOURCE, d::STATE])
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(POOL_RESIDENT, "By", "Memory that free slots of the pool keep, so that the next run is fast.", &[])
    },
    counter(
        COMPILE_CACHE_LOOKUP,
        "{lookup}",
        "Components that were loaded, by whether they were in the compile cache.",
        &[d::RESULT],
    ),
    histogram(
        NODE_MEMORY_PEAK,
        "By",
        "The most linear memory that a run of a node had.",
        &[d::FLOW, d::NODE],
        MEMORY_BOUNDS,
    ),
    histogram(
        NODE_CPU,
        "s",
        "Time that a run of a node was on a processor, its own and that of host functions that do not wait.",
        &[d::FLOW, d::NODE],
        CPU_BOUNDS,
    ),
    counter(NODE_TRAP, "{trap}", "Runs of nodes that the sandbox ended, by kind.", &[d::FLOW, d::NODE, d::KIND]),
    counter(
        CAPABILITY_DENIAL,
        "{call}",
        "Calls of nodes to what their flow does not grant.",
        &[d::FLOW, d::NODE, d::CAPABILITY],
    ),
    Instrument {
        sometimes: SERVED,
        ..counter(
            UPSTREAM_RETRY,
            "{call}",
            "Calls of a connection's service that failed and were made again, by failure.",
            &[d::FLOW, d::CONNECTION, d::EXCEPTION],
        )
    },
    Instrument {
        sometimes: SERVED,
        ..counter(
            UPSTREAM_UNASKED,
            "{call}",
            "Calls of a connection's service that were not made, by reason.",
            &[d::FLOW, d::CONNECTION, d::REASON],
        )
    },
    Instrument {
        kind: Kind::UpDownCounter,
        sometimes: SERVED,
        ..counter(
            UPSTREAM_CIRCUIT,
            "{circuit}",
            "Whether the circuit breaker of a connection is in the state: 1, else 0.",
            &[d::FLOW, d::CONNECTION, d::STATE],
        )
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(FEEDBACK_PENDING, "{feedback}", "Feedback that is accepted and not yet delivered.", &[])
    },
    counter(SAMPLING_TRACES, "{trace}", "Traces of which tail sampling has decided.", &[a::SAMPLING_DECISION]),
    counter(SAMPLING_SPANS, "{span}", "Spans of which tail sampling has decided.", &[a::SAMPLING_DECISION]),
    counter(
        SAMPLING_DEMOTED,
        "{trace}",
        "Traces that their caller records and of which the sampler decided: more than may be forced.",
        &[],
    ),
    counter(EXPORTER_SENT, "{item}", "Spans, points and log records that a destination has taken.", EXPORTED),
    Instrument {
        labels: &[d::EXPORTER, d::SIGNAL, d::REASON],
        ..counter(EXPORTER_LOST, "{item}", "The same that are given up for good, by reason.", EXPORTED)
    },
    counter(EXPORTER_RETRY, "{attempt}", "Attempts to send that failed and were repeated.", EXPORTED),
    counter(EXPORTER_RESTART, "{restart}", "Times that an exporter broke and was started again.", EXPORTED),
    Instrument {
        kind: Kind::UpDownCounter,
        labels: &[d::EXPORTER, d::SIGNAL, d::PLACE],
        ..counter(EXPORTER_WAITING, "{item}", "Spans, points and log records that wait to be sent.", EXPORTED)
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(EXPORTER_SPOOL, "By", "What those of them take that wait in the data directory.", EXPORTED)
    },
    Instrument {
        kind: Kind::UpDownCounter,
        ..counter(EXPORTER_AWAY, "{exporter}", "Whether the destination takes nothing: 1, else 0.", EXPORTED)
    },
    Instrument { kind: Kind::Gauge, ..counter(UPTIME, "s", "Time since the host started.", &[]) },
    Instrument { kind: Kind::Gauge, ..counter(BUILD, "", "Always 1; which host it is.", &[d::VERSION]) },
];

/// Of every point of an exporter.
const EXPORTED: &[&str] = &[d::EXPORTER, d::SIGNAL];

/// The instrument of this name.
///
/// # Panics
/// If there is none: names are those of this file.
pub(in crate::telemetry) fn of(name: &str) -> &'static Instrument {
    ALL.iter().find(|it| it.name == name).expect("every name of this file is in its table")
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    labels: &'static [&'static str],
) -> Instrument {
    Instrument { name, kind: Kind::Counter, unit, meaning, labels, sometimes: &[], bounds: &[] }
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
) -> Instrument {
    Instrument { name, kind: Kind::Histogram, unit, meaning, labels, sometimes: &[], bounds }
}

/// One of prompt flow's.
const fn ours(name: &'static str, kind: Kind, meaning: &'static str, labels: &'static [&'static str]) -> Instrument {
    Instrument { name, kind, unit: "", meaning, labels, sometimes: SERVED, bounds: &[] }
}

const fn latency(name: &'static str, meaning: &'static str, labels: &'static [&'static str]) -> Instrument {
    Instrument { bounds: LATENCY_BOUNDS, ..ours(name, Kind::Histogram, meaning, labels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_stands_once_and_has_a_meaning() {
        for (at, instrument) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|it| it.name != instrument.name), "{}", instrument.name);
            assert!(instrument.meaning.ends_with('.'), "{}", instrument.name);
            assert_eq!(instrument.kind == Kind::Histogram, !instrument.bounds.is_empty(), "{}", instrument.name);
            assert!(instrument.bounds.is_sorted(), "{}", instrument.name);
        }
    }
}
