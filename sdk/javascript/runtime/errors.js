// What a node throws, and what a call to the host throws; and what the host is told of either.

/** A failure that a node reports. The caller of the flow sees `message`, so it must not hold secrets. */
export class NodeError extends Error {
  /**
   * @param {string} code a stable name for programs, such as `QuestionTooLong`
   * @param {string} message one sentence for a person
   * @param {{blame?: 'user' | 'system', cause?: unknown}} [options] who has to act: `user` becomes status 400
   */
  constructor(code, message, { blame = "system", cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "NodeError";
    this.code = code;
    this.blame = blame;
  }

  /** The input was wrong: the caller can succeed by sending another. */
  static user(code, message) {
    return new NodeError(code, message, { blame: "user" });
  }

  /** The node, or something behind it, failed. */
  static system(code, message) {
    return new NodeError(code, message);
  }
}

/** A call to the host that failed. `kind` is one of `call-error-kind` in wit/types.wit, such as `not-granted`. */
export class CallError extends Error {
  constructor({ kind, status, message }) {
    super(message);
    this.name = "CallError";
    this.kind = kind;
    this.status = status ?? undefined;
  }
}

/** The host's word for a failure, as an error: `call` does something, and what it throws is made one. */
export function asked(call) {
  try {
    return call();
  } catch (thrown) {
    throw fromHost(thrown);
  }
}

function fromHost(thrown) {
  const told = thrown?.payload ?? thrown;
  // Of `nodes.call`: the other node has failed, or was not run to its end.
  if (told?.tag === "failed") return new NodeError(told.val.code, told.val.message, { blame: told.val.blame });
  if (told?.tag === "refused") return new CallError(told.val);
  return typeof told?.kind === "string" && typeof told.message === "string" ? new CallError(told) : thrown;
}

/** A code as the contract wants it. */
const CODE = /^[A-Za-z0-9_.-]{1,64}$/;

/** What the host is told of anything that was thrown: a `node-error`. */
export function toHost(thrown) {
  const error = fromHost(thrown);
  if (error instanceof CallError) {
    const code = error.kind.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase());
    // What a node asks for comes from its inputs.
    const blame = ["invalid-request", "rejected"].includes(error.kind) ? "user" : "system";
    return { blame, code, message: error.message };
  }
  if (error instanceof NodeError) {
    return {
      blame: error.blame === "user" ? "user" : "system",
      code: code(error.code),
      message: String(error.message),
    };
  }
  if (error instanceof Error) return { blame: "system", code: code(error.name), message: error.message || error.name };
  return { blame: "system", code: "NodeError", message: `the node threw ${shown(error)}` };
}

function code(name) {
  return typeof name === "string" && CODE.test(name) ? name : "NodeError";
}

function shown(value) {
  try {
    return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  } catch {
    return String(value);
  }
}
