# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml_dtypes==0.6.0",
#     "numpy==2.4.6",
#     "onnx==1.23.2",
# ]
# ///
"""Writes the ONNX project's node test cases as folders, for the evaluator of `minrnn-onnx`.

    node_cases.py FOLDER

Each case becomes `FOLDER/NAME/model.onnx` with, for each of its data sets, `DATA_SET.input_I` and `DATA_SET.output_I` (a
line of JSON with dtype and dims, then little-endian bytes), and `tolerance` (relative and absolute). `FOLDER/schema.json` holds
every operator of the standard with its versions and their attributes. A case with a value that is
no tensor of numbers gets a file `not_tensors`. `cargo run -p minrnn-onnx --example node_cases -- FOLDER` runs them.
"""

import json
import pathlib
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import AttributeProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

warnings.filterwarnings("ignore")


def tensor(value):
    """A value as its element type's code, its dimensions and little-endian bytes; None if it is no tensor of numbers."""
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    if not isinstance(value, (np.ndarray, np.generic, int, float, bool)):
        return None
    made = numpy_helper.from_array(np.asarray(value))
    if made.data_type == onnx.TensorProto.STRING:
        return None
    return made


def write(case, folder):
    folder.mkdir()
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    (folder / "tolerance").write_text(f"{case.rtol} {case.atol}\n")
    for number, (inputs, outputs) in enumerate(case.data_sets):
        for what, values in [("input", inputs), ("output", outputs)]:
            for i, value in enumerate(values):
                made = tensor(value)
                if made is None:
                    (folder / "not_tensors").write_text(f"{what} {i}\n")
                    continue
                head = json.dumps({"dtype": made.data_type, "dims": list(made.dims)}).encode()
                (folder / f"{number}.{what}_{i}").write_bytes(head + b"\n" + made.raw_data)


def attribute(a):
    kind = AttributeProto.AttributeType.Name(int(a.type.value))
    entry = {"name": a.name, "type": kind, "required": bool(a.required)}
    default = a.default_value
    if default is not None and default.name:
        value = onnx.helper.get_attribute_value(default)
        words = [v.decode() if isinstance(v, bytes) else v for v in value] if isinstance(value, list) else value
        entry["default"] = words.decode() if isinstance(words, bytes) else words
    return entry


def schema():
    versions = []
    for s in onnx.defs.get_all_schemas_with_history():
        if s.domain == "":
            versions.append(
                {
                    "op": s.name,
                    "since": s.since_version,
                    "deprecated": bool(s.deprecated),
                    "attributes": [attribute(a) for _, a in sorted(s.attributes.items())],
                }
            )
    return sorted(versions, key=lambda v: (v["op"], v["since"]))


def main():
    root = pathlib.Path(sys.argv[1])
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    cases = collect_testcases(None)
    names = set()
    for case in cases:
        if case.name in names:
            sys.exit(f"two cases of the name {case.name}")
        names.add(case.name)
        write(case, root / case.name)
    (root / "schema.json").write_text(json.dumps(schema()))
    print(f"{len(names)} cases of onnx {onnx.__version__}")


if __name__ == "__main__":
    main()
