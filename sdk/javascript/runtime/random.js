// `Math.random` and `crypto`: the interpreter's own numbers come from a seed that is part of the component.

import { getRandomBytes } from "wasi:random/random@0.2.12";

/** Most bytes at once, as everywhere. */
const MOST = 65536;

function random() {
  const bytes = getRandomBytes(7);
  // 53 bits.
  return bytes.reduce((sum, byte, at) => sum + (at === 0 ? byte & 0x1f : byte) * 256 ** (6 - at), 0) / 2 ** 53;
}

function getRandomValues(view) {
  if (view.byteLength > MOST) throw new RangeError(`at most ${MOST} random bytes at once`);
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(getRandomBytes(view.byteLength));
  return view;
}

function randomUUID() {
  const bytes = getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export function install() {
  Math.random = random;
  globalThis.crypto = { getRandomValues, randomUUID };
}
