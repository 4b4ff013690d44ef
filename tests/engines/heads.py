# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
# ]
# ///
"""Holds LinearAttention of com.microsoft, as exports have it, bit for bit to itself: a whole sequence, and its steps one by one.

    heads.py FILE... [--seed N]

FILE is a model.parallel.onnx of `minrnn export --target onnxruntime --lowering linear-attention` (Mamba-2). It is run in ONNX Runtime on random
inputs and states; what goes into each LinearAttention is taken out of that run, and the operator alone is run again on it: all steps at once, step by
step, and in pieces of several lengths, the state handed on. Outputs and states must be the same bits, those of the file's own run too.
Then the result is held to the recurrence in float64, which alone would show a decay of the wrong sign or heads that read another group's key.
Exit status 1: some bits differ, or values are wrong.
"""

import argparse
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

MICROSOFT = "com.microsoft"
# f32 against float64, some hundred steps: about ten times what is seen.
TOLERANCE = 1e-5


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def inputs(model, draw, batch, time):
    """Values for every input: small features, tokens of the table, states of about one, no resets."""
    sizes = {"batch": batch, "seq_len": time}
    table = next((list(i.dims) for i in model.graph.initializer if "embed" in i.name), [2])
    feed = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [sizes.get(d.dim_param, d.dim_value) for d in kind.shape.dim]
        if kind.elem_type == TensorProto.INT64:
            high = time + 1 if value.name == "lengths" else table[0]
            feed[value.name] = draw.integers(1 if value.name == "lengths" else 0, high, shape)
        elif kind.elem_type == TensorProto.BOOL:
            feed[value.name] = draw.random(shape) < 0.1
        else:
            feed[value.name] = draw.standard_normal(shape).astype(np.float32)
    return feed


def operators(model):
    nodes = [n for n in model.graph.node if n.op_type == "LinearAttention" and n.domain == MICROSOFT]
    if not nodes:
        sys.exit("the file has no LinearAttention of com.microsoft")
    return nodes


def alone(node):
    """The operator as a model of its own; shapes are left open."""
    given = ["query", "key", "value", "past_state", "decay"]
    copy = helper.make_node("LinearAttention", given, ["output", "present_state"], domain=MICROSOFT)
    copy.attribute.extend(node.attribute)
    ranks = dict.fromkeys(given, 3) | {"past_state": 4}
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * r) for n, r in ranks.items()]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in copy.output]
    graph = helper.make_graph([copy], "alone", infos, outputs)
    sets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return session(helper.make_model(graph, opset_imports=sets, ir_version=8))


def in_pieces(run, args, length):
    query, key, value, state, decay = args
    outputs = []
    for at in range(0, query.shape[1], length):
        cut = [x[:, at : at + length] for x in (query, key, value)]
        output, state = run(*cut, state, decay[:, at : at + length])
        outputs.append(output)
    return np.concatenate(outputs, axis=1), state


def in_float64(node, args):
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    heads, groups = attributes["kv_num_heads"], attributes["q_num_heads"]
    query, key, value, state, decay = (x.astype(np.float64) for x in args)
    batch, time, _ = query.shape
    query, key = (x.reshape(batch, time, groups, -1).repeat(heads // groups, axis=2) for x in (query, key))
    value = value.reshape(batch, time, heads, -1)
    outputs = []
    for t in range(time):
        state = np.exp(decay[:, t])[..., None, None] * state + key[:, t, :, :, None] * value[:, t, :, None, :]
        outputs.append(np.einsum("bhn,bhnp->bhp", query[:, t], state).reshape(batch, -1))
    return np.stack(outputs, axis=1), state


def same(got, want):
    return all(g.shape == w.shape and np.array_equal(g.view(np.uint32), w.view(np.uint32)) for g, w in zip(got, want))


def hold(path, draw):
    model = onnx.load(path)
    nodes = operators(model)
    for node in nodes:
        for name in [*node.input, *node.output]:
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    whole = session(model)
    names = [o.name for o in whole.get_outputs()]
    wrong = []
    for batch, time in [(1, 1), (2, 37), (1, 300)]:
        values = dict(zip(names, whole.run(names, inputs(model, draw, batch, time))))
        for node in nodes:
            args = [values[n] for n in node.input]
            own = alone(node)
            run = lambda *x, own=own: own.run(None, dict(zip([i.name for i in own.get_inputs()], x)))
            inside = [values[n] for n in node.output]
            for length in [time, 1, 7, 64]:
                if not same(in_pieces(run, args, length), inside):
                    wrong.append(f"{path}: {node.name}, [{batch}, {time}] in pieces of {length}: other bits")
            for got, want in zip(inside, in_float64(node, args)):
                apart = np.abs(got - want).max() / (1 + np.abs(want).max())
                if not apart <= TOLERANCE:
                    wrong.append(f"{path}: {node.name}, [{batch}, {time}]: {apart:.2g} from the recurrence in float64")
    print(f"{path}: {len(nodes)} operators, whole = step by step = in pieces, bit for bit" if not wrong else "\n".join(wrong))
    return not wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="+")
    arguments.add_argument("--seed", type=int, default=0)
    arguments = arguments.parse_args()
    draw = np.random.default_rng(arguments.seed)
    sys.exit(0 if all([hold(path, draw) for path in arguments.files]) else 1)


if __name__ == "__main__":
    main()
