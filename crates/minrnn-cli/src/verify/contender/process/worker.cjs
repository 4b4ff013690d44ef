// A worker of `minrnn verify`: ONNX Runtime in Node behind the protocol of docs/engines.md. Argument: onnxruntime-node (native),
// onnxruntime-web (WebAssembly, as in browsers). The package is looked for as `require` does, from the folder it is started in.
const { readFileSync, writeSync } = require("node:fs");

const engine = process.argv[1];
// Stdout is for frames.
console.log = console.info = console.debug = console.warn = console.error;

const KINDS = {
  bool: Uint8Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, uint32: Uint32Array,
  int32: Int32Array, uint64: BigUint64Array, int64: BigInt64Array, float32: Float32Array, float64: Float64Array,
  float16: globalThis.Float16Array ?? Uint16Array,
};
const size = (shape) => shape.reduce((a, b) => a * b, 1);

let ort, session;
const stdin = process.stdin[Symbol.asyncIterator]();
let [parts, kept] = [[], 0];

// The next bytes of the requests; at their end the program ends.
async function take(count) {
  while (kept < count) {
    const { value, done } = await stdin.next();
    if (done) process.exit(0);
    parts.push(value);
    kept += value.length;
  }
  const all = Buffer.concat(parts);
  [parts, kept] = [[all.subarray(count)], all.length - count];
  return all.subarray(0, count);
}

async function read() {
  const length = (await take(4)).readUInt32LE();
  const request = JSON.parse((await take(length)).toString());
  request.feeds = {};
  for (const { name, type, shape } of request.tensors ?? []) {
    const Kind = KINDS[type];
    const bytes = await take(size(shape) * Kind.BYTES_PER_ELEMENT);
    // A copy begins where an array of any type may.
    request.feeds[name] = { type, shape, data: new Kind(new Uint8Array(bytes).buffer) };
  }
  return request;
}

function write(header, tensors = []) {
  const said = tensors.map(([name, t]) => ({ name, type: t.type, shape: t.dims }));
  const text = Buffer.from(JSON.stringify({ ...header, tensors: said }));
  const begin = Buffer.alloc(4);
  begin.writeUInt32LE(text.length);
  const data = tensors.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  const all = Buffer.concat([begin, text, ...data]);
  for (let at = 0; at < all.length; at += writeSync(1, all, at));
}

function hello() {
  try {
    ort = require(engine);
  } catch (error) {
    // Its first line: the rest is a stack of paths.
    throw new Error(error.message.split("\n")[0]);
  }
  if (ort.env.wasm) ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  const version = engine.endsWith("web") ? ort.env.versions.web : ort.env.versions.node;
  return { ok: true, name: engine, version: version ?? ort.env.versions.common, types: Object.keys(KINDS), io: ["plain"] };
}

async function open({ path, threads }) {
  const options = { intraOpNumThreads: threads, executionProviders: [engine.endsWith("web") ? "wasm" : "cpu"] };
  session = await ort.InferenceSession.create(engine.endsWith("web") ? readFileSync(path) : path, options);
  return { ok: true };
}

const given = (feeds) =>
  Object.fromEntries(Object.entries(feeds).map(([name, { type, shape, data }]) => [name, new ort.Tensor(type, data, shape)]));
const chosen = (results, wanted) => wanted.filter((name) => results[name]).map((name) => [name, results[name]]);

async function run({ feeds, wanted }) {
  return chosen(await session.run(given(feeds), wanted), wanted);
}

// Seconds of so many calls, outputs fed back to inputs as `feedback` says, and the last outputs.
async function time({ feeds, wanted, feedback, calls }) {
  const names = [...new Set([...wanted, ...feedback.map(([output]) => output)])];
  const inputs = given(feeds);
  let results;
  const begin = performance.now();
  for (let call = 0; call < calls; call++) {
    results = await session.run(inputs, names);
    for (const [output, into] of feedback) inputs[into] = results[output];
  }
  return [{ ok: true, seconds: (performance.now() - begin) / 1000 }, chosen(results, wanted)];
}

async function answer(request) {
  if (request.do === "hello") return write(hello());
  if (request.do === "open") return write(await open(request));
  if (request.do === "time") return write(...(await time(request)));
  if (request.do === "run") return write({ ok: true }, await run(request));
  if (request.do !== "close") return write({ refused: `there is no \`${request.do}\` here` });
  await session?.release();
  session = undefined;
  write({ ok: true });
}

(async () => {
  for (;;) {
    const request = await read();
    await answer(request).catch((error) => write({ refused: `${error?.message ?? error}` }));
  }
})();
