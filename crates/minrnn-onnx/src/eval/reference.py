# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2"]
# ///
"""Writes `reference.json`: one node at a time, run by the reference implementation of the ONNX project.

    reference.py > reference.json
"""

import json
import sys

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

RNG = np.random.default_rng(4)
CODES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}


def f(*dims, dtype=np.float32):
    return RNG.normal(size=dims).astype(dtype)


def positive(*dims):
    return (np.abs(f(*dims)) + 0.25).astype(np.float32)


def i(*dims, low=-9, high=9, dtype=np.int64):
    return RNG.integers(low, high, size=dims).astype(dtype)


def b(*dims):
    return RNG.integers(0, 2, size=dims).astype(bool)


def v(*values, dtype=np.int64):
    return np.array(values, dtype=dtype)


def s(value, dtype=np.int64):
    return np.array(value, dtype=dtype)


def cases():
    half = np.float16
    for op in ("Neg", "Abs", "Sign", "Relu", "Sigmoid", "Tanh", "Exp", "Erf", "Round", "Floor", "Ceil", "Softplus"):
        yield op, 22, [f(3, 5) * 3], {}, 1
    for op in ("Log", "Sqrt", "Reciprocal"):
        yield op, 17, [positive(3, 4)], {}, 1
    for op in ("Neg", "Abs", "Sign", "Relu"):
        yield op, 17, [i(7, dtype=np.int8)], {}, 1
    for op in ("Tanh", "Exp", "Neg", "Sigmoid"):
        yield op, 17, [f(9, dtype=half)], {}, 1
    for approximate in ("none", "tanh"):
        yield "Gelu", 20, [f(8) * 2], {"approximate": approximate}, 1
    yield "Swish", 24, [f(8)], {"alpha": 1.5}, 1
    yield "Not", 17, [b(6)], {}, 1
    for op in ("Add", "Sub", "Mul", "Div"):
        yield op, 17, [f(2, 1, 4), f(3, 1)], {}, 1
        yield op, 17, [f(2, 3, dtype=half), f(3, dtype=half)], {}, 1
        yield op, 17, [i(5, dtype=np.int32), v(1, -2, 3, 4, -5, dtype=np.int32)], {}, 1
    yield "Add", 17, [v(250, 3, dtype=np.uint8), v(9, 9, dtype=np.uint8)], {}, 1
    yield "Mul", 17, [v(100, 3, dtype=np.int8), v(9, 9, dtype=np.int8)], {}, 1
    for op in ("Min", "Max"):
        yield op, 17, [f(2, 3), f(3), f(2, 1)], {}, 1
        yield op, 17, [i(4), i(1)], {}, 1
    yield "Pow", 17, [positive(2, 3), v(2, 3, 0)], {}, 1
    yield "Clip", 17, [f(9), s(-0.5, np.float32), s(0.25, np.float32)], {}, 1
    yield "Clip", 17, [i(9), None, s(3)], {}, 1
    for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
        yield op, 17, [i(3, 4, low=0, high=3), i(4, low=0, high=3)], {}, 1
        yield op, 17, [f(3), f(2, 1)], {}, 1
    for op in ("And", "Or", "Xor"):
        yield op, 17, [b(2, 8), b(8)], {}, 1
    yield "Where", 17, [b(3, 1), f(4), f(3, 4)], {}, 1
    for to in (6, 7, 9, 10):
        yield "Cast", 17, [f(9) * 5], {"to": to}, 1
    for to in (1, 2, 3, 9):
        yield "Cast", 17, [i(9, low=0, high=100)], {"to": to}, 1
    yield "MatMul", 17, [f(2, 3, 4), f(4, 5)], {}, 1
    yield "MatMul", 17, [f(4), f(2, 4, 3)], {}, 1
    yield "MatMul", 17, [f(2, 1, 3, 4), f(5, 4, 2)], {}, 1
    yield "MatMul", 17, [i(3, 4), i(4)], {}, 1
    yield "MatMulInteger", 17, [i(3, 4, low=0, high=255, dtype=np.uint8), i(4, 2, dtype=np.int8), s(7, np.uint8), s(-3, np.int8)], {}, 1
    yield "Gemm", 17, [f(4, 3), f(5, 4), f(5)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}, 1
    yield "Gather", 17, [f(4, 3, 2), v(-1, 0, 2)], {"axis": 1}, 1
    yield "Gather", 17, [i(5), s(-2)], {}, 1
    yield "GatherElements", 17, [f(3, 4), i(2, 4, low=-3, high=3)], {"axis": 0}, 1
    yield "GatherND", 17, [f(2, 3, 4), i(2, 5, 1, low=0, high=3)], {"batch_dims": 1}, 1
    yield "GatherND", 17, [f(2, 3, 4), v([0, -1], [1, 2])], {}, 1
    yield "Slice", 17, [f(5, 6), v(1, -1), v(-1, -100), v(0, 1), v(2, -2)], {}, 1
    yield "Slice", 17, [f(5, 6), v(2), v(2**63 - 1)], {}, 1
    yield "Split", 17, [f(2, 6)], {"axis": 1}, 3
    yield "Split", 18, [f(5, 2)], {"num_outputs": 3}, 3
    yield "Split", 18, [f(2, 6), v(1, 5)], {"axis": -1}, 2
    yield "Concat", 17, [f(2, 1, 3), f(2, 4, 3), f(2, 2, 3)], {"axis": 1}, 1
    yield "Concat", 17, [b(2, 1), b(2, 2)], {"axis": -1}, 1
    yield "Reshape", 17, [f(2, 3, 4), v(0, -1, 2)], {}, 1
    yield "Flatten", 17, [f(2, 3, 4)], {"axis": -1}, 1
    yield "Squeeze", 17, [f(1, 3, 1), v(-1)], {}, 1
    yield "Squeeze", 17, [f(1, 3, 1)], {}, 1
    yield "Unsqueeze", 17, [f(2, 3), v(3, 0)], {}, 1
    yield "Transpose", 17, [f(2, 3, 4)], {"perm": [2, 0, 1]}, 1
    yield "Transpose", 17, [i(2, 3)], {}, 1
    yield "Expand", 17, [f(3, 1), v(2, 1, 4)], {}, 1
    yield "Tile", 17, [f(2, 3), v(2, 3)], {}, 1
    yield "Shape", 17, [f(2, 3, 4)], {"start": -2}, 1
    yield "Size", 17, [f(2, 3, 4)], {}, 1
    yield "Pad", 17, [f(2, 3), v(1, 0, 0, 2), s(1.5, np.float32)], {}, 1
    yield "Pad", 18, [f(2, 5), v(3, 2), None, v(1)], {"mode": "reflect"}, 1
    yield "Pad", 17, [f(2, 3), v(1, 2, 0, 2)], {"mode": "edge"}, 1
    yield "Pad", 19, [f(2, 3), v(1, 2, 0, 2)], {"mode": "wrap"}, 1
    for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"):
        yield op, 17, [f(2, 3, 4)], {"axes": [0, -1]}, 1
        yield op, 18, [f(2, 3, 4), v(1)], {"keepdims": 0}, 1
        yield op, 18, [f(2, 3)], {}, 1
    yield "ReduceSum", 17, [f(2, 3, 4), v(1)], {}, 1
    yield "ReduceSum", 17, [f(2, 3)], {"noop_with_empty_axes": 1}, 1
    for more in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
        yield "CumSum", 17, [f(3, 5), s(1)], more, 1
    yield "CumProd", 26, [f(3, 5), s(0)], {"exclusive": 1}, 1
    yield "Softmax", 17, [f(3, 5) * 4], {"axis": 0}, 1
    yield "LayerNormalization", 17, [f(2, 3, 4), f(4), f(4)], {}, 3
    yield "LayerNormalization", 17, [f(2, 3, 4), f(3, 4)], {"axis": 1, "epsilon": 0.5}, 1
    yield "RMSNormalization", 23, [f(2, 3, 4), f(4)], {"epsilon": 0.1}, 1
    yield "QuantizeLinear", 19, [f(3, 4) * 9, s(0.1, np.float32), s(3, np.int8)], {}, 1
    yield "QuantizeLinear", 19, [f(3, 4) * 9, positive(4), i(4, low=0, dtype=np.uint8)], {"axis": 1}, 1
    yield "QuantizeLinear", 21, [f(4, 6), positive(4, 2)], {"axis": 1, "block_size": 3, "output_dtype": 3}, 1
    yield "DequantizeLinear", 19, [i(3, 4, dtype=np.int8), positive(3), i(3, dtype=np.int8)], {"axis": 0}, 1
    yield "DequantizeLinear", 21, [i(6, 4, dtype=np.int8), positive(2, 4)], {"axis": 0, "block_size": 3}, 1
    yield "DynamicQuantizeLinear", 17, [f(3, 4)], {}, 3
    yield "ConstantOfShape", 17, [v(2, 3)], {"value": helper.make_tensor("", 7, [1], [-4])}, 1
    yield "Constant", 17, [], {"value_ints": [3, -1]}, 1
    yield "Range", 17, [s(1), s(12), s(3)], {}, 1
    yield "Range", 17, [s(2.0, np.float32), s(-1.0, np.float32), s(-0.75, np.float32)], {}, 1
    q, k, w = f(2, 5, 8), f(2, 5, 4) / 2, f(2, 5, 6)
    decay, beta, past = -positive(2, 5, 2), positive(2, 5, 2) / 4, f(2, 2, 2, 3)
    heads = {"q_num_heads": 4, "kv_num_heads": 2}
    yield "LinearAttention", 27, [q, k, w, past, decay], {**heads, "update_rule": "gated"}, 2
    yield "LinearAttention", 27, [q, k, w, None, -positive(2, 5, 4)], {**heads, "update_rule": "gated", "scale": 1.0}, 2
    yield "LinearAttention", 27, [q, k, w], {**heads, "update_rule": "linear"}, 2
    yield "LinearAttention", 27, [q, k, w, past, None, beta], {**heads, "update_rule": "delta"}, 2
    yield "LinearAttention", 27, [q, k, w, past, decay, beta], heads, 2
    yield from more_cases()


def more_cases():
    x, w = f(1, 4, 5), f(6, 2, 3)
    yield "Conv", 17, [x, w, f(6)], {"group": 2, "pads": [1, 2], "strides": [2]}, 1
    yield "Conv", 17, [f(1, 2, 4, 3), f(2, 2, 2, 2)], {"dilations": [2, 1], "auto_pad": "SAME_UPPER"}, 1
    yield "ConvTranspose", 17, [f(1, 2, 4), f(2, 3, 3), f(3)], {"strides": [2], "pads": [1, 0], "output_padding": [1]}, 1
    yield "MaxPool", 17, [f(1, 2, 5, 4)], {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [0, 1, 1, 1]}, 2
    yield "AveragePool", 19, [f(1, 2, 7)], {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "count_include_pad": 1}, 1
    yield "GlobalAveragePool", 17, [f(2, 3, 4)], {}, 1
    yield "LpPool", 18, [f(1, 2, 6)], {"kernel_shape": [2], "p": 2}, 1
    yield "Einsum", 17, [f(2, 3), f(3, 4), f(4)], {"equation": "ij,jk,k->ki"}, 1
    yield "Einsum", 17, [f(3, 3)], {"equation": "ii->i"}, 1
    yield "ScatterElements", 18, [f(3, 4), v([0, 2, 1, 0]), f(1, 4)], {"axis": 0, "reduction": "add"}, 1
    yield "ScatterND", 18, [f(4, 3), v([1], [3]), f(2, 3)], {"reduction": "mul"}, 1
    yield "Compress", 17, [f(3, 4), np.array([True, False, True])], {"axis": 1}, 1
    yield "OneHot", 17, [v(1, -1, 7), s(3), v(0.5, 2.0, dtype=np.float32)], {"axis": 0}, 1
    yield "NonZero", 17, [v([0, 2], [3, 0])], {}, 1
    yield "Unique", 17, [v(2, 1, 1, 3, 2)], {"sorted": 0}, 4
    yield "TopK", 17, [f(3, 5), v(2)], {"axis": 1, "largest": 0}, 2
    yield "ArgMax", 17, [v([1, 3, 3], [2, 2, 0])], {"axis": 1, "select_last_index": 1}, 1
    yield "ArgMin", 17, [f(3, 4)], {"axis": 0, "keepdims": 0}, 1
    yield "Trilu", 17, [f(2, 3, 4), s(-1)], {"upper": 0}, 1
    yield "ReverseSequence", 17, [f(4, 3), v(4, 1, 2)], {}, 1
    yield "DepthToSpace", 17, [f(1, 8, 2, 1)], {"blocksize": 2, "mode": "CRD"}, 1
    yield "SpaceToDepth", 17, [f(1, 1, 4, 2)], {"blocksize": 2}, 1
    yield "EyeLike", 17, [f(3, 4)], {"k": 1, "dtype": 7}, 1
    for op in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
        yield op, 18, [f(2, 3, 2), v(1)], {}, 1
    yield "ReduceLogSum", 18, [positive(2, 3), v(1)], {}, 1
    yield "BatchNormalization", 17, [f(2, 3, 2), f(3), f(3), f(3), positive(3)], {"epsilon": 0.01}, 1
    yield "InstanceNormalization", 17, [f(2, 3, 4), f(3), f(3)], {}, 1
    yield "GroupNormalization", 21, [f(2, 4, 3), f(4), f(4)], {"num_groups": 2}, 1
    # With values above 0: the reference sums them without their absolute value.
    yield "LpNormalization", 17, [positive(3, 4)], {"axis": 0, "p": 1}, 1
    # As many rows as channels: the reference counts one for the other.
    yield "LRN", 17, [f(3, 3, 2, 1)], {"size": 3, "alpha": 0.1}, 1
    yield "LogSoftmax", 17, [f(2, 5)], {}, 1
    yield "Hardmax", 17, [f(2, 5)], {}, 1
    for op in ("Sin", "Cos", "Atan", "Asinh", "Softsign", "Mish", "HardSwish"):
        yield op, 22, [f(5) * 2], {}, 1
    yield "LeakyRelu", 17, [f(6)], {"alpha": 0.2}, 1
    yield "Elu", 17, [f(6)], {"alpha": 0.7}, 1
    yield "Celu", 17, [f(6)], {"alpha": 1.3}, 1
    yield "Selu", 17, [f(6)], {}, 1
    yield "HardSigmoid", 17, [f(6) * 3], {"alpha": 0.3}, 1
    yield "ThresholdedRelu", 17, [f(6)], {"alpha": 0.4}, 1
    yield "Shrink", 17, [f(6)], {"bias": 0.1, "lambd": 0.3}, 1
    yield "PRelu", 17, [f(2, 3, 2), f(3, 1)], {}, 1
    yield "Mod", 17, [v(-7, 7, -7, 5), v(3, -3, -3, 3)], {}, 1
    yield "Mod", 17, [v(-7, 7, -7, 5), v(3, -3, -3, 3)], {"fmod": 1}, 1
    yield "BitShift", 17, [v(1, 200, 255, dtype=np.uint8), v(3, 1, 4, dtype=np.uint8)], {"direction": "LEFT"}, 1
    yield "BitwiseXor", 18, [i(4), i(4)], {}, 1
    yield "Sum", 17, [f(2, 3), f(3), f(2, 1)], {}, 1
    yield "Mean", 17, [f(2, 3), f(3)], {}, 1
    a, c = i(2, 3, low=0, high=255, dtype=np.uint8), i(3, 2, low=0, high=255, dtype=np.uint8)
    q = [a, s(0.02, np.float32), s(120, np.uint8), c, s(0.03, np.float32), s(130, np.uint8), s(0.1, np.float32), s(100, np.uint8)]
    yield "QLinearMatMul", 17, q, {}, 1
    yield "ConvInteger", 17, [i(1, 1, 4, low=0, high=255, dtype=np.uint8), i(2, 1, 2, low=0, high=255, dtype=np.uint8), s(9, np.uint8)], {"pads": [1, 0]}, 1
    heads = [f(1, 4, 2, 3), f(1, 2, 3, 3), f(1, 2, 3, 2)]
    yield "Attention", 23, heads, {}, 1
    yield "Attention", 24, [*heads, f(2, 3)], {"is_causal": 1, "softcap": 2.0, "scale": 0.3, "qk_matmul_output_mode": 1}, 4
    yield "Attention", 24, [*heads, None, f(1, 2, 2, 3), f(1, 2, 2, 2)], {"is_causal": 1}, 3
    angles = f(8, 2)
    turn = [f(2, 3, 8), np.cos(angles), np.sin(angles), i(2, 3, low=0, high=8)]
    yield "RotaryEmbedding", 23, turn, {"num_heads": 2}, 1
    yield "RotaryEmbedding", 23, turn, {"num_heads": 2, "interleaved": 1}, 1
    yield "CausalConvWithState", 27, [f(2, 3, 4), f(3, 1, 3), f(3), f(2, 3, 2)], {"activation": "silu"}, 2
    yield "TensorScatter", 24, [f(2, 5, 2), f(2, 2, 2), v(3, 1)], {"mode": "linear"}, 1
    yield "SwiGLU", 28, [f(3), f(3)], {"alpha": 1.2}, 1


def value(array):
    array = np.asarray(array)
    numbers = array.astype(np.float64 if array.dtype.kind == "f" else np.int64).ravel().tolist()
    return {"dtype": CODES[array.dtype.name], "dims": list(array.shape), "values": numbers}


def attribute(given):
    return value(onnx.numpy_helper.to_array(given)) if isinstance(given, onnx.TensorProto) else given


def main():
    lines = []
    for op, opset, inputs, attributes, count in cases():
        names = [f"x{k}" if x is not None else "" for k, x in enumerate(inputs)]
        node = helper.make_node(op, names, [f"y{k}" for k in range(count)], **attributes)
        present = {n: x for n, x in zip(names, inputs) if n}
        given = [helper.make_tensor_value_info(n, CODES[x.dtype.name], x.shape) for n, x in present.items()]
        outputs = [onnx.ValueInfoProto(name=n) for n in node.output]
        graph = helper.make_graph([node], "one", given, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=14)
        got = ReferenceEvaluator(model).run(None, present)
        case = {
            "op": op,
            "opset": opset,
            "attributes": {n: attribute(a) for n, a in attributes.items()},
            "inputs": [value(x) if x is not None else None for x in inputs],
            "outputs": [value(y) for y in got],
        }
        lines.append(json.dumps(case))
    sys.stdout.write("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
