// Makes types/contract.d.ts of wit/, by jco; with `--check` tells whether it is of the WIT that is there.
//
//     node types.mjs FOLDER     # with @bytecodealliance/jco-transpile in its node_modules: `make types` does it all

import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const WIT = path.join(HERE, "..", "..", "wit");
const MADE = path.join(HERE, "types", "contract.d.ts");

function digest() {
  const all = createHash("sha256");
  const files = fs.readdirSync(WIT, { recursive: true }).filter((name) => name.endsWith(".wit"));
  for (const name of files.sort()) all.update(name).update(fs.readFileSync(path.join(WIT, name)));
  return all.digest("hex");
}

async function made() {
  const jco = createRequire(path.resolve(process.argv[2], "package.json")).resolve("@bytecodealliance/jco-transpile");
  // jco reads WIT as a component in a sandbox of its own, which sees no folder unless it is given one.
  const shim = createRequire(jco).resolve("@bytecodealliance/preview2-shim/filesystem");
  const { _addPreopen } = await import(pathToFileURL(shim));
  _addPreopen("/", "/");
  const { generateGuestTypes } = await import(pathToFileURL(jco));
  const files = await generateGuestTypes(WIT, { name: "node", worldName: "node", outDir: "" });
  const interfaces = Object.entries(files).filter(([name]) => name.startsWith("interfaces/"));
  return interfaces.map(([, bytes]) => asTheBackEndHasIt(Buffer.from(bytes).toString("utf8"))).join("\n");
}

/** jco's types are those of its own engine; in QuickJS's, 64-bit integers are numbers, and what is absent is null. */
function asTheBackEndHasIt(text) {
  return text
    .replace(/^\/\/\/.*\n/gm, "")
    .replace(/\bbigint\b/g, "number")
    .replace(/ \| undefined\b/g, " | null")
    .replace(/^( +\w+\?: .+),$/gm, "$1 | null,")
    .replace(/[ \t]+$/gm, "");
}

const head = `// The contract of wit/ as TypeScript. Made by sdk/javascript/types.mjs; nothing here is written by hand.\n// sha256 of the WIT: ${digest()}\n\n`;
if (!process.argv.includes("--check")) {
  fs.writeFileSync(MADE, head + (await made()));
} else if (!fs.readFileSync(MADE, "utf8").startsWith(head)) {
  console.error("types/contract.d.ts is of another WIT than wit/; `node sdk/javascript/types.mjs` makes it anew");
  process.exitCode = 1;
}
