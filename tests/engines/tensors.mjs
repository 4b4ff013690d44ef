// Tensors of ONNX Runtime in Node and in browsers: cut, joined, read and compared.

const TOLERANCE = 1e-5;

// What works on tensors of such a build of it.
export function tools(ort) {
  const size = (shape) => shape.reduce((a, b) => a * b, 1);

  // An array with its shape: a Float32Array, a BigInt64Array for token ids and lengths, a Uint8Array for bool.
  function tensor(data, shape) {
    const type = data instanceof BigInt64Array ? "int64" : data instanceof Uint8Array ? "bool" : "float32";
    return new ort.Tensor(type, data, shape);
  }

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
    const timed = parts.map((p) => (steps ? tensor(p.data, [p.dims[0], 1, p.dims.at(-1)]) : p));
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

  // The tensors of a safetensors file by name: the length of a JSON header, the header, the values.
  function safetensors(file) {
    const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    delete header.__metadata__;
    const read = ({ dtype, shape, data_offsets: [from, to] }) => {
      // A copy begins where an array of any type may.
      const bytes = new Uint8Array(file.subarray(8 + length + from, 8 + length + to)).buffer;
      const kinds = { I64: BigInt64Array, BOOL: Uint8Array, F32: Float32Array };
      return tensor(new kinds[dtype](bytes), shape);
    };
    return Object.fromEntries(Object.entries(header).map(([name, entry]) => [name, read(entry)]));
  }

  // Largest difference of all tensors, in units of the tolerance; infinite where they are not comparable. `moved`: what the
  // rounding of narrow products may add to each tensor, by name.
  function difference(got, want, moved) {
    let worst = 0;
    for (const name of Object.keys(want)) {
      const [x, y] = [got[name], want[name]];
      if (!x || x.dims.join() !== y.dims.join()) return Infinity;
      if (!x.data.every(Number.isFinite) || !y.data.every(Number.isFinite)) return Infinity;
      const largest = y.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const apart = x.data.reduce((m, v, i) => Math.max(m, Math.abs(v - y.data[i])), 0);
      worst = Math.max(worst, apart / (TOLERANCE * (1 + largest) + (moved[name] ?? 0)));
    }
    return worst;
  }

  return { size, tensor, cut, joined, safetensors, difference };
}
