"""Engines behind one function: `open_*(export, form)` gives a callable from named arrays to named arrays.

`Unsupported` says why an engine cannot run a form at all; any other exception is a failure of the check.
"""

import numpy as np
import onnx


class Unsupported(Exception):
    """The engine is known not to take such a graph; the message says which part of it."""


def open_onnxruntime(export, form):
    return session(export.path(form))


def open_model(model):
    """ONNX Runtime with a model that is in no file."""
    return session(model.SerializeToString())


def session(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come back as exceptions
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed)))


def open_openvino(export, form):
    import openvino

    # Without the hint some CPUs compute in bf16.
    compiled = openvino.Core().compile_model(export.path(form), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    # By the file's names: a tensor may have others beside them once it is compiled.
    names = [o.name for o in export.model(form).graph.output]

    def run(feed):
        results = compiled(feed, share_inputs=False, share_outputs=False)
        return {name: results[name] for name in names}

    return run


def open_reference(export, form):
    from onnx.reference import ReferenceEvaluator

    model = export.model(form)
    for node in model.graph.node:
        axes = [a for at in node.attribute if at.name in ("scan_input_axes", "scan_output_axes") for a in at.ints]
        if node.op_type == "Scan" and any(axes):
            raise Unsupported("its Scan goes along axis 0 only, the file's along axis 1")
    evaluator = ReferenceEvaluator(model)
    return lambda feed: dict(zip(evaluator.output_names, evaluator.run(None, feed)))


def open_tract(export, form):
    import tract

    outputs = [o.name for o in export.model(form).graph.output]
    model = tract.onnx().load(export.path(form))
    inputs = [model.input_name(i) for i in range(model.input_count())]
    runnable = model.into_model().into_runnable()

    def run(feed):
        results = runnable.run([np.ascontiguousarray(feed[name]) for name in inputs])
        return dict(zip(outputs, [r.to_numpy() for r in results], strict=True))

    return run


# The engines here that a target is for; candle-onnx, rten and the web have checks of their own.
OF_TARGET = {
    "portable": ["onnxruntime", "openvino", "reference", "tract"],
    "onnxruntime": ["onnxruntime"],
    "openvino": ["openvino"],
    "tract": ["tract"],
    "candle": ["onnxruntime"],
    "web": ["onnxruntime"],
    "rten": ["onnxruntime"],
}

ENGINES = {
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "reference": open_reference,
    "tract": open_tract,
}


def check_structure(export, form):
    """The ONNX checker with strict shape inference, and the manifest's word on inputs and outputs."""
    model = export.model(form)
    # By its path: weights may lie beside the graph.
    onnx.checker.check_model(export.path(form), full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    opset = {o.domain: o.version for o in model.opset_import}
    wanted = {"": export.manifest["forms"][form]["opset"]}
    # The set of ONNX Runtime's own operators, where a node is of it and nowhere else.
    wanted |= {node.domain: 1 for node in model.graph.node if node.domain == "com.microsoft"}
    assert opset == wanted, f"opset {opset}, the manifest says {wanted}"
    said = export.manifest["forms"][form]
    for kind, values in [("inputs", model.graph.input), ("outputs", model.graph.output)]:
        found = [describe(v) for v in values]
        wanted = [(v["name"], v["dtype"], v["shape"]) for v in said[kind]]
        assert found == wanted, f"{kind} are {found}, the manifest says {wanted}"


def describe(value):
    tensor = value.type.tensor_type
    names = {onnx.TensorProto.FLOAT: "f32", onnx.TensorProto.INT64: "i64", onnx.TensorProto.BOOL: "bool"}
    dtype = names[tensor.elem_type]
    return value.name, dtype, [d.dim_param or d.dim_value for d in tensor.shape.dim]
