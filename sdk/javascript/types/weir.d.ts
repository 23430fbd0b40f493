// The module `weir`, and what a node's module exports.

declare module "weir" {
  import type { CallErrorKind } from "weir:flow/types@0.1.0";
  import type { ChatReply, CompletionReply, EmbeddingReply, Usage } from "weir:flow/llm@0.1.0";
  import type { Invocation } from "weir:flow/context@0.1.0";

  /** A failure that a node reports. The caller of the flow sees `message`, so it must not hold secrets. */
  export class NodeError extends Error {
    constructor(code: string, message: string, options?: { blame?: "user" | "system"; cause?: unknown });
    /** A stable name for programs, such as `QuestionTooLong`: letters, digits, `_`, `.` and `-`, at most 64 bytes. */
    readonly code: string;
    readonly blame: "user" | "system";
    /** The input was wrong: status 400. */
    static user(code: string, message: string): NodeError;
    /** The node, or something behind it, failed: status 500. */
    static system(code: string, message: string): NodeError;
  }

  /** A call to the host that failed. */
  export class CallError extends Error {
    readonly kind: CallErrorKind;
    /** The HTTP status of the other side, where there is one. */
    readonly status: number | undefined;
  }

  /** A stream that the host holds and passes on by itself: return it, and no code of the node runs per chunk. */
  export class Relay {
    private constructor();
  }

  export interface Message {
    role: string;
    content?: unknown;
    [more: string]: unknown;
  }

  /** What is asked; anything else is a parameter of the model, such as `temperature`. */
  export interface Chat {
    /** Name of the connection, which the flow grants: `grants: {llm: [NAME]}`. */
    connection: string;
    model?: string;
    messages: Message[];
    [parameter: string]: unknown;
  }

  /** Asks a chat model and waits for the whole answer. Throws `CallError`. */
  export function chat(asks: Chat): Omit<ChatReply, "message" | "raw"> & { text: string; message: Message; raw: any };

  /** Asks a chat model and gives the answer as it is written: iterate over its texts, or return its `relay()`. */
  export function streamChat(asks: Chat): Iterable<string> & { usage(): Usage | null; relay(): Relay };

  /**
   * Asks a chat model for an answer that the host passes on by itself: return it. The model is asked when the node has ended,
   * of which nothing is kept while it thinks; a failure then ends the run, and cannot be caught.
   */
  export function relayChat(asks: Chat): Relay;

  export function complete(asks: {
    connection: string;
    model?: string;
    prompt: string;
    [parameter: string]: unknown;
  }): Omit<CompletionReply, "raw"> & { raw: any };

  /** Embeds texts: one vector for each, in the same order. */
  export function embed(asks: {
    connection: string;
    model?: string;
    inputs: string[];
    [parameter: string]: unknown;
  }): Omit<EmbeddingReply, "vectors"> & { vectors: number[][] };

  /** Runs another node of the flow, which the flow grants: `grants: {nodes: [NAME]}`. Throws its `NodeError`, or `CallError`. */
  export function callNode(node: string, inputs?: Record<string, unknown>): any;

  /** Where this run is: flow, node, request, time left. */
  export function current(): Invocation;
  /** What the flow was initialised with. */
  export function init(): Record<string, any>;
  /** A setting that the flow grants; undefined if there is none. */
  export function config(name: string): string | undefined;

  export type Attribute = string | number | boolean;
  export function setAttribute(key: string, value: Attribute): void;
  export function addEvent(name: string, attributes?: Record<string, Attribute>): void;
  /** Tells a metric of the run. */
  export function logMetric(name: string, value: number): void;

  /** What a node may tell of itself: `export const description: Description = {…}`. */
  export interface Description {
    name?: string;
    version?: string;
    /** One sentence. */
    summary?: string;
    /** JSON Schema (2020-12) of the object that `run` takes. */
    inputs?: object;
    /** JSON Schema of what `context.init` gives. */
    init?: object;
    /** JSON Schema of the value, or of one chunk. */
    output?: object;
    /** Whether the answer may be a stream. */
    streams?: boolean;
  }
}
