# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
#     "openvino==2026.4.1",
#     "tract==0.23.9",
# ]
# ///
"""Shows that the rules of targets are there for something: each trap is met in its engine.

    traps.py [NAME...]

A rule of `minrnn-onnx/src/check/profile.rs` refuses graphs that an engine cannot run rightly. Here is one such graph for each
rule of tract, OpenVINO and ONNX Runtime, and the same computation written as the rule advises. Both are legal ONNX and have
a known result. The graph must be refused by the engine, come out wrong, or end the process, as said; the other must come
out right. (Of opsets: ONNX Runtime refuses the next one; tract and OpenVINO never look, so that the limit is what they were
made for.) An engine may take the whole process with it, so that each graph runs in a process of its own.
Exit status 1: a trap is no longer there (then the rule can go), is another than said, or the advice does not help.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

F32 = TensorProto.FLOAT
RIGHT, WRONG, REFUSED, ENDS = "right", "wrong", "refused", "ends the process"
# A file of an opset that no engine can know, run as if nothing were.
UNASKED = "takes any opset"
TOLERANCE = 1e-5
# A case ends its process for this status at the latest.
SECONDS = 120


def array(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@dataclass
class Graph:
    """A model, what goes into it, and what must come out of its only output `y`."""

    model: onnx.ModelProto
    feed: dict
    want: np.ndarray


def constant(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def graph(nodes, feed, want, constants=(), opset=17, dims=None):
    """`dims`: names of dimensions of inputs, by input; the others are as in `feed`."""
    named = dims or {}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), named.get(name, x.shape))
        for name, x in feed.items()
    ]
    rank = [None] * np.ndim(want)
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(want.dtype), rank)
    whole = helper.make_graph(nodes, "trap", inputs, [output], list(constants))
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return Graph(model, feed, want)


def pad_negative(mended):
    x = array(2, 3, 4)
    if mended:
        cut = [constant("from", [0]), constant("to", [3]), constant("axis", [2])]
        return graph([helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"])], {"x": x}, x[:, :, :3], cut)
    # Behind the axes' beginnings come their ends.
    pads = constant("pads", [0, 0, 0, 0, 0, -1])
    return graph([helper.make_node("Pad", ["x", "pads"], ["y"])], {"x": x}, x[:, :, :3], [pads])


def slice_within(mended):
    x = array(2, 5, 4)
    cut = [constant("from", [0]), constant("to", [32]), constant("axis", [1])]
    dims = {"x": (2, 5, 4) if mended else ("batch", "seq_len", 4)}
    return graph([helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"])], {"x": x}, x, cut, dims=dims)


def softplus(mended):
    x = np.array([-200, -1, 0, 1, 88, 89, 200], np.float32)
    want = np.logaddexp(x.astype(np.float64), 0).astype(np.float32)
    if not mended:
        return graph([helper.make_node("Softplus", ["x"], ["y"])], {"x": x}, want)
    ops = [("Abs", "x", "a"), ("Neg", "a", "b"), ("Exp", "b", "c"), ("Add", "c one", "d"), ("Log", "d", "e"), ("Relu", "x", "f")]
    ops.append(("Add", "e f", "y"))
    nodes = [helper.make_node(op, given.split(), [made]) for op, given, made in ops]
    return graph(nodes, {"x": x}, want, [constant("one", 1, np.float32)])


def integer_mod(mended):
    """By how much a length falls short of a multiple of 4: of an integer that comes of a shape, tract has its own notion."""
    x = array(2, 5, 4)
    ops = [("Shape", "x", "shape"), ("Gather", "shape one", "n")]
    if mended:
        ops += [("Add", "n three", "a"), ("Div", "a four", "b"), ("Mul", "b four", "c"), ("Sub", "c n", "short")]
    else:
        ops += [("Neg", "n", "a"), ("Mod", "a four", "short")]
    nodes = [helper.make_node(op, given.split(), [made]) for op, given, made in ops]
    nodes.append(helper.make_node("Cast", ["short"], ["y"], to=F32))
    numbers = [constant(name, [n]) for n, name in [(1, "one"), (3, "three"), (4, "four")]]
    return graph(nodes, {"x": x}, np.array([3], np.float32), numbers, dims={"x": ("batch", "seq_len", 4)})


def cumsum_axis(mended):
    x = array(2, 5, 4)
    axis = constant("axis", 1 if mended else [1])
    return graph([helper.make_node("CumSum", ["x", "axis"], ["y"])], {"x": x}, np.cumsum(x, 1), [axis])


def bf16(mended):
    x, w = array(2, 4), np.array([1, -2, 0.5, 3], np.float32)
    narrow = TensorProto.FLOAT16 if mended else TensorProto.BFLOAT16
    weight = helper.make_tensor("w", narrow, [4], w)
    nodes = [helper.make_node("Cast", ["w"], ["wide"], to=F32), helper.make_node("Add", ["x", "wide"], ["y"])]
    return graph(nodes, {"x": x}, x + w, [weight])


def operator(mended):
    """A reversal along time by an operator that tract lacks, and by Slice."""
    x, lengths = array(3, 2, 4), np.array([3, 3], np.int64)
    want = x[::-1].copy()
    if mended:
        cut = [constant("from", [-1]), constant("to", [-100]), constant("axis", [0]), constant("by", [-1])]
        return graph([helper.make_node("Slice", ["x", "from", "to", "axis", "by"], ["y"])], {"x": x}, want, cut)
    node = helper.make_node("ReverseSequence", ["x", "lengths"], ["y"], time_axis=0, batch_axis=1)
    return graph([node], {"x": x}, want, [constant("lengths", lengths)])


def state_first(mended):
    """`h[t] = a[t] * h[t-1]` as a Scan along axis 0, of a length that the file says."""
    a, h0 = array(6, 2, 8, seed=2), array(2, 8)
    want, h = [], h0
    for row in a:
        h = h * row
        want.append(h)
    row = [None, 8]
    values = [helper.make_tensor_value_info(n, F32, row) for n in ["h", "row", "next", "out"]]
    factors = ["h", "row"] if mended else ["row", "h"]
    inner = [helper.make_node("Mul", factors, ["next"]), helper.make_node("Identity", ["next"], ["out"])]
    body = helper.make_graph(inner, "body", values[:2], values[2:])
    node = helper.make_node("Scan", ["h0", "a"], ["last", "y"], body=body, num_scan_inputs=1)
    return graph([node], {"a": a, "h0": h0}, np.stack(want))


def reduction(op, function):
    def make(mended):
        x = np.abs(array(2, 3, 4))
        want = function(x).astype(np.float32)
        if mended:
            node = helper.make_node(op, ["x", "axes"], ["y"], keepdims=1)
            return graph([node], {"x": x}, want, [constant("axes", [2])], opset=18)
        return graph([helper.make_node(op, ["x"], ["y"], axes=[2], keepdims=1)], {"x": x}, want)

    return make


def opset(newest, refused):
    def make(mended):
        x = array(2, 4)
        node = helper.make_node("Relu", ["x"], ["y"])
        return graph([node], {"x": x}, np.maximum(x, 0), opset=newest if mended else refused)

    return make


@dataclass
class Trap:
    rule: str
    engine: str
    # What happens in the engine.
    said: str
    make: callable
    # Of several graphs for one rule.
    part: str = ""

    @property
    def name(self):
        return f"{self.engine}.{self.rule}" + (f".{self.part}" if self.part else "")


TRAPS = [
    Trap("operator", "tract", REFUSED, operator),
    Trap("pad-negative", "tract", ENDS, pad_negative),
    Trap("slice-within", "tract", REFUSED, slice_within),
    Trap("softplus", "tract", WRONG, softplus),
    Trap("integer-mod", "tract", WRONG, integer_mod),
    Trap("cumsum-axis", "tract", REFUSED, cumsum_axis),
    Trap("bf16", "tract", REFUSED, bf16),
    Trap("state-first", "openvino", WRONG, state_first),
    Trap("logsumexp-axes", "openvino", WRONG, reduction("ReduceLogSumExp", lambda x: np.log(np.exp(x).sum(2, keepdims=True))), "lse"),
    Trap("logsumexp-axes", "openvino", WRONG, reduction("ReduceLogSum", lambda x: np.log(x.sum(2, keepdims=True))), "ls"),
    Trap("logsumexp-axes", "openvino", WRONG, reduction("ReduceL1", lambda x: np.abs(x).sum(2, keepdims=True)), "l1"),
    Trap("opset", "onnxruntime", REFUSED, opset(28, 29)),
    # They take what does not exist yet: whether they know an opset, they do not say.
    Trap("opset", "openvino", UNASKED, opset(24, 999)),
    Trap("opset", "tract", UNASKED, opset(18, 999)),
]


def in_onnxruntime(path, feed):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come back as exceptions
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(["y"], feed)[0]


def in_openvino(path, feed):
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(feed, share_inputs=False, share_outputs=False)[compiled.output("y")]


def in_tract(path, feed):
    import tract

    model = tract.onnx().load(path)
    names = [model.input_name(i) for i in range(model.input_count())]
    runnable = model.into_model().into_runnable()
    return runnable.run([np.ascontiguousarray(feed[name]) for name in names])[0].to_numpy()


ENGINES = {"onnxruntime": in_onnxruntime, "openvino": in_openvino, "tract": in_tract}


def run(trap, mended):
    """In the child: what the engine makes of the graph."""
    made = trap.make(mended)
    if made.model.opset_import[0].version <= onnx.defs.onnx_opset_version():
        checker.check_model(made.model, full_check=True)
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "trap.onnx")
        pathlib.Path(path).write_bytes(made.model.SerializeToString())
        try:
            got = ENGINES[trap.engine](path, made.feed)
        except Exception as error:
            return f"{REFUSED}: {one_line(error)}"
    if got.shape != made.want.shape:
        return f"{WRONG}: shape {list(got.shape)}, not {list(made.want.shape)}"
    apart = np.abs(got.astype(np.float64) - made.want)
    if not (np.isfinite(got).all() and apart.max() <= TOLERANCE * (1 + np.abs(made.want).max())):
        at = np.unravel_index(np.argmax(np.where(np.isfinite(apart), apart, np.inf)), apart.shape)
        return f"{WRONG}: {got[at]:.7g}, not {made.want[at]:.7g}, at {[int(i) for i in at]}"
    return UNASKED if trap.said == UNASKED and not mended else RIGHT


def one_line(error):
    """What the engine says, without its stack."""
    return " ".join(str(error).split("Stack backtrace")[0].split())[:200]


def in_child(trap, mended):
    command = [sys.executable, __file__, "--child", "mended" if mended else "trap", trap.name]
    child = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if child.returncode < 0:
        # An allocation that fails, or a panic at a border that it cannot cross.
        return f"{ENDS}: by signal {-child.returncode}"
    if child.returncode > 0:
        raise RuntimeError(f"{trap.name}: {child.stderr}")
    return child.stdout.strip().splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--child", choices=["trap", "mended"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    by_name = {t.name: t for t in TRAPS}
    if unknown := set(arguments.names) - set(by_name):
        parser.error(f"unknown traps {sorted(unknown)}; there are {sorted(by_name)}")
    if arguments.child:
        print(run(by_name[arguments.names[0]], arguments.child == "mended"))
        return
    failures = []
    for name in arguments.names or by_name:
        trap = by_name[name]
        met, mended = in_child(trap, False), in_child(trap, True)
        print(f"{name:32}  {met}")
        if met == RIGHT:
            failures.append(f"{name}: runs rightly: the rule {trap.rule} can go for {trap.engine}")
        elif met.split(":")[0] != trap.said:
            failures.append(f"{name}: {met}; the rule {trap.rule} says {trap.said}")
        if mended != RIGHT:
            failures.append(f"{name}: as the rule {trap.rule} advises: {mended}")
    for failure in failures:
        print("DIFFERS", failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
