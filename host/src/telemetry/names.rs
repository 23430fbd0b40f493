//! Every name under which weir tells something: spans, attributes, events, instruments, dimensions and their values.
//!
//! This is a contract with dashboards and alerts. Adding or renaming one is a change of the README's tables and of the
//! changelog. Prompt flow's names are those of its serving extension; `gen_ai.*` and the HTTP names are OpenTelemetry's
//! semantic conventions 1.41.1, the last release before the GenAI names began to move. Which span carries what is
//! decided in spans.rs, not here.

pub mod code;
pub mod metric;

/// Tracer name. Prompt flow's own, so that filters on it keep working.
pub const TRACER: &str = "promptflow";

/// Meter name of the eight metrics, in the spelling of the article, which is also their Azure Monitor namespace. The
/// original's code says `Promptflow Standard Metrics`; Azure compares without case, so both find them.
pub const METER: &str = "promptflow standard metrics";

/// Meter name of the metrics that OpenTelemetry's conventions define.
pub const CONVENTIONS_METER: &str = "weir";

/// The conventions that the names follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.1";

/// `service.name`, unless the environment says otherwise.
pub const SERVICE: &str = "promptflow";

/// Names of spans that do not bear the name of something the user wrote.
///
/// A flow span bears the flow's name, a node span the node's, an rpc span that of the call, such as `openai_chat`; a
/// request span is `METHOD ROUTE`.
pub mod span {
    pub const FEEDBACK: &str = "promptflow-feedback";
}

/// Attributes that prompt flow sets.
pub mod attribute {
    /// Always `promptflow`.
    pub const FRAMEWORK: &str = "framework";
    /// `Flow`, `Function`, `LLM` or `Embedding`.
    pub const SPAN_TYPE: &str = "span_type";
    pub const FUNCTION: &str = "function";
    pub const NODE_NAME: &str = "node_name";
    /// What kind of flow is executed: `dag`, `flex` or `prompty`.
    pub const EXECUTION_TARGET: &str = "execution_target";
    /// The caller's request id, else a fresh UUID.
    pub const LINE_RUN_ID: &str = "line_run_id";
    /// Only if the caller sent an id.
    pub const REQUEST_ID: &str = "request_id";
    /// JSON text.
    pub const INPUTS: &str = "inputs";
    /// JSON text; of a stream, the array of all chunks.
    pub const OUTPUT: &str = "output";
    /// `iterated`, on spans whose output was a stream.
    pub const OUTPUT_TYPE: &str = "output_type";
    pub const PROMPT_TEMPLATE: &str = "prompt.template";
    /// JSON object of the variables that the template uses.
    pub const PROMPT_VARIABLES: &str = "prompt.variables";
    pub const LLM_RESPONSE_MODEL: &str = "llm.response.model";
    /// JSON of the first choice's message, or its text.
    pub const LLM_GENERATED_MESSAGE: &str = "llm.generated_message";
    pub const LLM_PROMPT_TOKENS: &str = "llm.usage.prompt_tokens";
    pub const LLM_COMPLETION_TOKENS: &str = "llm.usage.completion_tokens";
    pub const LLM_TOTAL_TOKENS: &str = "llm.usage.total_tokens";
    /// Tokens of this call or of all calls below this span. The original loses the first two of these three.
    pub const CUMULATIVE_PROMPT: &str = "__computed__.cumulative_token_count.prompt";
    pub const CUMULATIVE_COMPLETION: &str = "__computed__.cumulative_token_count.completion";
    pub const CUMULATIVE_TOTAL: &str = "__computed__.cumulative_token_count.total";
    pub const EMBEDDINGS: &str = "embedding.embeddings";
    /// Of an event: the same JSON text that is the span's attribute.
    pub const PAYLOAD: &str = "payload";
    /// Family of what nodes tell by `log-metric`: `metrics.NAME`, a number.
    pub const METRICS: &str = "metrics";
    /// Notes of a guest that were over their bounds.
    pub const NOTES_LEFT_OUT: &str = "weir.notes_left_out";
    /// Of a `log` event, and the last of a log record of a guest.
    pub const LOG_SEVERITY: &str = "log.severity";
    pub const LOG_MESSAGE: &str = "log.message";
    pub const LOG_CONTEXT: &str = "log.context";
    /// What a person said, as it came; what does not fit goes on in `feedback.1`, `feedback.2` and so on.
    pub const FEEDBACK: &str = "feedback";
    /// The same each time a feedback is delivered.
    pub const FEEDBACK_ID: &str = "feedback.id";
    /// Of what tail sampling kept by its share, in percent. Inside the host: Application Insights has a field for it, OTLP
    /// the trace state.
    pub const SAMPLE_RATE: &str = "_MS.sampleRate";
    /// Why tail sampling kept a trace, or did not: `error`, `slow`, `feedback`, `ratio`, `dropped` or `overflow`.
    pub const SAMPLING_DECISION: &str = "weir.sampling.decision";
    /// How many keys of a flattened feedback were left out.
    pub const FEEDBACK_TRUNCATED: &str = "feedback.truncated_keys";
}

/// Attributes of OpenTelemetry's conventions.
pub mod semconv {
    pub const ERROR_TYPE: &str = "error.type";
    pub const EXCEPTION_TYPE: &str = "exception.type";
    pub const EXCEPTION_MESSAGE: &str = "exception.message";
    pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";

    /// Where in the source of the host a line of its log was written.
    pub const CODE_FILE_PATH: &str = "code.file.path";
    pub const CODE_LINE_NUMBER: &str = "code.line.number";

    pub const HTTP_METHOD: &str = "http.request.method";
    pub const HTTP_ROUTE: &str = "http.route";
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// Without the query, which may hold keys and what people wrote.
    pub const URL_FULL: &str = "url.full";
    pub const URL_PATH: &str = "url.path";
    pub const URL_SCHEME: &str = "url.scheme";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const CLIENT_ADDRESS: &str = "client.address";
    pub const USER_AGENT: &str = "user_agent.original";
    pub const PROTOCOL_VERSION: &str = "network.protocol.version";

    pub const OPERATION: &str = "gen_ai.operation.name";
    pub const PROVIDER: &str = "gen_ai.provider.name";
    pub const WORKFLOW: &str = "gen_ai.workflow.name";
    pub const TOOL_NAME: &str = "gen_ai.tool.name";
    pub const TOOL_TYPE: &str = "gen_ai.tool.type";
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";
    pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
    pub const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
    pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    pub const REQUEST_SEED: &str = "gen_ai.request.seed";
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    pub const EVALUATION_NAME: &str = "gen_ai.evaluation.name";
    pub const EVALUATION_SCORE: &str = "gen_ai.evaluation.score.value";
    pub const EVALUATION_LABEL: &str = "gen_ai.evaluation.score.label";
    pub const EVALUATION_EXPLANATION: &str = "gen_ai.evaluation.explanation";
}

/// Span events. Each says again what an attribute says, because prompt flow's tools read one or the other.
pub mod event {
    pub const INPUTS: &str = "promptflow.function.inputs";
    pub const OUTPUT: &str = "promptflow.function.output";
    pub const PROMPT_TEMPLATE: &str = "promptflow.prompt.template";
    pub const GENERATED_MESSAGE: &str = "promptflow.llm.generated_message";
    pub const EMBEDDINGS: &str = "promptflow.embedding.embeddings";
    pub const EXCEPTION: &str = "exception";
    /// A line that a guest logged.
    pub const LOG: &str = "log";
    /// Of a feedback that can be read as a score.
    pub const EVALUATION: &str = "gen_ai.evaluation.result";
}

/// Dimensions of prompt flow's eight metrics, and then labels of our own.
pub mod dimension {
    /// The name of the flow's folder.
    pub const FLOW: &str = "flow";
    pub const NODE: &str = "node";
    /// The HTTP status as text; `499` if the client went away.
    pub const RESPONSE_CODE: &str = "response_code";
    /// `True` or `False`.
    pub const STREAMING: &str = "streaming";
    /// `default`, `firstbyte` or `lastbyte`.
    pub const RESPONSE_TYPE: &str = "response_type";
    /// The code of the innermost error, or empty.
    pub const EXCEPTION: &str = "exception";
    /// `Completed`, `Failed`, `Canceled` or `Bypassed`.
    pub const RUN_STATUS: &str = "run_status";
    /// The rpc span's name.
    pub const API_CALL: &str = "api_call";
    /// The model or deployment that was asked for.
    pub const LLM_ENGINE: &str = "llm_engine";
    /// `prompt_tokens`, `completion_tokens` or `total_tokens`.
    pub const TOKEN_TYPE: &str = "token_type";
    /// Name of the endpoint that is served, and of the deployment that answered. Only if they have names.
    pub const ENDPOINT: &str = "endpoint";
    pub const DEPLOYMENT: &str = "deployment";

    /// Why telemetry is lost: see [`Loss`](crate::telemetry::Loss). Of a request that was refused: see [`Refused`](crate::telemetry::Refused).
    pub const REASON: &str = "reason";
    /// `public` or `admin`.
    pub const LISTENER: &str = "listener";
    /// What a slot of the pool holds: `component`, `core_instance`, `memory`, `table` or `stack`.
    pub const RESOURCE: &str = "resource";
    /// `used` or `free`.
    pub const STATE: &str = "state";
    /// `hit`, or `miss` if it was compiled anew.
    pub const RESULT: &str = "result";
    /// Of a run that the sandbox ended: the trap, or the limit that was reached.
    pub const KIND: &str = "kind";
    /// Name of a capability as flows grant it.
    pub const CAPABILITY: &str = "capability";
    pub const VERSION: &str = "version";

    /// Of an exporter: its name, and what it sends.
    pub const EXPORTER: &str = "exporter";
    pub const SIGNAL: &str = "signal";
    /// Where something waits: `memory` or `spool`.
    pub const PLACE: &str = "place";

    /// All of the eight that have a meaning of their own: common dimensions may not bear these names.
    pub const ALL: [&str; 10] =
        [FLOW, NODE, RESPONSE_CODE, STREAMING, RESPONSE_TYPE, EXCEPTION, RUN_STATUS, API_CALL, LLM_ENGINE, TOKEN_TYPE];
}

/// Values with a meaning of their own.
pub mod value {
    pub const FRAMEWORK: &str = "promptflow";
    pub const ITERATED: &str = "iterated";
    /// Code of a run or call that nobody waited for any more. Its `run_status` is `Canceled`, not `Failed`.
    pub const CANCELLED: &str = "Cancelled";
    /// Code of a request whose client went away.
    pub const CLIENT_DISCONNECT: &str = "ClientDisconnect";
    /// `response_code` of such a request. Never on the wire.
    pub const CLIENT_CLOSED_REQUEST: u16 = 499;
    /// Description of the status of a cancelled span.
    pub const EXECUTION_CANCELLED: &str = "Execution cancelled.";
    /// `gen_ai.evaluation.name` of a feedback that does not say what it judges.
    pub const USER_FEEDBACK: &str = "user_feedback";
}

/// Keys that a guest may not set on its span: these, and whatever begins with one of them and a dot.
pub const RESERVED: [&str; 27] = [
    "__computed__",
    "client",
    "embedding",
    "error",
    "exception",
    "execution_target",
    "framework",
    "function",
    "gen_ai",
    "http",
    "inputs",
    "line_run_id",
    "llm",
    "log",
    attribute::METRICS,
    "network",
    "node_name",
    "output",
    "output_type",
    "promptflow",
    "prompt",
    "request_id",
    "server",
    "span_type",
    "url",
    "user_agent",
    "weir",
];

/// Whether the host keeps this attribute key for itself.
pub fn is_reserved(key: &str) -> bool {
    let family = key.split_once('.').map_or(key, |(family, _)| family);
    RESERVED.contains(&family)
}
