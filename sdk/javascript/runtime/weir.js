// The module `weir`: what the host can do for a node, where the plain imports of the contract are clumsy.

import * as context from "weir:flow/context@0.1.0";
import * as llm from "weir:flow/llm@0.1.0";
import * as nodes from "weir:flow/nodes@0.1.0";
import * as store from "wasi:config/store@0.2.0-rc.1";

import { asked } from "./errors.js";

export { CallError, NodeError } from "./errors.js";

/** A stream that the host holds and passes on by itself: return it, and no code of the node runs per chunk. */
export class Relay {
  #chunks;

  constructor(chunks) {
    this.#chunks = chunks;
  }

  /** Once: the host's own handle of it. */
  take() {
    return this.#chunks;
  }
}

function request({ connection, model = "", messages, ...parameters }) {
  return { connection, model, messages: JSON.stringify(messages), parameters: JSON.stringify(parameters) };
}

/** Asks a chat model and waits for the whole answer. What is not named here is a parameter of the model. */
export function chat(asks) {
  const reply = asked(() => llm.chat(request(asks)));
  const message = JSON.parse(reply.message);
  return { ...reply, message, text: message.content ?? "", raw: JSON.parse(reply.raw) };
}

/** Asks a chat model and gives the answer as it is written: iterate over its texts, or return its `relay()`. */
export function streamChat(asks) {
  const stream = asked(() => llm.streamChat(request(asks)));
  return {
    *[Symbol.iterator]() {
      for (let delta = next(); delta; delta = next()) if (delta.content) yield delta.content;
    },
    /** What the answer cost, at its end. */
    usage: () => stream.usage(),
    relay: () => new Relay(llm.text(stream)),
  };
  function next() {
    return asked(() => stream.next());
  }
}

/** Asks a chat model for an answer that the host passes on by itself: return it. The model is asked when the node has ended. */
export function relayChat(asks) {
  return new Relay(llm.relayChat(request(asks)));
}

/** Asks a completion model. */
export function complete({ connection, model = "", prompt, ...parameters }) {
  const reply = asked(() => llm.complete({ connection, model, prompt, parameters: JSON.stringify(parameters) }));
  return { ...reply, raw: JSON.parse(reply.raw) };
}

/** Embeds texts: one vector for each, in the same order. */
export function embed({ connection, model = "", inputs, ...parameters }) {
  const reply = asked(() => llm.embed({ connection, model, inputs, parameters: JSON.stringify(parameters) }));
  return { ...reply, vectors: reply.vectors.map((vector) => Array.from(vector)) };
}

/** Runs another node of the flow and gives its value. */
export function callNode(node, inputs = {}) {
  return JSON.parse(asked(() => nodes.call(node, JSON.stringify(inputs))));
}

/** Where this run is: flow, node, request, time left. */
export const current = () => context.current();

/** What the flow was initialised with. */
export const init = () => JSON.parse(context.init());

/** A setting that the flow grants; undefined if there is none. */
export const config = (name) => asked(() => store.get(name)) ?? undefined;

/** Sets an attribute of the node's span. */
export const setAttribute = (key, value) => context.setAttribute(key, attribute(value));

/** Adds an event to the node's span. */
export const addEvent = (name, attributes = {}) =>
  context.addEvent(
    name,
    Object.entries(attributes).map(([key, value]) => [key, attribute(value)]),
  );

/** Tells a metric of the run. */
export const logMetric = (name, value) => context.logMetric(name, value);

function attribute(value) {
  if (typeof value === "boolean") return { tag: "boolean", val: value };
  if (typeof value === "number")
    return Number.isInteger(value) ? { tag: "integer", val: value } : { tag: "double", val: value };
  return { tag: "text", val: String(value) };
}
