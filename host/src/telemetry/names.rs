//! Every name under which weir tells something: spans, attributes, events, instruments, dimensions and their values.
//!
//! This is a contract with dashboards and alerts. Adding or renaming one is a change of the README's tables and of the
//! changelog. Prompt flow's names are those of its serving extension; `gen_ai.*` and the HTTP names are OpenTelemetry's
//! semantic conventions 1.41.1, the last release before the GenAI names began to move. What is promised here is held
//! against what a run exports and what the README says: tests/all/contract_telemetry.rs.

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

/// Where a name is promised. `Event` is an event of any of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum On {
    Request,
    Flow,
    Node,
    /// A part of a node's work, told by its guest.
    Guest,
    /// A call of a chat or completion model.
    Llm,
    Embedding,
    /// A plain HTTP request of a node.
    Http,
    /// A call of another node.
    NodeCall,
    Feedback,
    Event,
}

/// A name, where it stands, and what it says: a row of the README, and what a run is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub name: &'static str,
    pub on: &'static [On],
    pub meaning: &'static str,
}

/// Names as constants, and all of them as data. `FRAMEWORK = "framework", on(SPANS), "always so";` becomes
///
/// ```text
/// /// always so
/// pub const FRAMEWORK: &str = "framework";
/// pub const PROMISED: &[Promise] = &[Promise { name: FRAMEWORK, on: SPANS, meaning: "always so" }];
/// ```
///
/// and names without `on` are families or parts of others, which are promised elsewhere.
macro_rules! names {
    ($($constant:ident = $name:literal, on($on:expr), $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)*

        /// All of these, in the order of the README.
        pub const PROMISED: &[Promise] = &[$(Promise { name: $constant, on: $on, meaning: $meaning }),*];
    };
}

/// All that prompt flow knows: the flow, its nodes, and their calls.
const RUNS: &[On] = &[On::Flow, On::Node, On::Guest, On::Llm, On::Embedding, On::Http, On::NodeCall];
/// Whatever can fail, and the tries that did.
const FAILING: &[On] =
    &[On::Request, On::Flow, On::Node, On::Guest, On::Llm, On::Embedding, On::Http, On::NodeCall, On::Event];
const IN_NODES: &[On] = &[On::Node, On::Guest, On::Llm, On::Embedding, On::Http, On::NodeCall];
const MODELS: &[On] = &[On::Llm, On::Embedding];
const ALL: &[On] = &[On::Request, On::Flow, On::Node, On::Guest, On::Llm, On::Embedding, On::Http, On::NodeCall];
/// Whatever has tokens below it.
const SPENT: &[On] = &[On::Flow, On::Node, On::Guest, On::Llm, On::Embedding, On::NodeCall];
const LLM: &[On] = &[On::Llm];
const FLOW: &[On] = &[On::Flow];
const NODE: &[On] = &[On::Node];
const GUEST: &[On] = &[On::Guest];
/// What may be a tool: a node, and a part of one.
const TOOLS: &[On] = &[On::Node, On::Guest];
const HTTP: &[On] = &[On::Http];
const REQUEST: &[On] = &[On::Request];
const EVENT: &[On] = &[On::Event];
const FEEDBACK_SPAN: &[On] = &[On::Feedback];

/// Attributes that prompt flow sets, and ours.
pub mod attribute {
    use super::{EVENT, FEEDBACK_SPAN, GUEST, IN_NODES, LLM, MODELS, NODE, On, Promise, RUNS, SPENT};

    names! {
        FRAMEWORK = "framework", on(RUNS), "always `promptflow`";
        SPAN_TYPE = "span_type", on(RUNS), "`Flow`, `Function`, `LLM` or `Embedding`; of what a node tells itself also `Tool`, `Retrieval` or `LangChain`";
        FUNCTION = "function", on(IN_NODES), "what runs: `render_template_jinja2`, `OpenAI.chat`, `Prompty`, the component's path, or the name of the call; of what a node tells itself the span's name";
        SPAN_ORIGIN = "weir.span.origin", on(GUEST), "`guest`: the node has told this span, and not the host";
        NODE_NAME = "node_name", on(IN_NODES), "the node";
        EXECUTION_TARGET = "execution_target", on(RUNS), "`dag`, `flex` or `prompty`";
        LINE_RUN_ID = "line_run_id", on(RUNS), "the caller's request id, else a UUID";
        REQUEST_ID = "request_id", on(super::ALL), "the caller's request id, if it sent one";
        INPUTS = "inputs", on(RUNS), "JSON text: what it was given; of a call its arguments, but for keys and headers";
        OUTPUT = "output", on(RUNS), "JSON text: what it gave, if it ended well; of a stream the list of all chunks";
        OUTPUT_TYPE = "output_type", on(&[On::Flow, On::Node, On::Guest, On::Llm]), "`iterated`, if the output was a stream";
        PROMPT_TEMPLATE = "prompt.template", on(NODE), "the template of a prompt";
        PROMPT_VARIABLES = "prompt.variables", on(NODE), "JSON object of the variables that the template uses";
        LLM_RESPONSE_MODEL = "llm.response.model", on(MODELS), "the model that answered";
        LLM_GENERATED_MESSAGE = "llm.generated_message", on(LLM), "JSON of the first choice's message; of a completion its text";
        LLM_PROMPT_TOKENS = "llm.usage.prompt_tokens", on(MODELS), "tokens of the question, as the service counted them";
        LLM_COMPLETION_TOKENS = "llm.usage.completion_tokens", on(LLM), "tokens of the answer";
        LLM_TOTAL_TOKENS = "llm.usage.total_tokens", on(MODELS), "both";
        CUMULATIVE_PROMPT = "__computed__.cumulative_token_count.prompt", on(SPENT), "sum over this span and all below it; left out where nothing was spent";
        CUMULATIVE_COMPLETION = "__computed__.cumulative_token_count.completion", on(SPENT), "likewise";
        CUMULATIVE_TOTAL = "__computed__.cumulative_token_count.total", on(SPENT), "likewise";
        EMBEDDINGS = "embedding.embeddings", on(&[On::Embedding]), "JSON list: each text, and of its vector the length";
        CIRCUIT_STATE = "weir.circuit.state", on(&[On::Llm, On::Embedding, On::Http]), "`closed`, `half_open` or `open`: the circuit breaker of the connection, as the call began";
        RETRY_PAUSE = "weir.retry.pause", on(&[On::Llm, On::Embedding, On::Event]), "if it was sent again: seconds between the tries, all together; on the event before the next one";
        RETRY_ASKED = "weir.retry.asked", on(MODELS), "seconds that the service last asked to wait, if it did";
        RETRY_STOPPED = "weir.retry.stopped", on(MODELS), "why a failure that may pass was not tried again: `tries`, `deadline`, `asked` (for too long a pause), `budget` or `circuit`";
        NOTES_LEFT_OUT = "weir.notes_left_out", on(NODE), "how many notes of the node were over their bounds";
        SPANS_LEFT_OUT = "weir.spans_left_out", on(NODE), "how many of the spans that the node started were over their bounds";
        CALLS_LEFT_OUT = "weir.calls_left_out", on(NODE), "how many of the node's calls to the host have no span, since so many have one";
        INSTANCE = "weir.instance", on(NODE), "`ahead`, if the instance was made before the run began; `reused`, if an earlier run has left it; else it was made for the run";
        FILES_CALLS = "weir.files.calls", on(NODE), "how often the node called `wasi:filesystem`, if it did";
        FILES_WRITTEN = "weir.files.written", on(NODE), "how many bytes it wrote, if it did";
        PAYLOAD = "payload", on(EVENT), "the same JSON text that is the span's attribute";
        CAPABILITY = "weir.capability", on(EVENT), "of a denial: the capability, by its name under `grants`";
        REASON = "weir.reason", on(EVENT), "of a denial: what was asked, and what would grant it";
        LOG_SEVERITY = "log.severity", on(EVENT), "of a log line, also of the last of a node's log record: `trace`, `debug`, `info`, `warn`, `error` or `critical`";
        LOG_MESSAGE = "log.message", on(EVENT), "its text";
        LOG_CONTEXT = "log.context", on(EVENT), "what the node calls the place it comes from";
        FEEDBACK = "feedback", on(FEEDBACK_SPAN), "what a person said, as it came; what does not fit goes on in `feedback.1`, `feedback.2`, …";
        FEEDBACK_ID = "feedback.id", on(FEEDBACK_SPAN), "the same each time a feedback is delivered";
        FEEDBACK_TRUNCATED = "feedback.truncated_keys", on(FEEDBACK_SPAN), "how many keys of a flattened feedback were left out";
    }

    /// Family of what nodes tell by `log-metric`: `metrics.NAME`, a number.
    pub const METRICS: &str = "metrics";
    /// Of what tail sampling kept by its share, in percent. Inside the host: Application Insights has a field for it, OTLP
    /// the trace state.
    pub const SAMPLE_RATE: &str = "_MS.sampleRate";
    /// Why tail sampling kept a trace, or did not: `error`, `slow`, `feedback`, `ratio`, `dropped` or `overflow`.
    pub const SAMPLING_DECISION: &str = "weir.sampling.decision";
}

/// Attributes of OpenTelemetry's conventions.
pub mod semconv {
    use super::{EVENT, FAILING, FLOW, HTTP, LLM, MODELS, On, Promise, REQUEST, RUNS, TOOLS};

    /// Where in the source of the host a line of its log was written.
    pub const CODE_FILE_PATH: &str = "code.file.path";
    pub const CODE_LINE_NUMBER: &str = "code.line.number";

    names! {
        ERROR_TYPE = "error.type", on(FAILING), "the code of a failure; `Cancelled` or `ClientDisconnect` if nobody waited any more";
        HTTP_METHOD = "http.request.method", on(&[On::Request, On::Http]), "`_OTHER` for one that the conventions do not know";
        HTTP_ROUTE = "http.route", on(REQUEST), "`/score`";
        HTTP_STATUS = "http.response.status_code", on(&[On::Request, On::Http, On::Event]), "none if the client went away";
        RESEND_COUNT = "http.request.resend_count", on(&[On::Llm, On::Embedding, On::Event]), "how often it was sent again, if it was";
        URL_PATH = "url.path", on(REQUEST), "the path as it came";
        URL_SCHEME = "url.scheme", on(REQUEST), "`http`: who ends TLS in front is not known";
        URL_FULL = "url.full", on(HTTP), "without credentials, query and fragment";
        SERVER_ADDRESS = "server.address", on(&[On::Request, On::Llm, On::Embedding, On::Http]), "the host that was asked";
        SERVER_PORT = "server.port", on(&[On::Request, On::Llm, On::Embedding, On::Http]), "its port";
        CLIENT_ADDRESS = "client.address", on(REQUEST), "who asked";
        USER_AGENT = "user_agent.original", on(REQUEST), "the client's `User-Agent`";
        PROTOCOL_VERSION = "network.protocol.version", on(REQUEST), "`1.0` or `1.1`";

        OPERATION = "gen_ai.operation.name", on(&[On::Flow, On::Node, On::Guest, On::Llm, On::Embedding]), "`invoke_workflow`, `execute_tool` (not of prompts), `retrieval`, `chat`, `text_completion` or `embeddings`";
        WORKFLOW = "gen_ai.workflow.name", on(FLOW), "the folder of the flow";
        CONVERSATION = "gen_ai.conversation.id", on(RUNS), "the flow's input `conversation_id`, else `session_id`, if it declares one";
        TOOL_NAME = "gen_ai.tool.name", on(TOOLS), "the node, if it is no prompt; a `Tool` that it tells itself";
        TOOL_TYPE = "gen_ai.tool.type", on(TOOLS), "`function`";
        PROVIDER = "gen_ai.provider.name", on(MODELS), "`openai`, `azure.ai.openai`, `azure.ai.inference` or `weir.offline`";
        REQUEST_MODEL = "gen_ai.request.model", on(MODELS), "the model or deployment that was asked for";
        REQUEST_TEMPERATURE = "gen_ai.request.temperature", on(LLM), "if the call says so, like all that follow";
        REQUEST_TOP_P = "gen_ai.request.top_p", on(LLM), "likewise";
        REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty", on(LLM), "likewise";
        REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty", on(LLM), "likewise";
        REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens", on(LLM), "`max_tokens`, else `max_completion_tokens`";
        REQUEST_SEED = "gen_ai.request.seed", on(LLM), "likewise";
        REQUEST_CHOICES = "gen_ai.request.choice.count", on(LLM), "`n`, unless it is 1";
        REQUEST_STOP = "gen_ai.request.stop_sequences", on(LLM), "list of texts";
        REQUEST_STREAM = "gen_ai.request.stream", on(LLM), "`true`, only if so";
        OUTPUT_TYPE = "gen_ai.output.type", on(LLM), "`json` or `text`, by the `response_format`";
        RESPONSE_MODEL = "gen_ai.response.model", on(MODELS), "the model that answered";
        RESPONSE_ID = "gen_ai.response.id", on(LLM), "the id that the service gave its answer";
        FINISH_REASONS = "gen_ai.response.finish_reasons", on(LLM), "list of one text";
        FIRST_CHUNK = "gen_ai.response.time_to_first_chunk", on(LLM), "seconds, of a stream";
        INPUT_TOKENS = "gen_ai.usage.input_tokens", on(MODELS), "as `llm.usage.prompt_tokens`";
        OUTPUT_TOKENS = "gen_ai.usage.output_tokens", on(LLM), "as `llm.usage.completion_tokens`";

        EXCEPTION_TYPE = "exception.type", on(EVENT), "the code of a failure; on the flow's span `ToolExecutionError` for that of a node, as in prompt flow";
        EXCEPTION_MESSAGE = "exception.message", on(EVENT), "what went wrong";
        EXCEPTION_STACKTRACE = "exception.stacktrace", on(EVENT), "the frames of a trap";
        EXCEPTION_ESCAPED = "exception.escaped", on(EVENT), "`False`, as in prompt flow";
        EVALUATION_NAME = "gen_ai.evaluation.name", on(EVENT), "what was judged";
        EVALUATION_SCORE = "gen_ai.evaluation.score.value", on(EVENT), "a number";
        EVALUATION_LABEL = "gen_ai.evaluation.score.label", on(EVENT), "a word";
        EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation", on(EVENT), "the person's comment";
    }

    /// Of a metric.
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";
}

/// Content in the shape of the GenAI conventions: written if `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for
/// it, since prompt flow's own names say the same.
pub mod gen_ai_content {
    use super::{LLM, On, Promise, TOOLS};

    names! {
        SYSTEM = "gen_ai.system_instructions", on(LLM), "JSON list of parts: the messages of the system that stand first";
        INPUT = "gen_ai.input.messages", on(&[On::Flow, On::Llm]), "JSON list of messages; of a flow its inputs";
        OUTPUT = "gen_ai.output.messages", on(&[On::Flow, On::Llm]), "JSON list of messages; of a flow its outputs";
        TOOL_ARGUMENTS = "gen_ai.tool.call.arguments", on(TOOLS), "as `inputs`, of a tool";
        TOOL_RESULT = "gen_ai.tool.call.result", on(TOOLS), "as `output`, likewise";
    }
}

/// Attributes of OpenInference: written if `WEIR_TRACE_DIALECTS` names it.
pub mod open_inference {
    use super::{LLM, MODELS, NODE, On, Promise, RUNS};

    names! {
        KIND = "openinference.span.kind", on(&[On::Request, On::Flow, On::Node, On::Guest, On::Llm, On::Embedding, On::Http, On::NodeCall, On::Feedback]), "`CHAIN`, `TOOL`, `LLM`, `EMBEDDING`, `RETRIEVER` or `EVALUATOR`";
        INPUT = "input.value", on(RUNS), "as `inputs`";
        INPUT_TYPE = "input.mime_type", on(RUNS), "`application/json`";
        OUTPUT = "output.value", on(RUNS), "as `output`";
        OUTPUT_TYPE = "output.mime_type", on(RUNS), "`application/json`";
        MODEL = "llm.model_name", on(MODELS), "the model that answered";
        PROMPT_TOKENS = "llm.token_count.prompt", on(MODELS), "as `llm.usage.prompt_tokens`";
        COMPLETION_TOKENS = "llm.token_count.completion", on(LLM), "as `llm.usage.completion_tokens`";
        TOTAL_TOKENS = "llm.token_count.total", on(MODELS), "as `llm.usage.total_tokens`";
        SESSION = "session.id", on(RUNS), "as `gen_ai.conversation.id`";
        NODE_ID = "graph.node.id", on(&[On::Flow, On::Node]), "the node; of a flow its folder";
        PARENT_ID = "graph.node.parent_id", on(NODE), "the first node that it waits for or that called it, else the flow";
    }
}

/// Span events. Each says again what an attribute says, because prompt flow's tools read one or the other.
pub mod event {
    use super::{ALL, FEEDBACK_SPAN, LLM, MODELS, NODE, On, Promise, RUNS};

    names! {
        INPUTS = "promptflow.function.inputs", on(RUNS), "`inputs`";
        OUTPUT = "promptflow.function.output", on(RUNS), "`output`";
        PROMPT_TEMPLATE = "promptflow.prompt.template", on(NODE), "JSON object of `prompt.template` and `prompt.variables`";
        GENERATED_MESSAGE = "promptflow.llm.generated_message", on(LLM), "`llm.generated_message`";
        EMBEDDINGS = "promptflow.embedding.embeddings", on(&[On::Embedding]), "`embedding.embeddings`";
        EXCEPTION = "exception", on(ALL), "a failure";
        RETRY = "weir.retry", on(MODELS), "a try that failed, as `error.type` and `http.response.status_code`; it is made again after `weir.retry.pause`";
        LOG = "log", on(NODE), "of a node, where logs are not exported: a line that it logged, in `log.message`";
        DENIED = "weir.capability.denied", on(NODE), "a node asked for what its flow does not grant; the first 16 of a run";
        EVALUATION = "gen_ai.evaluation.result", on(FEEDBACK_SPAN), "a feedback that can be read as a score";
    }
}

/// Spans, by what they are named after.
pub const SPANS: &[(On, &str, &str, &str)] = &[
    (On::Request, "`POST /score`", "server", "a request, from its head to the last byte of its answer"),
    (On::Flow, "the flow's `name`, else its folder's", "internal", "one run of a flow, also a line of a batch"),
    (On::Node, "the node", "internal", "one run of a node; bypassed nodes have none"),
    (
        On::Guest,
        "what the node calls it, as the function under `@trace`",
        "internal",
        "a part of a node that the node tells itself",
    ),
    (On::Llm, "`openai_chat`, `openai_completion`", "client", "a model is asked"),
    (On::Embedding, "`openai_embeddings`", "client", "texts become vectors"),
    (On::Http, "`http.request`", "client", "a node sends a plain HTTP request"),
    (On::NodeCall, "`nodes.call`", "client", "a node calls another one, whose span is below"),
    (
        On::Feedback,
        "`promptflow-feedback`",
        "internal",
        "a person's judgement, in the trace of the request it is about",
    ),
];

impl On {
    pub const SPANS: [Self; 9] = [
        Self::Request,
        Self::Flow,
        Self::Node,
        Self::Guest,
        Self::Llm,
        Self::Embedding,
        Self::Http,
        Self::NodeCall,
        Self::Feedback,
    ];

    /// What a span is, by its name, kind, `span_type` and `weir.span.origin`; none for what is none of ours.
    pub fn of(name: &str, kind: &str, span_type: Option<&str>, origin: Option<&str>) -> Option<Self> {
        // Before its type, which is a guest's word.
        if origin.is_some() {
            return (kind == "internal" && origin == Some(value::GUEST)).then_some(Self::Guest);
        }
        match (name, kind, span_type) {
            (_, "server", _) => Some(Self::Request),
            (span::FEEDBACK, "internal", None) => Some(Self::Feedback),
            (_, "internal", Some("Flow")) => Some(Self::Flow),
            (_, "internal", Some("Function")) => Some(Self::Node),
            (_, "client", Some("LLM")) => Some(Self::Llm),
            (_, "client", Some("Embedding")) => Some(Self::Embedding),
            ("http.request", "client", Some("Function")) => Some(Self::Http),
            ("nodes.call", "client", Some("Function")) => Some(Self::NodeCall),
            _ => None,
        }
    }

    /// As the tables of the README have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Flow => "flow",
            Self::Node => "node",
            Self::Guest => "guest",
            Self::Llm => "llm",
            Self::Embedding => "embedding",
            Self::Http => "http",
            Self::NodeCall => "node call",
            Self::Feedback => "feedback",
            Self::Event => "event",
        }
    }
}

impl Promise {
    /// Its row in the README.
    pub fn row(&self) -> String {
        let on = match self.on {
            RUNS => "all but request".to_owned(),
            ALL => "all".to_owned(),
            FAILING => "all, event".to_owned(),
            on => on.iter().map(|on| on.word()).collect::<Vec<_>>().join(", "),
        };
        format!("| `{}` | {on} | {} |", self.name, self.meaning)
    }
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
    /// Name of a connection of the operator's.
    pub const CONNECTION: &str = "connection";
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
    /// `error.type` of a span whose guest does not say what failed.
    pub const ERROR: &str = "Error";
    /// Of a span that a guest has told.
    pub const GUEST: &str = "guest";
    /// Of a run whose instance was made before it began.
    pub const AHEAD: &str = "ahead";
    /// Of a run whose instance an earlier one has left.
    pub const REUSED: &str = "reused";
    /// Code of a run or call that nobody waited for any more. Its `run_status` is `Canceled`, not `Failed`.
    pub const CANCELLED: &str = "Cancelled";
    /// Code of a request whose client went away.
    pub const CLIENT_DISCONNECT: &str = "ClientDisconnect";
    /// `response_code` of such a request. Never on the wire.
    pub const CLIENT_CLOSED_REQUEST: u16 = 499;
    /// Description of the status of a cancelled span.
    pub const EXECUTION_CANCELLED: &str = "Execution cancelled.";
    /// As prompt flow writes it: the text of Python's.
    pub const NOT_ESCAPED: &str = "False";
    /// `exception.type` on the span of a flow one of whose nodes failed.
    pub const NODE_FAILED: &str = "ToolExecutionError";
    /// `gen_ai.evaluation.name` of a feedback that does not say what it judges.
    pub const USER_FEEDBACK: &str = "user_feedback";
}

/// Keys of the host's own: these, and whatever begins with one of them and a dot.
pub const RESERVED: [&str; 28] = [
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
    "openinference",
    "output",
    "output_type",
    "prompt",
    "promptflow",
    "request_id",
    "server",
    "span_type",
    "url",
    "user_agent",
    "weir",
];

/// Likewise those of resources, of other spans, and of what back ends make of both. A guest may not set them on its span; a
/// feedback may, which is a stranger's word in a span of its own.
const OF_OTHERS: [&str; 21] = [
    "ai",
    "azure",
    "cloud",
    "db",
    "deployment",
    "enduser",
    "faas",
    "feedback",
    "graph",
    "host",
    "messaging",
    "microsoft",
    "peer",
    "rpc",
    "service",
    "session",
    "span_id",
    "telemetry",
    "trace_id",
    "traceparent",
    "tracestate",
];

/// Whether the host keeps this attribute key for itself.
pub fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&family(key))
}

/// Whether a guest may set this attribute key on its span.
pub fn is_for_guests(key: &str) -> bool {
    !is_reserved(key) && !OF_OTHERS.contains(&family(key))
}

fn family(key: &str) -> &str {
    key.split_once('.').map_or(key, |(family, _)| family)
}
