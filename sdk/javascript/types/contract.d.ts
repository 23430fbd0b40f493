// The contract of wit/ as TypeScript. Made by sdk/javascript/types.mjs; nothing here is written by hand.
// sha256 of the WIT: 4d6210459432c364e3a30f009661234ac7b25d4156abad6229dd780ad0106122

declare module 'wasi:config/store@0.2.0-rc.1' {
  /**
   * The value of a setting, or none if there is none of that name that the node may read.
   *
   * `NAME.KEY` is a key of the connection NAME, a name without a dot one of the flow's `environment_variables`.
   */
  export function get(key: string): string | null;
  /**
   * All settings that the node may read, by name.
   */
  export function getAll(): Array<[string, string]>;
  /**
   * Why a setting could not be read. This host has all settings at hand and never fails.
   */
  export type Error = ErrorUpstream | ErrorIo;
  /**
   * Where the setting comes from did not answer.
   */
  export interface ErrorUpstream {
    tag: 'upstream',
    val: string,
  }
  /**
   * Reading failed on the way.
   */
  export interface ErrorIo {
    tag: 'io',
    val: string,
  }
}

declare module 'wasi:logging/logging@0.1.0-draft' {
  /**
   * Emit a log message.
   *
   * A log message has a `level` describing what kind of message is being
   * sent, a context, which is an uninterpreted string meant to help
   * consumers group similar messages, and a string containing the message
   * text.
   */
  export function log(level: Level, context: string, message: string): void;
  /**
   * A log level, describing a kind of message.
   * # Variants
   *
   * ## `"trace"`
   *
   * Describes messages about the values of variables and the flow of
   * control within a program.
   * ## `"debug"`
   *
   * Describes messages likely to be of interest to someone debugging a
   * program.
   * ## `"info"`
   *
   * Describes messages likely to be of interest to someone monitoring a
   * program.
   * ## `"warn"`
   *
   * Describes messages indicating hazardous situations.
   * ## `"error"`
   *
   * Describes messages indicating serious errors.
   * ## `"critical"`
   *
   * Describes messages indicating fatal errors.
   */
  export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical';
}

declare module 'weir:flow/context@0.1.0' {
  /**
   * What is known of this run.
   */
  export function current(): Invocation;
  /**
   * What the flow was initialised with: one JSON object, the same for every run. `{}` where there is nothing.
   */
  export function init(): Json;
  /**
   * Sets an attribute of the node's span. Later values replace earlier ones.
   *
   * Keys are letters, digits, blanks and `_.-:/@%()[]+=<>#&`, at most 100 bytes, and may not begin with a name the
   * host or OpenTelemetry uses itself, such as `service` or `trace_id`; values are cut at
   * 4 KiB; a run sets at most 32. What does not fit is left out and counted, never an error.
   */
  export function setAttribute(key: string, value: AttributeValue): void;
  /**
   * Adds an event to the node's span, under the same bounds.
   */
  export function addEvent(name: string, attributes: Array<[string, AttributeValue]>): void;
  /**
   * Tells a metric of the run, such as the accuracy that an evaluation has found. A later value replaces an earlier
   * one of that name.
   *
   * It becomes the attribute `metrics.NAME` of the node's span, and one of the results of a run over a data set.
   * Names are as keys of attributes, values are finite numbers; a run tells at most 64. What does not fit
   * is left out and counted, never an error.
   */
  export function logMetric(name: string, value: number): void;
  /**
   * Starts a span below the current one, and makes it the current one: what the node calls of the host, and further
   * spans, are below it until it ends.
   *
   * None: nobody would see it, or its name is none, or the run has started as many as it may, which are 256. Then it
   * is left out, of the latter with a count on the node's span, and the current span stays the current one.
   *
   * Names are as keys of attributes, and may be any of these. Of the inputs, JSON text, as much is told as of a
   * node's; what is no JSON is told as a text.
   */
  export function startSpan(name: string, kind: SpanKind, inputs: Json): Span | null;
  /**
   * Makes this span the current one, or the node's own; of one that has ended the nearest above it that is open.
   *
   * For nodes that do several things by turns: what an asynchronous task, or a generator, calls of the host then is
   * below its own span, whatever another has started in between.
   */
  export function setCurrentSpan(span: Span | null): void;
  export type Json = import('weir:flow/types@0.1.0').Json;
  export interface Invocation {
    /**
     * Name of the flow.
     */
    flow: string,
    /**
     * Name of the node in the flow.
     */
    node: string,
    /**
     * The id by which the request is known in traces and logs: the caller's `x-request-id`, else one made
     * for this request.
     */
    requestId: string,
    /**
     * The current span, which is the node's own unless it has started one, in the form of a W3C `traceparent`
     * header, to be passed to services the node calls by means of its own.
     */
    traceparent: string,
    /**
     * Whether chunks will reach the client as they are emitted. If not, a node that can also answer whole
     * saves work by doing so.
     */
    streaming: boolean,
    /**
     * Time left for this run, in milliseconds.
     */
    remainingMs: number,
  }
  /**
   * A value that a span may carry.
   */
  export type AttributeValue = AttributeValueText | AttributeValueBoolean | AttributeValueInteger | AttributeValueDouble;
  export interface AttributeValueText {
    tag: 'text',
    val: string,
  }
  export interface AttributeValueBoolean {
    tag: 'boolean',
    val: boolean,
  }
  export interface AttributeValueInteger {
    tag: 'integer',
    val: number,
  }
  export interface AttributeValueDouble {
    tag: 'double',
    val: number,
  }
  /**
   * What kind of work a span is of, in the words of prompt flow's traces.
   * # Variants
   *
   * ## `"function"`
   *
   * Anything: prompt flow's `@trace`.
   * ## `"tool"`
   *
   * ## `"llm"`
   *
   * ## `"embedding"`
   *
   * ## `"retrieval"`
   *
   * ## `"flow"`
   *
   * ## `"lang-chain"`
   */
  export type SpanKind = 'function' | 'tool' | 'llm' | 'embedding' | 'retrieval' | 'flow' | 'lang-chain';
  export interface SpanError {
    /**
     * Its class, such as `ValueError`.
     */
    kind: string,
    message: string,
  }
  /**
   * How a span ends.
   */
  export type SpanEnd = SpanEndOutput | SpanEndIterated | SpanEndError;
  /**
   * Well, with this output.
   */
  export interface SpanEndOutput {
    tag: 'output',
    val: Json,
  }
  /**
   * Well, with these pieces of what was a stream: a JSON list.
   */
  export interface SpanEndIterated {
    tag: 'iterated',
    val: Json,
  }
  /**
   * With an error.
   */
  export interface SpanEndError {
    tag: 'error',
    val: SpanError,
  }

  export class Span implements Disposable {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * Sets an attribute of this span, under the bounds of the node's own; all spans of a run together have at most
    * 256 of them. After the end nothing happens.
    */
    setAttribute(key: string, value: AttributeValue): void;
    /**
    * Ends the span, now. If it was the current one, the one above it is. After the end nothing happens.
    */
    end(how: SpanEnd): void;
    [Symbol.dispose](): void;
  }
}

declare module 'weir:flow/handler@0.1.0' {
  /**
   * Runs the node once.
   *
   * `inputs` is one JSON object: the node's inputs as its flow resolved them, by name. Inputs the flow does not
   * give are absent.
   *
   * Each call gets a fresh instance, so nothing is left from an earlier one, unless the flow has instances of the node
   * used again: then what an earlier call has left in memory is there. A trap, or running past a limit of
   * time or memory, ends the run; the caller sees a status 500 or 504 that names the node and the limit.
   */
  export function run(inputs: Json): Output;
  /**
   * What the node is, without running it. A JSON object:
   *
   * | key | value |
   * | --- | --- |
   * | `name`, `version`, `summary` | text; `summary` is one sentence |
   * | `inputs` | JSON Schema (2020-12) of the object `run` takes |
   * | `init` | JSON Schema of the object that it expects of `context.init`; absent if it asks for none |
   * | `output` | JSON Schema of the value, or of one chunk if the node streams |
   * | `streams` | whether the node may answer with a stream |
   * | `uses` | list of the host interfaces it calls, such as `llm` |
   *
   * Unknown keys are ignored, missing ones mean "not said". Called when the component is loaded or inspected,
   * with no grants and within one second; it must not call the host.
   */
  export function describe(): Json;
  export type Json = import('weir:flow/types@0.1.0').Json;
  export type NodeError = import('weir:flow/types@0.1.0').NodeError;
  export type Chunks = import('weir:flow/types@0.1.0').Chunks;
  /**
   * What a run gave.
   */
  export type Output = OutputValue | OutputEmitted | OutputRelayed;
  /**
   * One value.
   */
  export interface OutputValue {
    tag: 'value',
    val: Json,
  }
  /**
   * The chunks that were passed to `output.emit` during the run, in that order, are the answer.
   */
  export interface OutputEmitted {
    tag: 'emitted',
  }
  /**
   * A stream that the host already holds, such as the text of a model's answer. The host passes it on by
   * itself: no guest code runs per chunk, and the component's memory is freed at once.
   */
  export interface OutputRelayed {
    tag: 'relayed',
    val: Chunks,
  }
}

declare module 'weir:flow/llm@0.1.0' {
  /**
   * Asks a chat model and waits for the whole answer.
   *
   * Fails with any `call-error`. The host retries what is worth retrying before it reports.
   */
  export function chat(request: ChatRequest): ChatReply;
  /**
   * Asks a chat model and gives the answer as it is written.
   *
   * Returns once the service has accepted the request. The call's span ends with the stream.
   */
  export function streamChat(request: ChatRequest): ChatStream;
  /**
   * Makes a stream of plain text from a chat stream, to be returned as `output.relayed`.
   *
   * Pieces without text are left out.
   */
  export function text(answer: ChatStream): Chunks;
  /**
   * Asks a chat model for the text of an answer that is to be returned as `output.relayed`.
   *
   * Returns at once. The model is asked when the run has ended with these chunks, or when the first of them is read; so
   * nothing of the guest is kept while the model thinks. Nothing is asked if the chunks are dropped before. The call's
   * span begins here, and ends with the chunks. Pieces without text are left out. A run has one such answer at a time
   * that is still to be asked for; a further one fails with `exhausted`.
   *
   * What the call fails with, the first chunk that is read fails with. A run that has ended by then fails as the call
   * does, since no guest is left to say what that means: a failure of the service has the name of the OpenAI client's
   * exception, such as `RateLimitError`, and blames the user, as in prompt flow; what the host itself refuses has the
   * name of its kind, such as `NotGranted`, and blames the system. A guest that wants to name it otherwise, or to do
   * something else then, calls `stream-chat`.
   */
  export function relayChat(request: ChatRequest): Chunks;
  /**
   * Asks a completion model and waits for the whole answer.
   */
  export function complete(request: CompletionRequest): CompletionReply;
  /**
   * Embeds texts.
   */
  export function embed(request: EmbeddingRequest): EmbeddingReply;
  export type Json = import('weir:flow/types@0.1.0').Json;
  export type CallError = import('weir:flow/types@0.1.0').CallError;
  export type Chunks = import('weir:flow/types@0.1.0').Chunks;
  /**
   * Tokens that a call cost, as the service counted them.
   */
  export interface Usage {
    promptTokens: number,
    /**
     * Zero for embeddings.
     */
    completionTokens: number,
    totalTokens: number,
  }
  export interface ChatRequest {
    /**
     * Name of the connection.
     */
    connection: string,
    /**
     * Name of the model or, with Azure OpenAI, of the deployment. Empty: what the connection prescribes.
     */
    model: string,
    /**
     * JSON array of messages: `[{"role": "user", "content": "…"}, …]`.
     */
    messages: Json,
    /**
     * JSON object of further parameters, such as `{"temperature": 0.2, "tools": […]}`. `model`, `messages`,
     * `stream` and `stream_options` belong to the host: naming one here is an invalid request.
     */
    parameters: Json,
  }
  export interface ChatReply {
    /**
     * The id that the service gave this answer; may be empty.
     */
    id: string,
    /**
     * The model that answered; services often resolve a name to a dated version.
     */
    model: string,
    /**
     * The first choice's message object, whole: `{"role": "assistant", "content": "…", …}`.
     */
    message: Json,
    /**
     * Why the model stopped, such as `stop`, `length`, `tool_calls`, `content_filter`; may be empty.
     */
    finishReason: string,
    /**
     * None if the service does not say.
     */
    usage?: Usage | null,
    /**
     * The service's answer, whole: `{"id": "…", "choices": […], …}`, with all choices and what else it says.
     */
    raw: Json,
  }
  /**
   * One piece of a streamed answer.
   */
  export interface ChatDelta {
    /**
     * The text in this piece; empty for pieces that carry something else, such as the role.
     */
    content: string,
    /**
     * The piece's `delta` object, whole.
     */
    delta: Json,
    /**
     * Set on the last piece of the answer.
     */
    finishReason?: string | null,
  }
  export interface CompletionRequest {
    connection: string,
    model: string,
    prompt: string,
    /**
     * As in `chat-request`; `model`, `prompt`, `stream` and `stream_options` belong to the host.
     */
    parameters: Json,
  }
  export interface CompletionReply {
    id: string,
    model: string,
    /**
     * The first choice's text.
     */
    text: string,
    finishReason: string,
    usage?: Usage | null,
    /**
     * The service's answer, whole.
     */
    raw: Json,
  }
  export interface EmbeddingRequest {
    connection: string,
    model: string,
    /**
     * The texts to embed, at least one.
     */
    inputs: Array<string>,
    /**
     * As in `chat-request`; `model`, `input` and `encoding_format` belong to the host.
     */
    parameters: Json,
  }
  export interface EmbeddingReply {
    model: string,
    /**
     * One vector for each input, in the same order.
     */
    vectors: Array<Float32Array>,
    usage?: Usage | null,
  }

  export class ChatStream implements Disposable {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * The next piece, or none at the end. Waits for it. After an error the stream is over.
    */
    next(): ChatDelta | null;
    /**
    * What the answer cost: none before the end, and if the service does not say.
    */
    usage(): Usage | null;
    [Symbol.dispose](): void;
  }
}

declare module 'weir:flow/nodes@0.1.0' {
  /**
   * Runs another node with the given inputs (one JSON object) and waits for its value.
   *
   * Inputs that the flow file fixes for that node are kept where `inputs` does not name them. A streamed answer is
   * joined to one value, as it is for a client that asked for no stream.
   */
  export function call(node: string, inputs: Json): Json;
  export type Json = import('weir:flow/types@0.1.0').Json;
  export type CallError = import('weir:flow/types@0.1.0').CallError;
  export type NodeError = import('weir:flow/types@0.1.0').NodeError;
  export type NodesError = NodesErrorFailed | NodesErrorRefused;
  /**
   * The other node ran and failed.
   */
  export interface NodesErrorFailed {
    tag: 'failed',
    val: NodeError,
  }
  /**
   * The other node was not run to its end: no such node, no grant, too deep, cancelled, a limit.
   */
  export interface NodesErrorRefused {
    tag: 'refused',
    val: CallError,
  }
}

declare module 'weir:flow/output@0.1.0' {
  /**
   * Passes one chunk on towards the client.
   *
   * Waits while the client reads more slowly than the node writes, so a plain loop is all that a node needs. If
   * the client did not ask for a stream, or other nodes use this one's output, the host keeps the chunks and joins
   * them in the end: texts as they are, other values as their JSON text.
   *
   * A node that has emitted must return `output.emitted`; a value returned after emitting is a broken contract.
   */
  export function emit(chunk: Json): void;
  export type Json = import('weir:flow/types@0.1.0').Json;
  /**
   * Why no more chunks are taken.
   * # Variants
   *
   * ## `"gone"`
   *
   * Nobody reads any more: the client went away, or the flow has failed or was given up. Stop working.
   * ## `"limit"`
   *
   * The node has streamed as much as its limits allow.
   */
  export type Closed = 'gone' | 'limit';
}

declare module 'weir:flow/types@0.1.0' {
  /**
   * UTF-8 JSON text: one value, no byte order mark.
   *
   * Text and not a tree of variants, because it is several times cheaper to pass, because most values only pass
   * through, and because it loses nothing: numbers keep all their digits and objects the order of their keys.
   * A guest that hands over text that is not JSON has broken the contract: its run ends with the host's error
   * `GuestProtocolError`, in the caller's eyes a status 500.
   */
  export type Json = string;
  /**
   * Who has to act so that the same request can succeed.
   * # Variants
   *
   * ## `"user"`
   *
   * The caller: the input was wrong. The caller sees status 400.
   * ## `"system"`
   *
   * The node or something behind it. The caller sees status 500.
   */
  export type Blame = 'user' | 'system';
  /**
   * A failure that the node itself reports.
   *
   * The caller of the flow sees `message`, so it must not hold secrets.
   */
  export interface NodeError {
    blame: Blame,
    /**
     * A stable name for programs, such as `QuestionTooLong`: letters, digits, `_`, `.` and `-`, at most
     * 64 bytes. It becomes the `exception` dimension of `node_request`, so take it from a small set.
     * Anything else is replaced by `NodeError`, and so is what the host calls its own findings, such as
     * `NodeTimeout` or `GuestTrap`.
     */
    code: string,
    /**
     * One sentence for a person, at most 1 KiB; the rest is cut off.
     */
    message: string,
  }
  /**
   * Why the host did not do what was asked, as far as a guest should know.
   * # Variants
   *
   * ## `"not-granted"`
   *
   * The node's flow does not grant this. The message says what to add to the flow.
   * ## `"not-found"`
   *
   * No connection, model or node of that name. The message lists those that are known.
   * ## `"invalid-request"`
   *
   * The request itself is wrong; sending it again will not help.
   * ## `"unauthenticated"`
   *
   * The other side did not accept the host's credentials. The operator has to act.
   * ## `"rate-limited"`
   *
   * The other side asks for fewer requests. The host has already waited and tried again.
   * ## `"rejected"`
   *
   * The other side refused the request for its content.
   * ## `"unavailable"`
   *
   * The other side could not be reached, broke off, or failed.
   * ## `"timeout"`
   *
   * No answer before the deadline of the call or of the node.
   * ## `"cancelled"`
   *
   * The request that this run belongs to was given up, for example because the client went away.
   * ## `"exhausted"`
   *
   * A limit of the node is used up: number of calls, tokens, bytes.
   * ## `"protocol"`
   *
   * The other side answered something the host does not understand.
   * ## `"internal"`
   *
   * A fault of weir.
   */
  export type CallErrorKind = 'not-granted' | 'not-found' | 'invalid-request' | 'unauthenticated' | 'rate-limited' | 'rejected' | 'unavailable' | 'timeout' | 'cancelled' | 'exhausted' | 'protocol' | 'internal';
  /**
   * A call to the host that failed.
   */
  export interface CallError {
    kind: CallErrorKind,
    /**
     * The HTTP status of the other side, where there is one.
     */
    status?: number | null,
    /**
     * What went wrong, for a person. Never holds a key or an address of the host's network.
     */
    message: string,
  }

  export class Chunks implements Disposable {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * The next chunk, or none at the end. Waits for it.
    *
    * After an error the stream is over: further calls give none.
    */
    next(): Json | null;
    [Symbol.dispose](): void;
  }
}
