// What is there without an import, beside what the language has: see sdk/javascript/README.md.

interface Console {
  debug(...values: unknown[]): void;
  trace(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  dir(value: unknown): void;
  assert(holds: unknown, ...values: unknown[]): void;
}
/** Each line is a log record of the node's span. */
declare const console: Console;

declare function setTimeout(act: (...args: any[]) => void, delay?: number, ...args: unknown[]): number;
declare function setInterval(act: (...args: any[]) => void, delay?: number, ...args: unknown[]): number;
declare function setImmediate(act: (...args: any[]) => void, ...args: unknown[]): number;
declare function clearTimeout(id: number | undefined): void;
declare function clearInterval(id: number | undefined): void;
declare function clearImmediate(id: number | undefined): void;
declare function queueMicrotask(act: () => void): void;
declare function btoa(text: string): string;
declare function atob(text: string): string;

declare const crypto: {
  /** Fills it, with at most 65,536 bytes. */
  getRandomValues<T extends ArrayBufferView>(view: T): T;
  randomUUID(): string;
};

/** UTF-8 alone. */
declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}
/** UTF-8 alone. */
declare class TextDecoder {
  constructor(label?: "utf-8" | "utf8", options?: { fatal?: boolean });
  readonly encoding: "utf-8";
  decode(bytes?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string;
}

type HeadersInit = Headers | [string, string][] | Record<string, string>;
declare class Headers {
  constructor(from?: HeadersInit);
  append(name: string, value: string): void;
  set(name: string, value: string): void;
  get(name: string): string | null;
  has(name: string): boolean;
  delete(name: string): void;
  forEach(act: (value: string, name: string, headers: Headers) => void): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}
interface Response {
  readonly status: number;
  readonly ok: boolean;
  readonly statusText: string;
  readonly headers: Headers;
  readonly url: string;
  readonly redirected: boolean;
  readonly bodyUsed: boolean;
  /** The body as it comes. */
  readonly body: AsyncIterable<Uint8Array>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
  text(): Promise<string>;
  json(): Promise<any>;
}
/** Asks a service that the flow grants: `grants: {http: ["https://…"]}`. A request without an answer is a `TypeError`. */
declare function fetch(
  resource: string | { href: string },
  options?: { method?: string; headers?: HeadersInit; body?: string | ArrayBuffer | ArrayBufferView | null },
): Promise<Response>;
