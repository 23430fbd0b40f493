// Builds the component of one node: the steps of `weir build`, for trying the runtime and as their reference.
//
//     node build.mjs FLOW_DIR --entry FILE_OR_FOLDER --output node.wasm --environment FOLDER [--npm-cache FOLDER]
//
// What is wrong with the node is printed as objects, one a line: {"weir_failed": "lib.js:3:8: …"}. Other lines are for
// people. `--environment` keeps what npm installs between builds; `--npm-cache` is a cache that npm takes it from
// instead of asking a registry.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { builtinModules, createRequire, SourceMap } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.join(HERE, "..", "..");
const OLDEST = 20;

// What the back end's own linker has as well, but with other types of its resources, so that an import of wasi:http does
// not fit. Under another name it fits while the component is built; it has its true name in the component again. The
// versions differ from those that the interpreter imports, since a component imports no name twice.
const HIDDEN = ["wasi:http", "wasi:io", "wasi:clocks"];
const hidden = (text) => text.replace(/wasi:(http|io|clocks)/g, "wasx:$1").replace(/@0\.2\.12/g, "@0.2.9");

/** What to do without a module of Node, by its name. */
const INSTEAD = {
  fs: "import a JSON file, or let the flow give the node its text as an input",
  http: 'use `fetch`, and let the flow grant the host: `grants: {http: ["https://…"]}`',
  crypto: "`crypto.randomUUID()` and `crypto.getRandomValues()` are there; for digests take a package of npm",
  process:
    "read settings by `config(name)` of the module `weir`, and let the flow grant them: `grants: {config: [NAME]}`",
  timers: "`setTimeout` and `setInterval` are there without an import",
  child_process: "a node starts no programs",
  worker_threads: "a node has one thread; let the flow run several nodes",
};
for (const like of ["https", "http2", "net", "tls", "dgram", "dns"]) INSTEAD[like] = INSTEAD.http;
INSTEAD.cluster = INSTEAD.worker_threads;
INSTEAD.os = INSTEAD.process;

const failures = [];

async function main() {
  if (Number(process.versions.node.split(".")[0]) < OLDEST) {
    fail(
      `Node.js ${process.versions.node} is too old to build nodes; install ${OLDEST} or later (https://nodejs.org), or name one with --node`,
    );
    return;
  }
  const { folder, entry, output, environment: home, "npm-cache": cache } = options(process.argv.slice(2));
  const tools = environment(home, cache);
  if (!tools) return;
  const esbuild = await import(pathToFileURL(tools.resolve("esbuild")));
  const { componentize } = await import(pathToFileURL(tools.resolve("componentize-qjs")));
  const file = entryFile(entry);
  if (!file) return;
  const shown = path.relative(folder, file);
  const bundle = await bundled(esbuild.default ?? esbuild, folder, file, shown);
  if (!bundle) return;
  const work = path.join(path.dirname(output), "bundle");
  fs.mkdirSync(work, { recursive: true });
  const jsPath = path.join(work, "node.js");
  fs.writeFileSync(jsPath, bundle.code);
  try {
    const made = await componentize({
      witPath: contract(work),
      world: "javascript-node",
      jsSource: bundle.code,
      jsPath,
      moduleRoot: work,
      sync: true,
    });
    fs.writeFileSync(output, trueNames(made.component));
  } catch (error) {
    fail(atItsPlace(error.message, bundle.map, shown));
  }
}

function fail(message) {
  failures.push(message);
  console.log(JSON.stringify({ weir_failed: message }));
}

function options([folder, ...rest]) {
  const given = { folder: path.resolve(folder) };
  for (let at = 0; at + 1 < rest.length; at += 2) given[rest[at].replace(/^--/, "")] = path.resolve(rest[at + 1]);
  return given;
}

/** Where esbuild and the back end are, as the lock file has them: installed once, for all flows. */
function environment(home, cache) {
  const lock = fs.readFileSync(path.join(HERE, "package-lock.json"));
  const folder = path.join(home, createHash("sha256").update(lock).digest("hex").slice(0, 16));
  if (!fs.existsSync(folder)) {
    console.log(`installing esbuild and jco's QuickJS back end into ${folder}, once`);
    fs.mkdirSync(home, { recursive: true });
    const unfinished = fs.mkdtempSync(path.join(home, "unfinished-"));
    for (const name of ["package.json", "package-lock.json"])
      fs.copyFileSync(path.join(HERE, name), path.join(unfinished, name));
    const problem = install(unfinished, cache);
    if (problem) {
      fs.rmSync(unfinished, { recursive: true, force: true });
      fail(problem);
      return undefined;
    }
    try {
      fs.renameSync(unfinished, folder);
    } catch {
      // Another build was first.
      fs.rmSync(unfinished, { recursive: true, force: true });
    }
  }
  return createRequire(path.join(folder, "package.json"));
}

/** What is wrong, if it cannot be installed. */
function install(folder, cache) {
  // `--ignore-scripts`: both come as built files, and nothing has to run.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  if (cache) args.push("--offline", "--cache", cache);
  const beside = path.dirname(fs.realpathSync(process.execPath));
  const cli = path.join(beside, "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  const [program, ...first] = fs.existsSync(cli) ? [process.execPath, cli] : ["npm"];
  const done = spawnSync(program, [...first, ...args], { cwd: folder, encoding: "utf8" });
  if (done.error?.code === "ENOENT")
    return "there is no npm here, neither beside node nor on PATH; install Node.js with npm (https://nodejs.org)";
  if (done.error || done.status !== 0) {
    const how = cache
      ? `the cache ${cache} does not have all of sdk/javascript/package-lock.json; fill it with \`npm ci --cache ${cache}\` where there is a network`
      : "is there a registry? Without one, name a cache of npm with --npm-cache";
    return `npm could not install what builds nodes in JavaScript: ${how}\n${(done.error?.message ?? done.stderr).trim()}`;
  }
  return undefined;
}

/** The file that is the node: of a folder, what its package.json says. */
function entryFile(entry) {
  if (fs.statSync(entry).isFile()) return entry;
  const manifest = path.join(entry, "package.json");
  let names;
  try {
    const { exports, module, main } = JSON.parse(fs.readFileSync(manifest, "utf8"));
    const root = exports?.["."] ?? exports;
    names = [typeof root === "string" ? root : (root?.import ?? root?.default), module, main, "index.js", "index.ts"];
  } catch (error) {
    fail(`${manifest}: ${error.message}`);
    return undefined;
  }
  const named = names.find((name) => typeof name === "string");
  const file = path.join(entry, named);
  if (fs.existsSync(file) || named !== "index.js") {
    if (fs.existsSync(file)) return file;
    fail(`${manifest}: names ${named} as its \`main\`, which is not there`);
    return undefined;
  }
  if (fs.existsSync(path.join(entry, "index.ts"))) return path.join(entry, "index.ts");
  fail(`${manifest}: has no \`main\` that names the node's file`);
  return undefined;
}

/** One module of the node, all that it imports, and the runtime; nothing if something is wrong with it. */
async function bundled(esbuild, folder, file, shown) {
  const options = {
    stdin: { contents: entryText(file, shown), resolveDir: folder, sourcefile: "weir-entry.js" },
    absWorkingDir: folder,
    bundle: true,
    write: false,
    outfile: "node.js",
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["weir", "module"],
    target: "es2022",
    // See runtime/promise.js.
    supported: { "async-await": false, "async-generator": false, "for-await": false },
    keepNames: true,
    charset: "utf8",
    sourcemap: "external",
    sourcesContent: false,
    logLevel: "silent",
    logLimit: 0,
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [resolver, inside(folder)],
  };
  try {
    const done = await esbuild.build(options);
    for (const warning of done.warnings) console.log(`warning: ${told(warning)}`);
    const output = (ending) => done.outputFiles.find((made) => made.path.endsWith(ending)).text;
    return { code: output("node.js"), map: new SourceMap(JSON.parse(output(".map"))) };
  } catch (error) {
    if (!error.errors?.length) throw error;
    for (const one of error.errors) fail(told(one));
    return undefined;
  }
}

function entryText(file, shown) {
  const name = path.basename(file).replace(/\.[a-z]+$/, "");
  const own = name === "index" ? path.basename(path.dirname(file)) : name;
  const facts = `{ file: ${JSON.stringify(shown)}, name: ${JSON.stringify(own)} }`;
  const runtime = (part) => JSON.stringify(path.join(HERE, "runtime", part));
  return [
    `import ${runtime("globals.js")};`,
    `import { serve } from ${runtime("serve.js")};`,
    `import * as node from ${JSON.stringify(file)};`,
    `export const handler = serve(node, ${facts});`,
  ].join("\n");
}

/** Where imports lead that are no files: to the host, to our runtime, or nowhere. */
const resolver = {
  name: "weir",
  setup(build) {
    build.onResolve({ filter: /^(weir|wasi):/ }, ({ path: name }) => ({
      path: HIDDEN.some((known) => name.startsWith(`${known}/`)) ? hidden(name) : name,
      external: true,
    }));
    build.onResolve({ filter: /^weir$/ }, () => ({ path: path.join(HERE, "runtime", "weir.js") }));
    build.onResolve({ filter: /^[a-z_:/0-9]+$/ }, async ({ path: name, kind, resolveDir, pluginData }) => {
      const bare = name.replace(/^node:/, "");
      if (pluginData === "asked" || !builtinModules.includes(bare)) return undefined;
      // A package of that name is another thing.
      const found = name === bare ? await build.resolve(name, { kind, resolveDir, pluginData: "asked" }) : undefined;
      if (found?.errors.length === 0) return found;
      const [first] = bare.split("/");
      const instead = INSTEAD[first] ?? `a package of npm may do the same: \`npm install ${first}\``;
      return {
        errors: [{ text: `"${name}" is a module of Node.js, which is not there in a node of a flow; ${instead}` }],
      };
    });
  },
};

/** Nothing is read but the flow folder, packages, and our runtime. */
const inside = (folder) => ({
  name: "inside",
  setup(build) {
    const roots = [folder, HERE].map((root) => fs.realpathSync(root) + path.sep);
    build.onLoad({ filter: /.*/ }, ({ path: file }) => {
      const real = fs.realpathSync(file);
      if (roots.some((root) => real.startsWith(root)) || real.split(path.sep).includes("node_modules"))
        return undefined;
      return { errors: [{ text: `${file} is imported, but lies outside of the flow folder; copy it there` }] };
    });
  },
});

/** `lib.js:3:8: …`, with what to do about it. */
function told({ text: said, location, notes }) {
  // Our settings are no business of the author.
  const text = said.replace(
    /^Top-level await .*/,
    "`await` outside of a function cannot be built; await inside of `run`",
  );
  const place = location ? `${location.file}:${location.line}:${location.column + 1}: ` : "";
  const missing = /^Could not resolve "([^"./][^"]*)"/.exec(text);
  const hint = missing ? "; is it installed? `npm install` in the node's folder does that" : "";
  const note = notes?.find((one) => !one.location && !missing)?.text;
  return `${place}${text}${hint}${note ? `; ${note}` : ""}`;
}

/** The contract as the back end reads it: one package with all others in `deps`. */
function contract(work) {
  const wit = path.join(work, "wit");
  const put = (from, to, change) => {
    fs.mkdirSync(to, { recursive: true });
    for (const name of fs.readdirSync(from).filter((name) => name.endsWith(".wit"))) {
      fs.writeFileSync(path.join(to, name), change(fs.readFileSync(path.join(from, name), "utf8")));
    }
  };
  const packages = (from, change) => {
    for (const name of fs.readdirSync(from)) put(path.join(from, name), path.join(wit, "deps", name), change);
  };
  const same = (text) => text;
  put(path.join(HERE, "wit"), wit, (text) => text.replace(/wasi:(http|io|clocks)\/\S+/g, hidden));
  put(path.join(ROOT, "wit"), path.join(wit, "deps", "weir-flow"), same);
  packages(path.join(ROOT, "wit", "deps"), same);
  packages(path.join(HERE, "wit", "deps"), same);
  for (const name of ["wasi-http", "wasi-io", "wasi-clocks"]) {
    put(path.join(ROOT, "sdk", "python", "wit", "deps", name), path.join(wit, "deps", name), hidden);
  }
  return wit;
}

/** Gives imports of the component their true names again: those of its outermost import sections. */
function trueNames(component) {
  const IMPORTS = 10;
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = component[at];
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  };
  while (at < component.length) {
    const section = component[at];
    at += 1;
    const size = number();
    const end = at + size;
    if (section === IMPORTS) {
      for (
        let found = component.indexOf("wasx:", at);
        found >= 0 && found < end;
        found = component.indexOf("wasx:", found)
      ) {
        component.write("wasi:", found);
      }
    }
    at = end;
  }
  return component;
}

/** What a module has thrown while it was loaded, at the place that its author knows. */
function atItsPlace(message, map, shown) {
  const [first] = message.split("\n").filter((line) => !/^\s*at /.test(line));
  const thrown = first.replace(/^:? ?Failed to evaluate .* evaluation: (Error: )?/, "");
  // Our own word on the module as a whole.
  if (thrown.startsWith(`${shown}: `)) return thrown;
  const [, line, column] = /node\.js:(\d+):(\d+)/.exec(message) ?? [];
  const found = line ? map.findEntry(Number(line) - 1, Number(column) - 1) : {};
  const place = found.originalSource
    ? `${found.originalSource}:${found.originalLine + 1}:${found.originalColumn + 1}`
    : shown;
  return `${place}: was thrown while the module was loaded: ${thrown}`;
}

await main();
process.exitCode = failures.length > 0 ? 1 : 0;
