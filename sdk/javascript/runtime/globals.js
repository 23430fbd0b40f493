// What JavaScript programs expect everywhere, and the interpreter does not have.

import * as console from "./console.js";
import * as fetch from "./fetch.js";
import * as promise from "./promise.js";
import * as random from "./random.js";
import * as text from "./text.js";

for (const part of [console, promise, random, text, fetch]) part.install();
globalThis.self ??= globalThis;
globalThis.global ??= globalThis;
