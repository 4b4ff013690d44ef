// Runs exported models in ONNX Runtime's WebAssembly build, the one browsers run.
//
//   node check.mjs FOLDER...      (from a folder in which onnxruntime-web is installed)
//
// Every form against the float64 trace of golden.safetensors; sequence forms, whole and in two pieces, against the step form
// step by step; rows that end early and rows that begin anew against steps that do the same. The rule of check.py: one shape,
// all finite, at most 1e-5 * (1 + max|y|) apart, and with narrow weights what the golden trace allows them on top.
// What this build is known not to take is a row of its own, and must be refused. Files for other targets are shown, not held.
// Exit status 1 if something differs.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";

import { tools } from "./tensors.mjs";

const ort = createRequire(join(process.cwd(), "package.json"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";

const LENGTHS = [1, 2, 3, 15, 16, 17, 100];
// What files must be written for to be held here.
const TARGETS = ["portable", "onnxruntime", "web"];
// The newest opset that this build takes.
const OPSET = 26;

// Uniform in [0, 1), from a seed (mulberry32).
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), seed | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const { size, tensor, cut, joined, safetensors, difference } = tools(ort);

// Why this build cannot take a form, or null.
function unsupported(said) {
  if (said.opset > OPSET) return `opset ${said.opset}, it knows up to ${OPSET}`;
  if (said.weights) return `weights in another file, ${said.weights.file}`;
  return null;
}

class Export {
  static async open(folder) {
    const self = new Export();
    self.folder = folder;
    self.name = basename(folder);
    self.manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
    self.mine = TARGETS.includes(self.manifest.target);
    self.last = self.manifest.head === "last";
    [self.sessions, self.rows, self.failures] = [{}, [], []];
    for (const [form, said] of Object.entries(self.manifest.forms)) await self.load(form, said);
    self.forms = Object.keys(self.sessions);
    // Names of genai have no form step: there a sequence of one step is one.
    self.stepper = self.forms.includes("step") ? "step" : self.forms[0];
    const { inputs, outputs } = self.manifest.forms[self.stepper ?? Object.keys(self.manifest.forms)[0]];
    self.input = inputs[0].name;
    self.width = inputs[0].shape.at(-1);
    self.output = outputs[0].name;
    return self;
  }

  async load(form, said) {
    const reason = unsupported(said);
    try {
      const session = await ort.InferenceSession.create(readFileSync(join(this.folder, said.file)));
      if (reason) this.failures.push(`${form}: runs, though it has ${reason}: the limit can go`);
      this.sessions[form] = session;
    } catch (error) {
      if (reason) this.rows.push(`${form}: refused: ${reason}`);
      else this.failures.push(`${form}: does not load: ${error.message}`);
    }
  }

  takes(form, input) {
    return this.manifest.forms[form].inputs.some((i) => i.name === input);
  }

  // Fixed batch and time of the sequence forms, or null.
  fixed() {
    for (const form of this.forms) {
      const [batch, time] = this.manifest.forms[form].inputs[0].shape;
      if (form !== "step" && Number.isInteger(time)) return { batch, time };
    }
    return null;
  }

  longest() {
    return Math.min(...this.forms.map((f) => this.manifest.forms[f].max_seq_len ?? Infinity));
  }

  counts() {
    return this.manifest.config.cell?.kind === "hyena" || "positions" in this.manifest.config;
  }

  randomInput(random, batch, time) {
    if (this.input === "features") return randomTensor(random, [batch, time, this.width]);
    const vocab = this.manifest.config.input.vocab;
    return tensor(BigInt64Array.from({ length: batch * time }, () => BigInt(Math.floor(random() * vocab))), [batch, time]);
  }

  states(batch, random) {
    const all = this.manifest.states.map(({ input, shape, init }) => {
      // A count of steps is a whole number.
      if (random && this.counts() && input.endsWith(".n")) {
        return [input, tensor(Float32Array.from({ length: batch * size(shape) }, () => Math.floor(5 * random())), [batch, ...shape])];
      }
      if (random) return [input, randomTensor(random, [batch, ...shape])];
      const one = init === "zero" ? new Array(size(shape)).fill(0) : init;
      return [input, tensor(Float32Array.from({ length: batch * one.length }, (_, i) => one[i % one.length]), [batch, ...shape])];
    });
    return Object.fromEntries(all);
  }

  // Runs `[B, T, ...]` in pieces that end at `ends`: the output, the states after it, the states after each piece.
  async run(form, { data, states, lengths, reset }, ends) {
    const [parts, kept] = [[], []];
    let at = 0;
    for (const end of ends) {
      const squeeze = form === "step";
      const [batch, time] = [data.dims[0], end - at];
      const feed = { [this.input]: cut(data, at, end, squeeze), ...states };
      if (this.takes(form, "lengths")) {
        // A run in pieces has rows of full length: where they end is for the caller to cut.
        feed.lengths = lengths && ends.length === 1 ? lengths : tensor(new BigInt64Array(batch).fill(BigInt(time)), [batch]);
      }
      if (this.takes(form, "reset")) {
        const none = () => tensor(new Uint8Array(batch * time), squeeze ? [batch] : [batch, time]);
        feed.reset = reset ? cut(reset, at, end, squeeze) : none();
      }
      const results = await this.sessions[form].run(feed);
      parts.push(results[this.output]);
      states = Object.fromEntries(this.manifest.states.map((s) => [s.input, results[s.output]]));
      kept.push({ output: results[this.output], states });
      at = end;
    }
    return this.results(joined(parts, this.last, form === "step"), states, kept);
  }

  results(output, states, kept) {
    const named = { [this.output]: output, ...Object.fromEntries(this.manifest.states.map((s) => [s.output, states[s.input]])) };
    return { named, kept };
  }

  // What a whole run gives where rows end early, from steps: the states of each row's own end, nothing behind it.
  ended({ named, kept }, lengths) {
    const ends = [...lengths.data].map((n) => Number(n) - 1);
    const own = (of) => {
      const [shape, Kind] = [of(kept[0]).dims, of(kept[0]).data.constructor];
      const row = size(shape) / shape[0];
      const out = new Kind(size(shape));
      ends.forEach((t, b) => out.set(of(kept[t]).data.subarray(b * row, (b + 1) * row), b * row));
      return tensor(out, shape);
    };
    const states = Object.fromEntries(this.manifest.states.map((s) => [s.input, own((k) => k.states[s.input])]));
    const output = this.last ? own((k) => k.output) : this.within(named[this.output], lengths);
    return this.results(output, states, []).named;
  }

  within(output, lengths) {
    const [batch, time, width] = output.dims;
    const out = Float32Array.from(output.data);
    for (let b = 0; b < batch; b++) out.fill(0, (b * time + Number(lengths.data[b])) * width, (b + 1) * time * width);
    return tensor(out, output.dims);
  }
}

function randomTensor(random, shape) {
  return tensor(Float32Array.from({ length: size(shape) }, () => 3 * random() - 1.3), shape);
}

// The two runs of the golden trace: the input, the states to begin with, what must come out; and how far narrow products may move it.
function golden(model) {
  const all = safetensors(readFileSync(join(model.folder, "golden.safetensors")));
  const outputs = [model.output, ...model.manifest.states.map((s) => s.output)];
  const runs = ["initial", "given"].map((run) => {
    const states = Object.fromEntries(model.manifest.states.map((s) => [s.input, all[`${run}.${s.input}`]]));
    const want = Object.fromEntries(outputs.map((name) => [name, all[`${run}.${name}`]]));
    const data = all[model.input];
    return { name: `golden trace, ${run} states`, data, states, want, time: data.dims[1], lengths: all.lengths, reset: all.reset };
  });
  const largest = (name) => Math.max(...["initial", "given"].flatMap((run) => [...all[`${run}.${name}.bound`].data]));
  const narrow = model.manifest.dtype !== "f32";
  return { runs, moved: Object.fromEntries(narrow ? outputs.map((name) => [name, largest(name)]) : []) };
}

// Every length, batch, kind of state and cut: the input, the states to begin with, the ends of the pieces.
function* cases(model, random) {
  const fixed = model.fixed();
  // A state that counts begins at up to 4.
  const begun = model.manifest.states.some((s) => s.counts) ? 4 : 0;
  const times = fixed ? [fixed.time] : LENGTHS.filter((t) => t + begun <= model.longest());
  for (const time of times) {
    for (const batch of fixed ? [fixed.batch] : [1, 3]) {
      for (const begin of ["initial", "random"]) {
        const middle = 1 + Math.floor(random() * (time - 1));
        const data = model.randomInput(random, batch, time);
        const states = model.states(batch, begin === "random" ? random : null);
        const name = `B=${batch} T=${time} ${begin} states`;
        yield { name, time, data, states, cuts: fixed ? [[time]] : [[time], [...new Set([middle, time])]] };
      }
    }
  }
}

// Rows that end early, and rows that begin anew.
function* extras(model, form, random) {
  const [lengths, reset] = ["lengths", "reset"].map((input) => model.takes(form, input));
  if (!lengths && !reset) return;
  for (const time of [1, 5, 33]) {
    const one = { name: `T=${time}`, time, data: model.randomInput(random, 3, time), states: model.states(3, random) };
    if (reset) one.reset = tensor(Uint8Array.from({ length: 3 * time }, () => (random() < 0.2 ? 1 : 0)), [3, time]);
    if (lengths) one.lengths = tensor(BigInt64Array.from({ length: 3 }, () => BigInt(1 + Math.floor(random() * time))), [3]);
    yield one;
  }
}

const each = (time) => Array.from({ length: time }, (_, t) => t + 1);

// All comparisons of a model: the worst of each kind go into its rows, what differs into its failures.
async function compareAll(model) {
  const worst = {};
  const compare = (form, against, name, got, want, moved) => {
    const apart = difference(got, want, moved);
    const key = `${form} against ${against}`;
    worst[key] = Math.max(worst[key] ?? 0, apart);
    if (!(apart <= 1)) model.failures.push(`${key}: ${name}: ${apart} times the tolerance`);
  };
  const { runs, moved } = golden(model);
  const twice = Object.fromEntries(Object.entries(moved).map(([name, m]) => [name, 2 * m]));
  const fixed = model.fixed();
  for (const one of runs) {
    const [batch, time] = one.data.dims;
    if (fixed && (fixed.batch !== batch || fixed.time !== time)) {
      model.rows.push(`${one.name}: left out: of another batch or length`);
      continue;
    }
    for (const form of model.forms) {
      const got = await model.run(form, one, form === "step" ? each(time) : [time]);
      compare(form, "golden trace", one.name, got.named, one.want, moved);
    }
  }
  const random = generator(7);
  for (const one of cases(model, random)) {
    const want = await model.run(model.stepper, one, each(one.time));
    for (const form of model.forms.filter((f) => f !== "step")) {
      for (const ends of one.cuts) {
        const got = await model.run(form, one, ends);
        compare(form, "steps", `${one.name}, pieces to ${ends}`, got.named, want.named, twice);
      }
    }
  }
  for (const form of model.forms.filter((f) => f !== model.stepper)) {
    for (const one of extras(model, form, random)) {
      const steps = await model.run(model.stepper, one, each(one.time));
      const want = one.lengths ? model.ended(steps, one.lengths) : steps.named;
      const got = (await model.run(form, one, [one.time])).named;
      if (one.lengths && !model.last) got[model.output] = model.within(got[model.output], one.lengths);
      compare(form, "steps, lengths and resets", one.name, got, want, twice);
    }
  }
  for (const [key, apart] of Object.entries(worst)) model.rows.push(`${key}: worst/tolerance ${apart.toFixed(4)}`);
}

// How many comparisons differ, of files that are held.
async function check(folder) {
  const model = await Export.open(folder);
  try {
    if (model.forms.length > 0) await compareAll(model);
  } catch (error) {
    model.failures.push(`does not run: ${error.message}`);
  }
  const engine = `onnxruntime-web ${ort.env.versions.web}`;
  if (!model.mine) {
    model.rows = [`for ${model.manifest.target}, not its target: ${model.failures[0] ?? "runs rightly"}`];
    model.failures = [];
  }
  for (const row of model.rows) console.log(`${model.name}  ${engine}  ${row}`);
  for (const failure of model.failures) console.error(`DIFFERS ${model.name} | wasm | ${failure}`);
  return model.failures.length;
}

const folders = process.argv.slice(2);
if (folders.length === 0) throw new Error("usage: node check.mjs FOLDER...");
let failures = 0;
for (const folder of folders) failures += await check(resolve(folder));
process.exit(failures ? 1 : 0);
