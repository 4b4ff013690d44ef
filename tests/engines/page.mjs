// What browser.mjs runs in a browser: forms of an export in onnxruntime-web, held to the golden trace.
import * as ort from "/ort/ort.wasm.min.mjs";
import { tools } from "/page/tensors.mjs";

const { tensor, cut, joined, safetensors, difference, size } = tools(ort);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = "/ort/";
ort.env.logLevel = "fatal";

const bytes = async (name) => {
  const answer = await fetch(`/export/${name}`);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
};

// The trace in a form, from given states: the whole sequence, or step by step.
async function run(session, manifest, form, [input, output], data, states) {
  const time = data.dims[1];
  const parts = [];
  for (let t = 0; t < time; t += form === "step" ? 1 : time) {
    const piece = form === "step" ? cut(data, t, t + 1, true) : data;
    const results = await session.run({ [input]: piece, ...states });
    parts.push(results[output]);
    states = Object.fromEntries(manifest.states.map((s) => [s.input, results[s.output]]));
  }
  const ends = manifest.states.map((s) => [s.output, states[s.input]]);
  return { [output]: joined(parts, manifest.head === "last", form === "step"), ...Object.fromEntries(ends) };
}

async function check() {
  const manifest = JSON.parse(new TextDecoder().decode(await bytes("manifest.json")));
  const golden = safetensors(await bytes("golden.safetensors"));
  const rows = [];
  for (const form of ["parallel", "step"]) {
    const said = manifest.forms[form];
    if (!said) throw new Error(`the export has no form ${form}`);
    const [input, output] = [said.inputs[0].name, said.outputs[0].name];
    const session = await ort.InferenceSession.create(await bytes(said.file), { executionProviders: ["wasm"] });
    for (const begin of ["initial", "given"]) {
      const states = Object.fromEntries(manifest.states.map((s) => [s.input, golden[`${begin}.${s.input}`]]));
      const names = [output, ...manifest.states.map((s) => s.output)];
      const want = Object.fromEntries(names.map((name) => [name, golden[`${begin}.${name}`]]));
      const got = await run(session, manifest, form, [input, output], golden[input], states);
      const values = names.reduce((n, name) => n + size(want[name].dims), 0);
      rows.push({ form, begin, values, apart: difference(got, want, {}) });
    }
  }
  return { version: ort.env.versions.web ?? ort.env.versions.common, agent: navigator.userAgent, rows };
}

const said = await check().catch((error) => ({ error: `${error?.message ?? error}` }));
// JSON has no infinity.
const body = JSON.stringify(said, (_, x) => (x === Infinity ? "not comparable" : x));
await fetch("/result", { method: "POST", body });
