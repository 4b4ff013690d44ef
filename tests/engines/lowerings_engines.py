"""The engines of the benchmark of lowerings: `ENGINES[name](model, feed, threads)` gives `run()`, whose inputs lie ready in
the engine's own tensors, and `results(run())`, the outputs as arrays. Only `run` is timed."""

import json
import pathlib
import tempfile

import numpy as np
import onnx

# An engine, and whether its graphs have a fixed T. The batch is always fixed at 1.
MODES = [
    ("onnxruntime", "fixed"),
    ("onnxruntime", "free"),
    ("tract", "fixed"),
    ("tract", "free"),
    ("openvino", "free"),
]


def recurrence_alone(path, kind):
    """A graph of the recurrence alone, with inputs `a` and `b [1, T, D]` in the place of the one that holds both.

    What comes before them (padding and splitting the input, the guard of its length) belongs to the model's input, and
    would cost more here than many a lowering. T must be a multiple of 64, the largest block.
    """
    model = onnx.load(path)
    if kind != "recurrence":
        return model
    meta = {p.key: p.value for p in model.metadata_props}
    [names] = json.loads(meta["minrnn.recurrences"])
    graph = model.graph
    rename = {names["a"]: "a", names["b"]: "b"}
    [features] = [i for i in graph.input if i.name == "features"]
    for node in graph.node:
        for i, name in enumerate(node.input):
            # The width is a constant everywhere: only B and T are read from shapes.
            node.input[i] = "a" if node.op_type == "Shape" and name == "features" else rename.get(name, name)
    shape = features.type.tensor_type.shape
    width = shape.dim[2].dim_value // 2
    # The exported file pads a free T to whole blocks by itself; tract wants to know that its pieces fit.
    dims = [shape.dim[0].dim_value, shape.dim[1].dim_value or "64*blocks"]
    ports = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [*dims, width]) for n in ("a", "b")]
    keep = [i for i in graph.input if i.name != "features"]
    del graph.input[:]
    graph.input.extend([*ports, *keep])
    del graph.value_info[:]
    del model.metadata_props[:]
    remove_dead(graph)
    onnx.checker.check_model(model)
    return model


def remove_dead(graph):
    alive = {o.name for o in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if alive.intersection(node.output):
            alive.update(read_by(node))
            nodes.append(node)
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(nodes)]
    del graph.node[:]
    graph.node.extend(nodes)
    tensors = [onnx.TensorProto.FromString(t.SerializeToString()) for t in graph.initializer if t.name in alive]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    assert "features" not in alive, "something else than padding and splitting reads the input"


def read_by(node):
    names = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= read_by(inner)
    return names


def open_onnxruntime(model, feed, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    # Threads that wait for work would take the cores from the lowering whose turn is next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    held = {k: onnxruntime.OrtValue.ortvalue_from_numpy(v) for k, v in feed.items()}
    return lambda: session.run_with_ort_values(names, held), lambda found: [f.numpy() for f in found]


def open_tract(model, feed, threads):
    """The wheel computes on one thread, whatever `threads` says."""
    import tract

    # It takes no bytes.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.onnx")
        path.write_bytes(model.SerializeToString())
        loaded = tract.onnx().load(path)
    held = [tract.Tensor.from_numpy(feed[loaded.input_name(i)]) for i in range(loaded.input_count())]
    runnable = loaded.into_model().into_runnable()
    return lambda: runnable.run(held), lambda found: [f.to_numpy() for f in found]


def open_openvino(model, feed, threads):
    import openvino

    # Without the hint some CPUs compute in bf16.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    request = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings).create_infer_request()
    held = {k: openvino.Tensor(v, shared_memory=True) for k, v in feed.items()}
    outputs = range(len(model.graph.output))

    def run():
        request.infer(held, share_inputs=True, share_outputs=True)

    return run, lambda _: [np.array(request.get_output_tensor(i).data) for i in outputs]


ENGINES = {"onnxruntime": open_onnxruntime, "tract": open_tract, "openvino": open_openvino}
