// `fetch` over wasi:http: whom a node may ask is what its flow grants. A body is sent whole, and read as it comes.

import { handle } from "wasi:http/outgoing-handler@0.2.12";
import { Fields, OutgoingBody, OutgoingRequest } from "wasi:http/types@0.2.12";

/** Most bytes that the host takes at once. */
const CHUNK = 4096;
const READ = 65536;

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

class Headers {
  #values = new Map();

  constructor(from = []) {
    const pairs = from instanceof Headers || Array.isArray(from) ? from : Object.entries(from ?? {});
    for (const [name, value] of pairs) this.append(name, value);
  }

  append(name, value) {
    const key = String(name).toLowerCase();
    this.#values.set(key, this.#values.has(key) ? `${this.#values.get(key)}, ${value}` : String(value));
  }

  set(name, value) {
    this.#values.set(String(name).toLowerCase(), String(value));
  }

  get(name) {
    return this.#values.get(String(name).toLowerCase()) ?? null;
  }

  has(name) {
    return this.#values.has(String(name).toLowerCase());
  }

  delete(name) {
    this.#values.delete(String(name).toLowerCase());
  }

  forEach(act) {
    for (const [name, value] of this) act(value, name, this);
  }

  entries() {
    return this.#values.entries();
  }

  keys() {
    return this.#values.keys();
  }

  values() {
    return this.#values.values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

class Response {
  #pieces;
  bodyUsed = false;

  constructor({ status, headers, url, pieces }) {
    Object.assign(this, { status, headers, url, ok: status >= 200 && status < 300, statusText: "", redirected: false });
    this.#pieces = pieces;
  }

  /** The body as it comes: an async iterable of `Uint8Array`. */
  get body() {
    return this.#read();
  }

  async *#read() {
    if (this.bodyUsed) throw new TypeError("the body has been read already");
    this.bodyUsed = true;
    yield* this.#pieces;
  }

  async bytes() {
    const pieces = [];
    for await (const piece of this.#read()) pieces.push(piece);
    return joined(pieces);
  }

  async arrayBuffer() {
    return (await this.bytes()).buffer;
  }

  async text() {
    return new TextDecoder().decode(await this.bytes());
  }

  async json() {
    return JSON.parse(await this.text());
  }
}

function joined(pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function fetch(resource, { method = "GET", headers, body } = {}) {
  const url = String(resource?.href ?? resource);
  const [, scheme, authority, path] = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(url) ?? [];
  if (!scheme) throw new TypeError(`fetch: ${JSON.stringify(url)} is no address; expected http://… or https://…`);
  const verb = METHODS.includes(method.toUpperCase()) ? method.toUpperCase() : method;
  const sent = new Headers(headers);
  const bytes = bodyOf(body, sent);
  const encoder = new TextEncoder();
  try {
    const fields = Fields.fromList([...sent].map(([name, value]) => [name, encoder.encode(value)]));
    const request = new OutgoingRequest(fields);
    const tag = verb.toLowerCase();
    request.setMethod(METHODS.includes(verb) ? { tag } : { tag: "other", val: verb });
    request.setScheme({ tag: scheme.toUpperCase() });
    request.setAuthority(authority);
    request.setPathWithQuery(path.startsWith("/") ? path : `/${path}`);
    const outgoing = request.body();
    const future = handle(request, undefined);
    write(outgoing, bytes);
    return answer(future, url);
  } catch (thrown) {
    throw failed(url, thrown);
  }
}

/** A body's bytes, and the type that goes with them where none is given. */
function bodyOf(body, headers) {
  if (body === undefined || body === null) return undefined;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  if (typeof body !== "string") throw new TypeError("fetch: a body is a text, an ArrayBuffer or a view of one");
  if (!headers.has("content-type")) headers.set("content-type", "text/plain;charset=UTF-8");
  return new TextEncoder().encode(body);
}

function write(outgoing, bytes) {
  if (bytes) {
    const stream = outgoing.write();
    for (let at = 0; at < bytes.length; at += CHUNK) stream.blockingWriteAndFlush(bytes.slice(at, at + CHUNK));
    stream[Symbol.dispose]();
  }
  OutgoingBody.finish(outgoing, undefined);
}

function answer(future, url) {
  const pollable = future.subscribe();
  pollable.block();
  pollable[Symbol.dispose]();
  const got = future.get();
  future[Symbol.dispose]();
  // Whether it was asked before, and then what came of the request.
  const result = got?.tag === "ok" ? got.val : got;
  if (result?.tag !== "ok") throw result?.val ?? result;
  const response = result.val;
  const decoder = new TextDecoder();
  const fields = response.headers();
  const headers = new Headers(fields.entries().map(([name, value]) => [name, decoder.decode(bytes(value))]));
  fields[Symbol.dispose]();
  return new Response({ status: response.status(), headers, url, pieces: pieces(response, url) });
}

const bytes = (list) => (list instanceof Uint8Array ? list : new Uint8Array(list));

function* pieces(response, url) {
  const body = response.consume();
  const stream = body.stream();
  try {
    for (;;) yield bytes(stream.blockingRead(READ));
  } catch (thrown) {
    const told = thrown?.payload ?? thrown;
    if (told?.tag !== "closed") throw failed(url, thrown);
  } finally {
    stream[Symbol.dispose]();
    body[Symbol.dispose]();
    response[Symbol.dispose]();
  }
}

/** As everywhere, a request that had no answer is a `TypeError`. */
function failed(url, thrown) {
  if (thrown instanceof Error && thrown.payload === undefined) return thrown;
  const told = thrown?.payload ?? thrown;
  const reason = typeof told?.val === "string" ? `${told.tag}: ${told.val}` : (told?.tag ?? JSON.stringify(told));
  return new TypeError(`fetch: ${url.replace(/[?#].*/, "")}: ${reason}`);
}

export function install() {
  Object.assign(globalThis, { fetch, Headers, Response });
}
