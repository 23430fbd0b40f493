// Makes the contract's `handler` of what a node's module exports.

import { emit } from "weir:flow/output@0.1.0";

import { began } from "./console.js";
import { toHost, NodeError } from "./errors.js";
import { settle } from "./promise.js";
import { Relay } from "./weir.js";

/** A node's module, as `import * as` gives it, in the file of this name. */
export function serve(node, { file, name }) {
  const own = typeof node.default === "object" && node.default !== null ? node.default : {};
  const run = node.run ?? own.run ?? node.default;
  if (typeof run !== "function") {
    throw new TypeError(`${file}: exports no function; write \`export function run(inputs) { … }\``);
  }
  const description = node.description ?? own.description ?? {};
  const streams = run.constructor?.name === "GeneratorFunction" ? { streams: true } : {};
  const told = JSON.stringify({ name, ...streams, ...description });
  return {
    run(inputs) {
      began();
      try {
        return settle(answer(run, inputs));
      } catch (error) {
        if (!(error instanceof NodeError)) console.debug(error);
        throw toHost(error);
      }
    },
    describe: () => told,
  };
}

async function answer(run, inputs) {
  const given = await run(JSON.parse(inputs));
  if (given instanceof Relay) return { tag: "relayed", val: given.take() };
  if (!isStream(given)) return { tag: "value", val: json(given) };
  for await (const chunk of given) {
    try {
      emit(json(chunk));
    } catch (closed) {
      // Nobody reads any more. That is not the node's failure: it stops and is done.
      if ((closed?.payload ?? closed) === "gone") break;
      throw NodeError.system("StreamLimit", "the stream is longer than the node's limits allow");
    }
  }
  return { tag: "emitted" };
}

/** What a generator gives, or another iterator; a list, a text and a map are values. */
function isStream(given) {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false;
  return (
    typeof given[Symbol.asyncIterator] === "function" || (typeof given.next === "function" && Symbol.iterator in given)
  );
}

function json(value) {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    throw NodeError.system("InvalidOutput", `the output is not JSON: ${error.message}`);
  }
}
