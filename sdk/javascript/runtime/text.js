// `TextEncoder` and `TextDecoder`, which the interpreter does not have. UTF-8 alone.

class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    const bytes = [];
    for (const char of String(text).toWellFormed()) {
      const code = char.codePointAt(0);
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(code));
      else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(code >> 6), tail(code));
      else bytes.push(0xf0 | (code >> 18), tail(code >> 12), tail(code >> 6), tail(code));
    }
    return new Uint8Array(bytes);
  }
}

const tail = (code) => 0x80 | (code & 0x3f);

/** The least code that needs so many bytes: what is written longer than it must be is no UTF-8. */
const LEAST = [0, 0, 0x80, 0x800, 0x10000];

class TextDecoder {
  encoding = "utf-8";
  #fatal;
  #left = [];

  constructor(label = "utf-8", { fatal = false } = {}) {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder knows utf-8, not ${label}`);
    this.#fatal = fatal;
  }

  decode(input, { stream = false } = {}) {
    const given = input === undefined ? [] : input instanceof ArrayBuffer ? new Uint8Array(input) : bytesOf(input);
    const bytes = this.#left.length > 0 ? [...this.#left, ...given] : given;
    this.#left = [];
    const parts = [];
    let at = 0;
    while (at < bytes.length) {
      const first = bytes[at];
      const length =
        first < 0x80
          ? 1
          : first >= 0xc2 && first < 0xe0
            ? 2
            : first >= 0xe0 && first < 0xf0
              ? 3
              : first >= 0xf0 && first < 0xf5
                ? 4
                : 0;
      let code = length === 1 ? first : first & (0x7f >> length);
      let read = 1;
      while (read < length && (bytes[at + read] & 0xc0) === 0x80) {
        code = (code << 6) | (bytes[at + read] & 0x3f);
        read += 1;
      }
      if (length > 0 && read < length && at + read >= bytes.length && stream) {
        this.#left = Array.from(bytes.slice(at));
        break;
      }
      const isCode =
        length > 0 && read === length && code >= LEAST[length] && code <= 0x10ffff && (code & 0xfffff800) !== 0xd800;
      if (!isCode && this.#fatal) throw new TypeError("the bytes are no UTF-8");
      parts.push(isCode ? String.fromCodePoint(code) : "\ufffd");
      at += Math.max(read, 1);
    }
    const text = parts.join("");
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  }
}

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export function install() {
  globalThis.TextEncoder ??= TextEncoder;
  globalThis.TextDecoder ??= TextDecoder;
}
