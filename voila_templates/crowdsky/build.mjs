// Builds the pages' front end: node build.mjs [--out folder] [--jupyter share/jupyter folder]
//
// Everything goes to static/: scripts with a hash of their contents in the name, so that they can be cached for ever;
// theme.css and favicon.svg also under their plain names, for the Hub's pages; manifest.json and assets.j2, by which
// the template finds them; early.js and inline.css, which the template copies into the page. The widgets' nbextensions
// are where pip has put them: in the checkout's .venv, else in that of `python3`, unless told otherwise.

import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
const SRC = join(HERE, "src");
const argument = (name) => process.argv[process.argv.indexOf(name) + 1 || process.argv.length];
const OUT = resolve(argument("--out") ?? join(HERE, "static"));
// Beside the folder first: a server goes on serving the old one meanwhile.
const FRESH = `${OUT}.new`;
const COMMON = { bundle: true, minify: true, target: "es2022", legalComments: "linked", logLevel: "warning" };

function jupyterFolder() {
  if (argument("--jupyter")) return resolve(argument("--jupyter"));
  const own = join(ROOT, ".venv", "share", "jupyter");
  if (existsSync(own)) return own;
  const prefix = execFileSync("python3", ["-c", "import sys; print(sys.prefix)"], { encoding: "utf8" }).trim();
  return join(prefix, "share", "jupyter");
}
const NBEXTENSIONS = join(jupyterFolder(), "nbextensions");

// A pip package's AMD module as an ES module that is given `define`.
function nbextension(name) {
  const path = join(NBEXTENSIONS, name, "index.js");
  if (!existsSync(path)) throw new Error(`${path} is not there: install ${name} with pip first`);
  return `export default function (define) {\n${readFileSync(path, "utf8")}\n}\n`;
}

const plugins = [
  {
    name: "crowdsky",
    setup(make) {
      make.onResolve({ filter: /^nbextension:/ }, ({ path }) => ({ path: path.slice(12), namespace: "nbextension" }));
      make.onLoad({ filter: /.*/, namespace: "nbextension" }, ({ path }) => ({ contents: nbextension(path) }));
      make.onResolve({ filter: /^css:/ }, ({ path, resolveDir }) => ({
        path: join(resolveDir, path.slice(4)),
        namespace: "css-text",
      }));
      make.onLoad({ filter: /.*/, namespace: "css-text" }, async ({ path }) => ({
        contents: await css(path),
        loader: "text",
      }));
      // Labels of widgets need a fraction of it.
      make.onResolve({ filter: /^sanitize-html$/ }, () => ({ path: join(SRC, "widgets", "sanitise.js") }));
      // Without ajax and effects, which widgets do not use.
      make.onResolve({ filter: /^jquery$/ }, () => ({ path: join(ROOT, "node_modules/jquery/dist/jquery.slim.js") }));
      // In a browser the platform's own.
      make.onResolve({ filter: /^ws$/ }, () => ({ path: "ws", namespace: "nothing" }));
      make.onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "export default globalThis.WebSocket" }));
      // The kernel's connection asks the whole of @jupyterlab/services for two names.
      make.onResolve({ filter: /^\.\.$/ }, ({ importer }) =>
        importer.includes(join("@jupyterlab", "services", "lib", "kernel"))
          ? { path: join(SRC, "widgets", "services.js") }
          : undefined,
      );
    },
  },
];

async function css(path) {
  const made = await build({
    ...COMMON, legalComments: "none", entryPoints: [path], write: false, loader: { ".svg": "dataurl" },
    external: ["data:*"],
  });
  return made.outputFiles[0].text.trim();
}

// One bundle of a kind, written with its parts that are fetched later; returns the entry's file name.
async function script(entry, { format = "esm", stem = "[name]", hashed = true } = {}) {
  const made = await build({
    ...COMMON, entryPoints: { [stem]: entry }, format, splitting: format === "esm", plugins, outdir: FRESH,
    entryNames: hashed ? "[name]-[hash]" : "[name]", chunkNames: "[name]-[hash]", metafile: true,
    define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  });
  const found = { file: "", parts: [] };
  for (const [path, facts] of Object.entries(made.metafile.outputs)) {
    written[basename(path)] = facts.bytes;
    if (facts.entryPoint && resolve(facts.entryPoint) === entry) {
      found.file = basename(path);
      // What the entry cannot start without: the page asks for it at once, not after the entry has come.
      found.parts = facts.imports.filter(({ kind }) => kind === "import-statement").map((one) => basename(one.path));
    }
  }
  return found;
}

const written = {};
function write(name, contents) {
  writeFileSync(join(FRESH, name), contents);
  written[name] = contents.length;
}
function writeHashed(stem, ending, contents) {
  const name = `${stem}-${createHash("sha256").update(contents).digest("hex").slice(0, 8)}${ending}`;
  write(name, contents);
  return name;
}

rmSync(FRESH, { recursive: true, force: true });
mkdirSync(FRESH, { recursive: true });

// Workers of the upload agent, if it has any: src/agent/*_worker.js.
const workers = {};
const agent = join(SRC, "agent");
for (const file of existsSync(agent) ? readdirSync(agent).filter((name) => name.endsWith("_worker.js")).sort() : []) {
  const stem = file.slice(0, -3);
  workers[stem] = (await script(join(agent, file), { format: "iife", stem: stem.replaceAll("_", "-") })).file;
}
const assets = { modules: {}, workers };
for (const entry of ["shell", "widgets"]) {
  const { file, parts } = await script(join(SRC, entry, "index.js"), { stem: entry });
  assets[entry] = file;
  assets[`${entry}_parts`] = parts;
}
for (const name of ["bqplot", "bqscales"]) {
  // Minified already by its makers.
  assets.modules[name] = writeHashed(name, ".js", nbextension(name));
}
const favicon = readFileSync(join(SRC, "pictures", "favicon.svg"), "utf8");
assets.favicon = writeHashed("favicon", ".svg", favicon);
write("favicon.svg", favicon);
const sheet = await css(join(SRC, "pages.css"));
write("theme.css", sheet);
write("inline.css", sheet);
await script(join(SRC, "early.js"), { format: "iife", stem: "early", hashed: false });
write("manifest.json", `${JSON.stringify(assets, null, 2)}\n`);
write("assets.j2", `{%- set assets = ${JSON.stringify(assets)} -%}\n`);

rmSync(`${OUT}.old`, { recursive: true, force: true });
if (existsSync(OUT)) renameSync(OUT, `${OUT}.old`);
renameSync(FRESH, OUT);
rmSync(`${OUT}.old`, { recursive: true, force: true });
for (const [name, size] of Object.entries(written)) console.log(`${String(size).padStart(8)}  ${name}`);
