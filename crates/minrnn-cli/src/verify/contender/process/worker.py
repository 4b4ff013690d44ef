"""A worker of `minrnn verify`: one engine behind the protocol of docs/engines.md. Argument: onnxruntime, openvino, reference."""

import ctypes
import gc
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
    BFLOAT16 = 16  # as ONNX numbers its types
    more_types = ["bfloat16"]

    def __init__(self):
        import onnxruntime

        self.engine, self.version = onnxruntime, onnxruntime.__version__

    def open(self, path, threads):
        options = self.engine.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # its errors come back as exceptions
        session = self.engine.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        ports = [*session.get_inputs(), *session.get_outputs()]

        def value(array):
            if array.dtype == BFLOAT16:
                return self.engine.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view("<u2"), self.BFLOAT16)
            return self.engine.OrtValue.ortvalue_from_numpy(array)

        def array(value):
            if value.data_type() != "tensor(bfloat16)":
                return value.numpy()
            data = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
            return numpy.frombuffer(data, BFLOAT16).reshape(value.shape())

        def bind(inputs, outputs):
            binding = session.io_binding()
            for name, a in inputs.items():
                binding.bind_ortvalue_input(name, value(a))
            for name, a in outputs.items():
                binding.bind_ortvalue_output(name, value(a))
            return lambda: session.run_with_iobinding(binding)

        def by_values(feeds, wanted):
            values = session.run_with_ort_values(wanted, {name: value(a) for name, a in feeds.items()})
            return [array(v) for v in values]

        if any(port.type == "tensor(bfloat16)" for port in ports):
            return by_values, bind
        return lambda feeds, wanted: session.run(wanted, feeds), bind


class OpenVino:
    more_types = ["bfloat16"]

    def __init__(self):
        import openvino

        self.engine, self.version, self.io = openvino, openvino.__version__.split("-")[0], ["plain"]

    def open(self, path, threads):
        # Without the hint some CPUs compute in bf16.
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        compiled = self.engine.Core().compile_model(path, "CPU", config)

        bf16 = self.engine.Type.bf16

        def given(array):
            if array.dtype == BFLOAT16:
                return self.engine.Tensor(array.view("<u2"), self.engine.Shape(array.shape), bf16)
            return array

        def got(results, name):
            port = compiled.output(name)
            # It shows bfloat16 as float16: the same two bytes.
            return results[port].view(BFLOAT16) if port.element_type == bf16 else results[port]

        def run(feeds, wanted):
            feeds = {name: given(array) for name, array in feeds.items()}
            results = compiled(feeds, share_inputs=False, share_outputs=False)
            return [got(results, name) for name in wanted]

        return run, None


class Reference:
    def __init__(self):
        import onnx
        import onnx.reference

        self.engine, self.version, self.io = onnx, onnx.__version__, ["plain"]
        self.opsets = [1, onnx.defs.onnx_opset_version()]
        try:
            import ml_dtypes

            self.bfloat16 = numpy.dtype(ml_dtypes.bfloat16)
            self.more_types = ["bfloat16"]
        except ImportError:
            self.more_types = []

    def open(self, path, threads):
        model = self.engine.load(path)
        for node in model.graph.node:
            if any(any(a.ints) for a in node.attribute if a.name in ("scan_input_axes", "scan_output_axes")):
                raise ValueError("its Scan goes along axis 0 only")
        evaluator = self.engine.reference.ReferenceEvaluator(model)

        def given(array):
            return array.view(self.bfloat16) if array.dtype == BFLOAT16 else array

        def run(feeds, wanted):
            return evaluator.run(wanted, {name: given(array) for name, array in feeds.items()})

        return run, None


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
        dtype = BFLOAT16 if t["type"] == "bfloat16" else numpy.dtype(t["type"])
        data = requests.read(math.prod(t["shape"]) * dtype.itemsize)
        tensors[t["name"]] = numpy.frombuffer(data, dtype).reshape(t["shape"]).copy()
    return header, tensors


def write(header, tensors=()):
    """An answer; tensors are (name, array)."""
    arrays = [(name, numpy.ascontiguousarray(array).reshape(numpy.shape(array))) for name, array in tensors]
    names = {BFLOAT16: "bfloat16"}
    said = [{"name": n, "type": names.get(a.dtype, a.dtype.name), "shape": a.shape} for n, a in arrays]
    text = json.dumps({**header, "tensors": said}).encode()
    answers.write(struct.pack("<I", len(text)) + text + b"".join(array.tobytes() for _, array in arrays))
    answers.flush()


def words(error):
    """What an engine says, without where in its source it says so."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # OpenVINO begins with a stack of places and ends with what is wrong.
    line = lines[-1] if lines[0].startswith("Exception from ") else lines[0]
    return re.sub(r"^.*CALLBACK HAS THROWN: |^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)


def plain(run, feeds, wanted, feedback, calls):
    """Calls one after another: the seconds, and what the last one gives."""
    names = list(dict.fromkeys([*wanted, *(output for output, _ in feedback)]))
    begin = time.perf_counter()
    for _ in range(calls):
        results = dict(zip(names, run(feeds, names)))
        for output, into in feedback:
            feeds[into] = results[output]
    return time.perf_counter() - begin, results


def bound(run, bind, feeds, wanted, feedback, calls):
    """The same in buffers that are there before: what one call writes as a state, the next one reads."""
    names = list(dict.fromkeys([*wanted, *(output for output, _ in feedback)]))
    shapes = dict(zip(names, run(feeds, names)))
    states = [{into: feeds[into].copy() for _, into in feedback} for _ in range(2)]
    results = {name: numpy.zeros_like(shapes[name]) for name in names}
    for output, into in feedback:
        if shapes[output].shape != feeds[into].shape or shapes[output].dtype != feeds[into].dtype:
            raise ValueError(f"`{output}` is not of the shape and type of `{into}`, whose buffer it would be written to")
    ways = []
    for old, new in (states, states[::-1]):
        ways.append(bind({**feeds, **old}, {**results, **{output: new[into] for output, into in feedback}}))
    begin = time.perf_counter()
    for at in range(calls):
        ways[at & 1]()
    seconds = time.perf_counter() - begin
    return seconds, {**results, **{output: states[calls & 1][into] for output, into in feedback}}


def timed(request, feeds):
    """Seconds of so many calls, outputs fed back to inputs as `feedback` says, and the last outputs."""
    run, bind = opened
    job = (feeds, request["wanted"], request["feedback"], request["calls"])
    gc.disable()
    try:
        seconds, last = bound(run, bind, *job) if request.get("io") == "bound" else plain(run, *job)
    finally:
        gc.enable()
    return seconds, [(name, last[name]) for name in request["wanted"]]


engine = opened = None
try:
    import numpy

    BFLOAT16 = numpy.dtype([("bfloat16", "<u2")])  # NumPy has none: two bytes that nothing computes with
except ImportError as error:
    numpy, missing = None, error
while True:
    request, feeds = read()
    try:
        if request["do"] == "hello":
            if numpy is None:
                raise missing
            engine = ENGINES[sys.argv[1]]()
            types = ["bool", *INTEGERS, *FLOATS, *getattr(engine, "more_types", [])]
            hello = {"name": sys.argv[1], "version": engine.version, "types": types}
            io = getattr(engine, "io", ["plain", "bound"])
            write({"ok": True, **hello, "opsets": getattr(engine, "opsets", None), "io": io})
        elif request["do"] == "open":
            opened = engine.open(request["path"], request["threads"])
            write({"ok": True})
        elif request["do"] == "run":
            write({"ok": True}, zip(request["wanted"], opened[0](feeds, request["wanted"])))
        elif request["do"] == "time":
            seconds, last = timed(request, feeds)
            write({"ok": True, "seconds": seconds}, last)
        elif request["do"] == "close":
            opened = None
            write({"ok": True})
        else:
            write({"refused": f"there is no `{request['do']}` here"})
    except Exception as error:  # whatever the engine says is its answer
        write({"refused": words(error)})
