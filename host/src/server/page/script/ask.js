// The service: where it is, the key it may ask for, a question and its answer, whole or as a stream.

/** Also right behind a prefix without a slash at its end. */
const BASE = location.pathname.replace(/\/?$/, "/");

const keys = {
  get: () => sessionStorage.getItem(`weir-key ${BASE}`),
  set: (key) => sessionStorage.setItem(`weir-key ${BASE}`, key),
  forget: () => sessionStorage.removeItem(`weir-key ${BASE}`),
};

/** Asks the person for a key. Whether there is a new one. */
function askForKey(why) {
  const dialog = byId("keys");
  const usual = byId("keys-why").dataset.usual ??= byId("keys-why").textContent;
  byId("keys-why").textContent = why ? `${why} ${usual}` : usual;
  byId("keys-value").value = keys.get() ?? "";
  byId("keys-forget").hidden = !keys.get();
  byId("keys-cancel").onclick = () => dialog.close("cancel");
  byId("keys-forget").onclick = () => dialog.close("forget");
  // What the Escape key leaves.
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const key = byId("keys-value").value.trim();
      byId("keys-value").value = "";
      if (dialog.returnValue === "forget") keys.forget();
      const isNew = dialog.returnValue === "use" && key !== "";
      if (isNew) keys.set(key);
      resolve(isNew);
    }, { once: true });
  });
}

/** The deployment that a person has chosen; empty if the service is to choose. */
let deployment = "";

/** `fetch` of a path of the service, with the key. Asks for one when the service does. */
async function call(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const key = keys.get();
    const all = { ...headers };
    if (key) all.authorization = `Bearer ${key}`;
    if (deployment) all["azureml-model-deployment"] = deployment;
    const response = await fetch(BASE + path, { ...options, headers: all, credentials: "same-origin" });
    if (response.status !== 401) return response;
    const why = key ? "The service does not take this key." : "The service asks for a key.";
    if (options.signal?.aborted || !(await askForKey(why))) return response;
  }
}

/** Server-sent events from text that comes in pieces: gives `{ event, data }` for each. */
class Events {
  #rest = "";
  #event = "";
  #data = [];

  *read(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (this.#data.length > 0) yield { event: this.#event || "message", data: this.#data.join("\n") };
        this.#event = "";
        this.#data = [];
        continue;
      }
      // A line that begins with a colon is a comment.
      const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (field === "event") this.#event = value ?? "";
      if (field === "data") this.#data.push(value ?? "");
    }
  }
}

/** What became of a question. */
class Answer {
  started = performance.now();
  status = 0;
  /** Outputs by name, or the one value of a flow that has no names for them: see `isNamed`. */
  value = undefined;
  isNamed = false;
  isStream = false;
  problem = null;
  traceId = null;
  feedbackToken = null;
  retryAfter = null;
  /** The deployment that answered, where there are several. */
  deployment = null;
  firstAfter = null;
  endedAfter = null;
  wasStopped = false;

  /** The outputs as a chat history has them. */
  get outputs() {
    return this.isNamed ? this.value : { output: this.value };
  }

  /** A frame of a stream: the first time an output occurs it is whole, or the first part of the one that streams. */
  take(frame) {
    this.firstAfter ??= performance.now() - this.started;
    this.isNamed = true;
    this.value ??= {};
    for (const [name, part] of Object.entries(frame)) {
      const before = this.value[name];
      const isNew = !Object.hasOwn(this.value, name);
      Object.defineProperty(this.value, name, {
        value: isNew ? part : textOf(before) + textOf(part), enumerable: true, writable: true, configurable: true,
      });
    }
  }
}

const textOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/**
 * Sends `body` to the flow. `changed` is called with the answer whenever there is more of it; the promise gives it once
 * it is complete. It never fails: `problem` of the answer says what went wrong.
 */
async function ask(body, signal, changed) {
  const answer = new Answer();
  try {
    const response = await call("score", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream;done=true, application/json" },
      body,
      signal,
    });
    answer.status = response.status;
    answer.traceId = response.headers.get("x-trace-id");
    answer.feedbackToken = response.headers.get("x-feedback-token");
    answer.deployment = response.headers.get("azureml-model-deployment");
    answer.retryAfter = response.headers.get("retry-after");
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok) answer.problem = problemOf(await response.text(), response);
    else if (type.startsWith("text/event-stream")) await stream(response, answer, changed);
    else whole(await response.text(), answer, response);
  } catch (error) {
    if (signal.aborted) answer.wasStopped = true;
    else answer.problem = broken(answer, error);
  }
  answer.endedAfter = performance.now() - answer.started;
  changed(answer);
  return answer;
}

function whole(text, answer, response) {
  try {
    answer.value = JSON.parse(text);
  } catch {
    answer.problem = problemOf(text, response);
    return;
  }
  answer.isNamed = flow.isNamed && answer.value !== null && typeof answer.value === "object" && !Array.isArray(answer.value);
}

async function stream(response, answer, changed) {
  answer.isStream = true;
  const events = new Events();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  changed(answer);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    for (const { event, data } of events.read(value)) {
      if (event === "error") answer.problem = problemOf(data, null);
      else if (event === "done") ended(JSON.parse(data), answer);
      else if (event === "message") answer.take(JSON.parse(data));
    }
    changed(answer);
  }
}

function ended(frame, answer) {
  answer.traceId = frame.trace_id ?? answer.traceId;
  answer.feedbackToken = frame.feedback_token ?? answer.feedbackToken;
}

/** A failure as the service tells it, or whatever came instead: a proxy may have answered. */
function problemOf(text, response) {
  const status = response ? `${response.status} ${response.statusText}`.trim() : "";
  try {
    const { code, message, innerError, details } = JSON.parse(text).error;
    return { status, title: innerError?.code ?? code, message: String(message), node: details?.node, isOurs: code === "UserError" };
  } catch {
    return { status, title: "This is no answer of the flow", message: text.slice(0, 500), isOurs: null };
  }
}

function broken(answer, error) {
  const [title, message] = answer.status
    ? ["Connection lost", "The answer is not complete."]
    : ["No connection", "The service could not be reached."];
  return { status: "", title, message: `${message} (${error.message})`, isOurs: null };
}

/** Sends what a person thinks of an answer. Gives what went wrong, or null. */
async function rate(answer, isGood, comment) {
  const headers = { "content-type": "application/json" };
  if (answer.feedbackToken) headers["x-feedback-token"] = answer.feedbackToken;
  // A service without tokens finds the answer by its trace.
  else if (answer.traceId) headers.traceparent = `00-${answer.traceId}-${randomId()}-01`;
  const body = { score: isGood ? 1 : 0, label: isGood ? "thumbs up" : "thumbs down" };
  if (comment) body.comment = comment;
  const text = JSON.stringify(body);
  // The same again, after a failure on the way, counts once.
  if (answer.rated?.text !== text) answer.rated = { text, id: randomId() };
  headers["idempotency-key"] = answer.rated.id;
  const response = await call("feedback?flatten=true", { method: "POST", headers, body: text });
  return response.ok ? null : problemOf(await response.text(), response);
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
