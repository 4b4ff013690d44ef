// Runs an export in ONNX Runtime's WebAssembly build in a headless browser, and holds it to golden.safetensors.
//
//   node browser.mjs FOLDER [chromium]      (from a folder in which onnxruntime-web is installed)
//
// The parallel form whole and the step form step by step, from the initial states and from given ones: outputs and states, by
// the rule of check.mjs. Nothing but this machine is asked: page, engine and export come from 127.0.0.1. Weights of f32 alone.
// Exit status 1: something differs, or does not run.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const LIMIT = 120_000;
const [folder, browser = "chromium"] = process.argv.slice(2);
if (!folder) throw new Error("usage: node browser.mjs FOLDER [chromium]");
const require = createRequire(join(process.cwd(), "package.json"));
const from = {
  ort: dirname(require.resolve("onnxruntime-web")),
  page: dirname(fileURLToPath(import.meta.url)),
  export: resolve(folder),
};
const TYPES = { mjs: "text/javascript", wasm: "application/wasm", json: "application/json" };
const PAGE = '<!doctype html><script type="module" src="/page/page.mjs"></script>';

let tell;
const told = new Promise((done) => (tell = done));

// A file of one of the three folders, by its name alone; what the page posts is the result.
const server = createServer((request, answer) => {
  const [, at, name] = request.url.split("?")[0].split("/");
  if (request.method === "POST") {
    let body = "";
    request.on("data", (part) => (body += part)).on("end", () => tell(JSON.parse(body)));
    return answer.end();
  }
  try {
    const data = at === "" ? PAGE : readFileSync(join(from[at], basename(name)));
    const type = at === "" ? "text/html" : (TYPES[name.split(".").pop()] ?? "application/octet-stream");
    answer.writeHead(200, { "Content-Type": type }).end(data);
  } catch {
    answer.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const profile = mkdtempSync(join(tmpdir(), "minrnn-browser-"));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", `--user-data-dir=${profile}`];
const child = spawn(browser, [...flags, `http://127.0.0.1:${server.address().port}/`], { stdio: ["ignore", "ignore", "pipe"] });
let words = "";
child.stderr.on("data", (part) => (words = (words + part).slice(-2000)));
child.on("error", (error) => tell({ error: `cannot start ${browser}: ${error.message}` }));
child.on("exit", (code) => tell({ error: `${browser} ended with ${code}: ${words}` }));
const clock = setTimeout(() => tell({ error: `no result within ${LIMIT / 1000} s: ${words}` }), LIMIT);

const result = await told;
clearTimeout(clock);
child.removeAllListeners("exit");
const ended = new Promise((done) => child.on("close", done));
if (child.pid && child.exitCode === null) {
  child.kill();
  await ended;
}
server.closeAllConnections();
server.close();
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });

if (result.error) {
  console.error(`${basename(from.export)}: ${result.error}`);
  process.exit(1);
}
const chromium = /(?:HeadlessChrome|Chrome|Firefox)\/[\d.]+/.exec(result.agent)?.[0] ?? result.agent;
let failures = 0;
for (const { form, begin, values, apart } of result.rows) {
  const holds = apart <= 1;
  failures += holds ? 0 : 1;
  const how = holds ? `worst/tolerance ${apart.toFixed(4)}` : `DIFFERS: ${apart} times the tolerance`;
  console.log(`${basename(from.export)}  onnxruntime-web ${result.version} in ${chromium}  ${form}, ${begin} states, ${values} values: ${how}`);
}
process.exit(failures ? 1 : 0);
