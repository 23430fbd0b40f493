// Promises, and the one loop that they and timers run in.
//
// An export of the contract answers when it returns, and the interpreter runs what waits on its own promises only after
// that. So these are ours: esbuild writes `async` and `await` as generators over `Promise`, and `settle` runs the loop.

import { subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.12";

let jobs = [];
const timers = [];
const unhandled = new Set();
let lastTimer = 0;

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

class Promise {
  #state = PENDING;
  #value;
  #reactions = [];

  constructor(executor) {
    if (typeof executor !== "function") throw new TypeError("Promise resolver is not a function");
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  #resolvers() {
    let done = false;
    const once = (act) => (value) => {
      if (done) return;
      done = true;
      act(value);
    };
    return { resolve: once((value) => this.#resolve(value)), reject: once((error) => this.#end(REJECTED, error)) };
  }

  #resolve(value) {
    if (value === this) return this.#end(REJECTED, new TypeError("a promise cannot be resolved with itself"));
    if ((typeof value !== "object" || value === null) && typeof value !== "function")
      return this.#end(FULFILLED, value);
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#end(REJECTED, error);
    }
    if (typeof then !== "function") return this.#end(FULFILLED, value);
    const { resolve, reject } = this.#resolvers();
    jobs.push(() => {
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  #end(state, value) {
    this.#state = state;
    this.#value = value;
    if (state === REJECTED && this.#reactions.length === 0) unhandled.add(this);
    for (const reaction of this.#reactions) jobs.push(reaction);
    this.#reactions = [];
  }

  then(onFulfilled, onRejected) {
    return new this.constructor((resolve, reject) => {
      const react = () => {
        const handler = this.#state === FULFILLED ? onFulfilled : onRejected;
        if (typeof handler !== "function")
          return this.#state === FULFILLED ? resolve(this.#value) : reject(this.#value);
        try {
          resolve(handler(this.#value));
        } catch (error) {
          reject(error);
        }
      };
      unhandled.delete(this);
      if (this.#state === PENDING) this.#reactions.push(react);
      else jobs.push(react);
    });
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(act) {
    if (typeof act !== "function") return this.then(act, act);
    const C = this.constructor;
    return this.then(
      (value) => C.resolve(act()).then(() => value),
      (error) =>
        C.resolve(act()).then(() => {
          throw error;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static resolve(value) {
    return value instanceof Promise && value.constructor === this ? value : new this((resolve) => resolve(value));
  }

  static reject(error) {
    return new this((_, reject) => reject(error));
  }

  static withResolvers() {
    const made = {};
    made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
    return made;
  }

  static try(act, ...args) {
    return new this((resolve) => resolve(act(...args)));
  }

  static all(promises) {
    return this.#gather(promises, (each, at, { values, finish, reject }) =>
      each.then((value) => finish((values[at] = value)), reject),
    );
  }

  static allSettled(promises) {
    return this.#gather(promises, (each, at, { values, finish }) =>
      each.then(
        (value) => finish((values[at] = { status: "fulfilled", value })),
        (reason) => finish((values[at] = { status: "rejected", reason })),
      ),
    );
  }

  static any(promises) {
    const failed = (errors) => Promise.reject(new AggregateError(errors, "all promises were rejected"));
    return this.#gather(
      promises,
      (each, at, { values, finish, resolve }) => each.then(resolve, (error) => finish((values[at] = error))),
      failed,
    );
  }

  static race(promises) {
    return new this((resolve, reject) => {
      for (const each of promises) this.resolve(each).then(resolve, reject);
    });
  }

  static #gather(promises, follow, end = (values) => values) {
    return new this((resolve, reject) => {
      const values = [];
      let open = 1;
      const finish = () => {
        open -= 1;
        if (open === 0) resolve(end(values));
      };
      let at = 0;
      for (const each of promises) {
        open += 1;
        values.push(undefined);
        follow(this.resolve(each), at, { values, finish, resolve, reject });
        at += 1;
      }
      finish();
    });
  }

  /** Runs all that waits until the promise is settled. Gives its value, or throws what it was rejected with. */
  static settle(promise) {
    const settled = Promise.resolve(promise);
    unhandled.delete(settled);
    for (;;) {
      drain();
      if (settled.#state !== PENDING) break;
      if (timers.length === 0) throw new Error("the node waits for a promise that nothing will ever settle");
      nextTimer();
    }
    unhandled.delete(settled);
    for (const lost of unhandled) console.warn("a promise was rejected, and nobody handled it:", lost.#value);
    unhandled.clear();
    if (settled.#state === REJECTED) throw settled.#value;
    return settled.#value;
  }
}

function drain() {
  while (jobs.length > 0) {
    // What is done is let go of: a long stream is one loop.
    const batch = jobs;
    jobs = [];
    for (const job of batch) job();
  }
}

function nextTimer() {
  timers.sort((one, other) => one.at - other.at || one.id - other.id);
  const timer = timers[0];
  const wait = timer.at - Date.now();
  if (wait > 0) {
    const pollable = subscribeDuration(wait * 1_000_000);
    pollable.block();
    pollable[Symbol.dispose]();
  }
  if (timer.every === undefined) timers.shift();
  else timer.at += Math.max(timer.every, 1);
  timer.act();
}

function addTimer(act, delay, args, repeats) {
  const wait = Math.max(Number(delay) || 0, 0);
  lastTimer += 1;
  timers.push({ id: lastTimer, at: Date.now() + wait, every: repeats ? wait : undefined, act: () => act(...args) });
  return lastTimer;
}

function removeTimer(id) {
  const at = timers.findIndex((timer) => timer.id === id);
  if (at >= 0) timers.splice(at, 1);
}

async function fromAsync(items, map = (item) => item) {
  const list = [];
  for await (const item of items[Symbol.asyncIterator] || items[Symbol.iterator] ? items : Array.from(items)) {
    list.push(await map(item, list.length));
  }
  return list;
}

export const settle = Promise.settle;
// It is no part of what nodes see.
delete Promise.settle;

export function install() {
  Object.defineProperty(globalThis, "Promise", { value: Promise, writable: true, configurable: true });
  Array.fromAsync = fromAsync;
  globalThis.queueMicrotask = (act) => void jobs.push(act);
  globalThis.setTimeout = (act, delay, ...args) => addTimer(act, delay, args, false);
  globalThis.setInterval = (act, delay, ...args) => addTimer(act, delay, args, true);
  globalThis.setImmediate = (act, ...args) => addTimer(act, 0, args, false);
  globalThis.clearTimeout = removeTimer;
  globalThis.clearInterval = removeTimer;
  globalThis.clearImmediate = removeTimer;
}
