# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
# ]
# ///
"""RNN, GRU and LSTM in every combination of their attributes, as cases for the evaluator of `minrnn-onnx`.

    rnn.py FOLDER [--cut FILE]

The cross product of direction, activations with alpha and beta, clip, layout, linear_before_reset, input_forget, lengths (0
among them), initial states and peepholes is computed twice: by the equations of the standard in float64 NumPy, written
here, and by ONNX Runtime. Both must agree. The results of the equations are written
as `node_cases.py` writes its cases; `cargo run -p minrnn-onnx --example node_cases -- FOLDER` holds the evaluator to them.
`--cut` writes every 37th as JSON, for `crates/minrnn-onnx/src/eval/rnn.json`. Exit status 1: ONNX Runtime and the equations differ.
"""

import itertools
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

T, B, I, H = 4, 3, 2, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Name, alphas and betas that it takes, function.
FUNCTIONS = {
    "Relu": (0, 0, lambda x: np.maximum(x, 0)),
    "Tanh": (0, 0, np.tanh),
    "Sigmoid": (0, 0, sigmoid),
    "Affine": (1, 1, lambda x, a, b: a * x + b),
    "LeakyRelu": (1, 0, lambda x, a: np.where(x >= 0, x, a * x)),
    "ThresholdedRelu": (1, 0, lambda x, a: np.where(x >= a, x, 0)),
    "ScaledTanh": (1, 1, lambda x, a, b: a * np.tanh(b * x)),
    "HardSigmoid": (1, 1, lambda x, a, b: np.clip(a * x + b, 0, 1)),
    "Elu": (1, 0, lambda x, a: np.where(x >= 0, x, a * (np.exp(x) - 1))),
    "Softsign": (0, 0, lambda x: x / (1 + np.abs(x))),
    "Softplus": (0, 0, lambda x: np.log(1 + np.exp(x))),
}

# Activations of one direction, with their alphas and betas in order; None: the standard's own.
SETS = {
    "RNN": [None, (["Relu"], [], []), (["LeakyRelu"], [0.3], []), (["Affine"], [0.7], [0.1]), (["ScaledTanh"], [0.9], [1.3]),
            (["Elu"], [0.6], []), (["Softsign"], [], []), (["Softplus"], [], []), (["ThresholdedRelu"], [0.2], [])],
    "GRU": [None, (["HardSigmoid", "Tanh"], [0.25], [0.45]), (["Sigmoid", "Softsign"], [], []),
            (["HardSigmoid", "LeakyRelu"], [0.3, 0.1], [0.4])],
    "LSTM": [None, (["HardSigmoid", "Tanh", "Tanh"], [0.25], [0.45]), (["Sigmoid", "Softsign", "Relu"], [], []),
             (["HardSigmoid", "ScaledTanh", "Elu"], [0.3, 0.8, 0.5], [0.4, 1.2])],
}
DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


def functions(op, chosen):
    names, alphas, betas = chosen or (DEFAULTS[op], [], [])
    alphas, betas = iter(np.float32(alphas).astype(float)), iter(np.float32(betas).astype(float))
    made = []
    for name in names:
        na, nb, f = FUNCTIONS[name]
        numbers = [next(alphas) for _ in range(na)] + [next(betas) for _ in range(nb)]
        made.append(lambda x, f=f, numbers=numbers: f(x, *numbers))
    return made


def one_direction(op, f, x, w, r, bias, p, h, c, clip, lbr, couple):
    """One row of a batch, forwards: states of all steps, and the last ones."""
    inside = (lambda v: np.clip(v, -clip, clip)) if clip is not None else (lambda v: v)
    # The clip is on what goes into a gate: of LSTM's last activation, which takes the cell, no engine clips the input.
    act = [lambda v, g=g: g(inside(v)) for g in f[:2]] + f[2:]
    wb, rb = bias[: len(bias) // 2], bias[len(bias) // 2 :]
    ys = []
    for step in x:
        gx = w @ step + wb
        if op == "RNN":
            h = act[0](gx + r @ h + rb)
        elif op == "GRU":
            z = act[0](gx[:H] + r[:H] @ h + rb[:H])
            q = act[0](gx[H : 2 * H] + r[H : 2 * H] @ h + rb[H : 2 * H])
            rh, rbh = r[2 * H :], rb[2 * H :]
            past = q * (rh @ h + rbh) if lbr else rh @ (q * h) + rbh
            h = (1 - z) * act[1](gx[2 * H :] + past) + z * h
        else:
            i, o, g, k = np.split(gx + r @ h + rb, 4)
            pi, po, pf = np.split(p, 3)
            i = act[0](i + pi * c)
            g = 1 - i if couple else act[0](g + pf * c)
            c = g * c + i * act[1](k)
            h = act[0](o + po * c) * act[2](c)
        ys.append(h)
    return np.array(ys).reshape(len(x), H), h, c


def equations(op, case, data):
    directions = 2 if case["direction"] == "bidirectional" else 1
    y = np.zeros((T, directions, B, H))
    yh, yc = np.zeros((directions, B, H)), np.zeros((directions, B, H))
    f = functions(op, case["set"])
    for d in range(directions):
        back = case["direction"] == "reverse" or d == 1
        for b in range(B):
            n = data["lens"][b] if case["lens"] else T
            if n == 0:
                # "The last output value of the hidden" of a row without steps: the standard is silent, ONNX Runtime gives 0.
                continue
            x = data["X"][:n, b].astype(float)
            x = x[::-1] if back else x
            bias = data["B"][d].astype(float)
            h = data["h0"][d, b].astype(float) if case["initial"] else np.zeros(H)
            c = data["c0"][d, b].astype(float) if case["initial"] else np.zeros(H)
            p = data["P"][d].astype(float) if case.get("peepholes") else np.zeros(3 * H)
            w, r = data["W"][d].astype(float), data["R"][d].astype(float)
            ys, yh[d, b], yc[d, b] = one_direction(
                op, f, x, w, r, bias, p, h, c, case["clip"], case.get("lbr"), case.get("couple")
            )
            y[:n, d, b] = ys[::-1] if back else ys
    return [y, yh] + ([yc] if op == "LSTM" else [])


def model(op, case, data, layout):
    directions = 2 if case["direction"] == "bidirectional" else 1
    turn = (lambda v: v.swapaxes(0, 1)) if layout else (lambda v: v)
    values = {"X": np.ascontiguousarray(turn(data["X"])), "W": data["W"], "R": data["R"], "B": data["B"]}
    names = ["X", "W", "R", "B"]
    names.append("lens" if case["lens"] else "")
    if case["lens"]:
        values["lens"] = data["lens"]
    names.append("h0" if case["initial"] else "")
    if case["initial"]:
        values["h0"] = np.ascontiguousarray(turn(data["h0"]))
    if op == "LSTM":
        names.append("c0" if case["initial"] else "")
        if case["initial"]:
            values["c0"] = np.ascontiguousarray(turn(data["c0"]))
        if case["peepholes"]:
            names.append("P")
            values["P"] = data["P"]
    attributes = {"hidden_size": H, "direction": case["direction"]}
    if case["set"]:
        n, a, b = case["set"]
        attributes["activations"] = n * directions
        if a:
            attributes["activation_alpha"] = a * directions
        if b:
            attributes["activation_beta"] = b * directions
    if case["clip"] is not None:
        attributes["clip"] = case["clip"]
    if case.get("lbr"):
        attributes["linear_before_reset"] = 1
    if case.get("couple"):
        attributes["input_forget"] = 1
    if layout:
        attributes["layout"] = 1
    outputs = ["Y", "Y_h"] + (["Y_c"] if op == "LSTM" else [])
    node = helper.make_node(op, names, outputs, **attributes)
    kind = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
    inputs = [helper.make_tensor_value_info(k, kind[v.dtype], v.shape) for k, v in values.items()]
    ends = [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs]
    graph = helper.make_graph([node], "g", inputs, ends)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), values


def cases(op):
    axes = {"direction": ["forward", "reverse", "bidirectional"], "set": SETS[op], "clip": [None, 0.4],
            "lens": [False, True], "initial": [False, True], "layout": [0, 1]}
    if op == "GRU":
        axes["lbr"] = [False, True]
    if op == "LSTM":
        axes["couple"], axes["peepholes"] = [False, True], [False, True]
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values))


def put(path, array):
    made = numpy_helper.from_array(np.ascontiguousarray(array))
    head = json.dumps({"dtype": made.data_type, "dims": list(made.dims)}).encode()
    path.write_bytes(head + b"\n" + made.raw_data)


def entry(proto, values, want):
    """A case in the form of `crates/minrnn-onnx/src/eval/reference.json`."""
    node = proto.graph.node[0]
    code = {"float32": 1, "int32": 6}

    def one(array, digits):
        numbers = [float(f"{v:.{digits}g}") if array.dtype.kind == "f" else int(v) for v in array.ravel()]
        return {"dtype": code.get(array.dtype.name, 1), "dims": list(array.shape), "values": numbers}

    def plain(value):
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, float):
            return float(f"{value:.8g}")
        return [plain(v) for v in value] if isinstance(value, list) else value

    return json.dumps({
        "op": node.op_type,
        "opset": 17,
        "attributes": {a.name: plain(helper.get_attribute_value(a)) for a in node.attribute},
        "inputs": [one(values[n], 9) if n else None for n in node.input],
        "outputs": [one(w, 9) for w in want],
    })


def main():
    root = pathlib.Path(sys.argv[1])
    cut = []
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    versions = [v for v in onnx.defs.get_all_schemas_with_history() if v.name in GATES]
    (root / "schema.json").write_text(json.dumps([
        {"op": v.name, "since": v.since_version, "deprecated": False, "attributes": []} for v in versions]))
    count, bad = 0, 0
    for op, gates in GATES.items():
        for number, case in enumerate(cases(op)):
            rng = np.random.default_rng(number)
            d = 2 if case["direction"] == "bidirectional" else 1
            draw = lambda *shape: (rng.normal(0, 0.8, shape) * 64).round().astype(np.float32) / 64
            data = {"X": draw(T, B, I), "W": draw(d, gates * H, I), "R": draw(d, gates * H, H), "B": draw(d, 2 * gates * H),
                    "P": draw(d, 3 * H), "h0": draw(d, B, H), "c0": draw(d, B, H), "lens": np.array([T, 0, 2], np.int32)}
            want = equations(op, case, data)
            # ONNX Runtime has no layout 1: it runs the other one.
            proto, values = model(op, case, data, 0)
            options = onnxruntime.SessionOptions()
            options.log_severity_level, options.intra_op_num_threads = 4, 1
            session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
            for name, got, right in zip(["Y", "Y_h", "Y_c"], session.run(None, values), want):
                error = np.abs(got - right).max()
                if not error <= 2e-5 * (1 + np.abs(right).max()):
                    bad += 1
                    if bad < 40:
                        print(f"{op} {case}: {name} of ONNX Runtime differs from the equations by {error:.3g}")
            folder = root / f"{op}_{number:04}"
            folder.mkdir()
            proto, values = model(op, case, data, case["layout"])
            (folder / "model.onnx").write_bytes(proto.SerializeToString())
            (folder / "tolerance").write_text("1e-6 1e-7\n")
            for i, value in enumerate(values.values()):
                put(folder / f"0.input_{i}", value)
            if case["layout"]:
                want = [want[0].transpose(2, 0, 1, 3)] + [v.swapaxes(0, 1) for v in want[1:]]
            for i, value in enumerate(want):
                put(folder / f"0.output_{i}", value.astype(np.float32))
            if count % 37 == 0:
                cut.append(entry(proto, values, want))
            count += 1
    if sys.argv[2:3] == ["--cut"]:
        pathlib.Path(sys.argv[3]).write_text("[\n" + ",\n".join(cut) + "\n]\n")
    print(f"{count} combinations; ONNX Runtime {onnxruntime.__version__} differs from the equations in {bad} outputs")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
