# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml_dtypes==0.6.0",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
#     "openvino==2026.4.1",
# ]
# ///
"""Tensors of bfloat16 on their way into engines and out of them, which NumPy has no type for: `minrnn verify` with a file that takes
and gives such.

    python tests/engines/bfloat16.py MINRNN

MINRNN: the program. Ends with 1 where an engine gives other values than the judge, or none.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper

ENGINES = ["onnxruntime", "openvino", "reference"]


def model():
    """`y = 2 x`, computed in float32."""
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "two"], ["twice"]),
        helper.make_node("Cast", ["twice"], ["y"], to=TensorProto.BFLOAT16),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["batch", "time", 3]) for name in "xy")
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    graph = helper.make_graph(nodes, "twice", [x], [y], [two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "twice.onnx"
        onnx.save(model(), path)
        command = [sys.argv[1], "verify", path, "--against", path, "--max-len", "3", "--json", "-", "--python", sys.executable]
        command += [word for name in ENGINES for word in ("--engine", name)]
        ran = subprocess.run(command, capture_output=True, text=True)
    if not ran.stdout:
        raise SystemExit(ran.stderr.strip())
    rows = json.loads(ran.stdout)["pairs"][0]["rows"]
    wrong = 0
    for name in ENGINES:
        own = [r for r in rows if r["by"] == name]
        right = len(own) == 2 and all(r["holds"] and r["values"] > 0 for r in own)
        wrong += not right
        print(f"{'right' if right else 'WRONG'}  {name}: {[(r['check'], r['values'], r.get('said')) for r in own]}")
    if wrong:
        print(ran.stderr.strip())
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
