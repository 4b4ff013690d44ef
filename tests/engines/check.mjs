// Runs exported models in ONNX Runtime's WebAssembly build, the one browsers run.
//
//   node check.mjs FOLDER...      (from a folder in which onnxruntime-web is installed)
//
// Every form against the float64 trace of golden.safetensors; parallel and scan form, whole and in two pieces, against the
// step form step by step. The rule of check.py: one shape, all finite, at most 1e-5 * (1 + max|y|) apart.
// Exit status 1 if something differs.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";

const ort = createRequire(join(process.cwd(), "package.json"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";

const LENGTHS = [1, 2, 3, 15, 16, 17, 100];
const TOLERANCE = 1e-5;

// Uniform in [0, 1), from a seed (mulberry32).
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), seed | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const size = (shape) => shape.reduce((a, b) => a * b, 1);

// An array with its shape; `data` is a Float32Array, or a BigInt64Array for token ids.
const tensor = (data, shape) => new ort.Tensor(data instanceof BigInt64Array ? "int64" : "float32", data, shape);

// Steps from..to of `[B, T, ...]`; `squeeze` leaves the time axis out, for one step.
function cut(x, from, to, squeeze) {
  const [batch, time, ...rest] = x.dims;
  const width = size(rest);
  const out = new x.data.constructor(batch * (to - from) * width);
  for (let b = 0; b < batch; b++) {
    out.set(x.data.subarray((b * time + from) * width, (b * time + to) * width), b * (to - from) * width);
  }
  return tensor(out, squeeze ? [batch, ...rest] : [batch, to - from, ...rest]);
}

// Outputs of consecutive runs as one: joined along time, or the last of them.
function joined(parts, last, steps) {
  if (last) return parts.at(-1);
  const timed = parts.map((p) => (steps ? tensor(p.data, [p.dims[0], 1, p.dims[1]]) : p));
  const [batch, , width] = timed[0].dims;
  const time = timed.reduce((n, p) => n + p.dims[1], 0);
  const out = new Float32Array(batch * time * width);
  for (let b = 0, at = 0; b < batch; b++) {
    for (const p of timed) {
      const row = p.dims[1] * width;
      out.set(p.data.subarray(b * row, (b + 1) * row), at);
      at += row;
    }
  }
  return tensor(out, [batch, time, width]);
}

class Export {
  static async open(folder) {
    const self = new Export();
    self.folder = folder;
    self.manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
    self.sessions = {};
    for (const [form, said] of Object.entries(self.manifest.forms)) {
      self.sessions[form] = await ort.InferenceSession.create(readFileSync(join(folder, said.file)));
    }
    const step = self.manifest.forms.step;
    self.input = step.inputs[0].name;
    self.width = step.inputs[0].shape[1];
    self.output = step.outputs[0].name;
    return self;
  }

  randomInput(random, batch, time) {
    if (this.input === "features") return randomTensor(random, [batch, time, this.width]);
    const vocab = this.manifest.config.input.vocab;
    return tensor(BigInt64Array.from({ length: batch * time }, () => BigInt(Math.floor(random() * vocab))), [batch, time]);
  }

  states(batch, random) {
    const all = this.manifest.states.map(({ input, shape, init }) => {
      if (random) return [input, randomTensor(random, [batch, ...shape])];
      const one = init === "zero" ? new Array(size(shape)).fill(0) : init;
      return [input, tensor(Float32Array.from({ length: batch * one.length }, (_, i) => one[i % one.length]), [batch, ...shape])];
    });
    return Object.fromEntries(all);
  }

  // Runs `[B, T, ...]` in pieces that end at `ends`: the output, then the states after it.
  async run(form, data, states, ends) {
    const parts = [];
    let at = 0;
    for (const end of ends) {
      const results = await this.sessions[form].run({ [this.input]: cut(data, at, end, form === "step"), ...states });
      parts.push(results[this.output]);
      states = Object.fromEntries(this.manifest.states.map((s) => [s.input, results[s.output]]));
      at = end;
    }
    const output = joined(parts, this.manifest.head === "last", form === "step");
    return { [this.output]: output, ...Object.fromEntries(this.manifest.states.map((s) => [s.output, states[s.input]])) };
  }
}

// The tensors of a safetensors file by name: the length of a JSON header, the header, the values.
function readSafetensors(path) {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + length));
  delete header.__metadata__;
  const read = ({ dtype, shape, data_offsets: [from, to] }) => {
    const bytes = new Uint8Array(file.subarray(8 + length + from, 8 + length + to)).buffer;
    return tensor(dtype === "I64" ? new BigInt64Array(bytes) : new Float32Array(bytes), shape);
  };
  return Object.fromEntries(Object.entries(header).map(([name, entry]) => [name, read(entry)]));
}

function randomTensor(random, shape) {
  return tensor(Float32Array.from({ length: size(shape) }, () => 3 * random() - 1.3), shape);
}

// Largest difference of all tensors, in units of the tolerance; infinite where they are not comparable.
function difference(got, want) {
  let worst = 0;
  for (const name of Object.keys(want)) {
    const [x, y] = [got[name], want[name]];
    if (!x || x.dims.join() !== y.dims.join()) return Infinity;
    if (!x.data.every(Number.isFinite) || !y.data.every(Number.isFinite)) return Infinity;
    const largest = y.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const apart = x.data.reduce((m, v, i) => Math.max(m, Math.abs(v - y.data[i])), 0);
    worst = Math.max(worst, apart / (TOLERANCE * (1 + largest)));
  }
  return worst;
}

// The two runs of the golden trace: the input, the states to begin with, what must come out.
function* goldenRuns(model) {
  const all = readSafetensors(join(model.folder, "golden.safetensors"));
  const data = all[model.input];
  for (const run of ["initial", "given"]) {
    const states = Object.fromEntries(model.manifest.states.map((s) => [s.input, all[`${run}.${s.input}`]]));
    const outputs = [model.output, ...model.manifest.states.map((s) => s.output)];
    const want = Object.fromEntries(outputs.map((name) => [name, all[`${run}.${name}`]]));
    yield { name: `golden trace, ${run} states`, data, states, want, time: data.dims[1] };
  }
}

// Every length, batch, kind of state and cut: the input, the states to begin with, the ends of the pieces.
function* cases(model, random) {
  for (const time of LENGTHS) {
    for (const batch of [1, 3]) {
      for (const begin of ["initial", "random"]) {
        const middle = 1 + Math.floor(random() * (time - 1));
        const data = model.randomInput(random, batch, time);
        const states = model.states(batch, begin === "random" ? random : null);
        const name = `B=${batch} T=${time} ${begin} states`;
        yield { name, time, data, states, cuts: [[time], [...new Set([middle, time])]] };
      }
    }
  }
}

// How many runs differ.
async function check(folder) {
  const model = await Export.open(folder);
  const forms = Object.keys(model.manifest.forms);
  const worst = {};
  let failures = 0;
  const compare = async (form, against, { name, data, states }, ends, want) => {
    const apart = difference(await model.run(form, data, states, ends), want);
    const key = `${form} against ${against}`;
    worst[key] = Math.max(worst[key] ?? 0, apart);
    if (apart <= 1) return;
    failures++;
    console.error(`DIFFERS ${basename(folder)} | wasm | ${key}: ${name}, pieces to ${ends}: ${apart} times the tolerance`);
  };
  const each = (time) => Array.from({ length: time }, (_, t) => t + 1);
  for (const golden of goldenRuns(model)) {
    for (const form of forms) {
      await compare(form, "golden trace", golden, form === "step" ? each(golden.time) : [golden.time], golden.want);
    }
  }
  for (const one of cases(model, generator(7))) {
    const want = await model.run("step", one.data, one.states, each(one.time));
    for (const form of forms.filter((f) => f !== "step")) {
      for (const ends of one.cuts) await compare(form, "steps", one, ends, want);
    }
  }
  for (const [key, apart] of Object.entries(worst)) {
    console.log(`${basename(folder)}  onnxruntime-web ${ort.env.versions.web}  ${key}: worst/tolerance ${apart.toFixed(4)}`);
  }
  return failures;
}

const folders = process.argv.slice(2);
if (folders.length === 0) throw new Error("usage: node check.mjs FOLDER...");
let failures = 0;
for (const folder of folders) failures += await check(resolve(folder));
process.exit(failures ? 1 : 0);
