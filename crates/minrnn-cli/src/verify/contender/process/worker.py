"""A worker of `minrnn verify`: one engine behind the protocol of docs/engines.md. Argument: onnxruntime, openvino, reference."""

import json
import math
import os
import re
import struct
import sys
import time

requests = sys.stdin.buffer
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what libraries print must not come between the frames


class OnnxRuntime:
    def __init__(self):
        import onnxruntime

        self.engine, self.version = onnxruntime, onnxruntime.__version__

    def open(self, path, threads):
        options = self.engine.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # its errors come back as exceptions
        session = self.engine.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda feeds, wanted: session.run(wanted, feeds)


class OpenVino:
    def __init__(self):
        import openvino

        self.engine, self.version = openvino, openvino.__version__.split("-")[0]

    def open(self, path, threads):
        # Without the hint some CPUs compute in bf16.
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        compiled = self.engine.Core().compile_model(path, "CPU", config)

        def run(feeds, wanted):
            results = compiled(feeds, share_inputs=False, share_outputs=False)
            return [results[compiled.output(name)] for name in wanted]

        return run


class Reference:
    def __init__(self):
        import onnx
        import onnx.reference

        self.engine, self.version = onnx, onnx.__version__
        self.opsets = [1, onnx.defs.onnx_opset_version()]

    def open(self, path, threads):
        model = self.engine.load(path)
        for node in model.graph.node:
            if any(any(a.ints) for a in node.attribute if a.name in ("scan_input_axes", "scan_output_axes")):
                raise ValueError("its Scan goes along axis 0 only")
        evaluator = self.engine.reference.ReferenceEvaluator(model)
        return lambda feeds, wanted: evaluator.run(wanted, feeds)


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "reference": Reference}
FLOATS = ["float16", "float32", "float64"]
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


def read():
    """The next request and its tensors by name."""
    begin = requests.read(4)
    if len(begin) < 4:
        sys.exit(0)
    header = json.loads(requests.read(*struct.unpack("<I", begin)))
    tensors = {}
    for t in header.get("tensors", []):
        dtype = numpy.dtype(t["type"])
        data = requests.read(math.prod(t["shape"]) * dtype.itemsize)
        tensors[t["name"]] = numpy.frombuffer(data, dtype).reshape(t["shape"]).copy()
    return header, tensors


def write(header, tensors=()):
    """An answer; tensors are (name, array)."""
    arrays = [(name, numpy.ascontiguousarray(array).reshape(numpy.shape(array))) for name, array in tensors]
    said = [{"name": name, "type": array.dtype.name, "shape": array.shape} for name, array in arrays]
    text = json.dumps({**header, "tensors": said}).encode()
    answers.write(struct.pack("<I", len(text)) + text + b"".join(array.tobytes() for _, array in arrays))
    answers.flush()


def words(error):
    """What an engine says, without where in its source it says so."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # OpenVINO begins with a stack of places and ends with what is wrong.
    line = lines[-1] if lines[0].startswith("Exception from ") else lines[0]
    return re.sub(r"^.*CALLBACK HAS THROWN: |^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)


def timed(run, request, feeds):
    """Seconds of so many calls, outputs fed back to inputs as `feedback` says."""
    wanted = [output for output, _ in request["feedback"]] or request["wanted"]
    begin = time.perf_counter()
    for _ in range(request["calls"]):
        results = run(feeds, wanted)
        feeds.update({into: result for (_, into), result in zip(request["feedback"], results)})
    return time.perf_counter() - begin


engine = run = None
try:
    import numpy
except ImportError as error:
    numpy, missing = None, error
while True:
    request, feeds = read()
    try:
        if request["do"] == "hello":
            if numpy is None:
                raise missing
            engine = ENGINES[sys.argv[1]]()
            hello = {"name": sys.argv[1], "version": engine.version, "types": ["bool", *INTEGERS, *FLOATS]}
            write({"ok": True, **hello, "opsets": getattr(engine, "opsets", None)})
        elif request["do"] == "open":
            run = engine.open(request["path"], request["threads"])
            write({"ok": True})
        elif request["do"] == "run":
            write({"ok": True}, zip(request["wanted"], run(feeds, request["wanted"])))
        elif request["do"] == "time":
            write({"ok": True, "seconds": timed(run, request, feeds)})
        elif request["do"] == "close":
            run = None
            write({"ok": True})
        else:
            write({"refused": f"there is no `{request['do']}` here"})
    except Exception as error:  # whatever the engine says is its answer
        write({"refused": words(error)})
