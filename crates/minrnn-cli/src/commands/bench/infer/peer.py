"""ONNX Runtime's side of `minrnn bench infer`: one JSON request a line on stdin, one JSON answer a line on stdout.

Arrays are raw little-endian files. A runner holds one file in one session; its states go from call to call in a step file, and
begin anew with each call in a sequence file.
"""

import gc
import json
import sys
import time

import numpy as np
import onnxruntime as ort


def open_session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Runner:
    def __init__(self, job, session=None):
        self.session = session or open_session(job["path"], job["threads"])
        self.step, self.feedback, self.binding = job["step"], job["feedback"], job["io"] == "binding"
        batch, width = job["batch"], job["width"]
        shape = [batch] if self.step else [batch, job["seq_len"]]
        shape += [width] if width else []
        # What goes in: of a step file as many inputs as there are, of a sequence file one.
        self.data = np.fromfile(job["data"], "<f4" if width else "<i8").reshape([-1, *shape])
        self.input = job["input"]
        self.extras = {e["name"]: np.full(e["shape"], e["value"], e["dtype"]) for e in job["extras"]}
        self.states = job["states"]
        self.names = [job["output"], *[s["output"] for s in self.states]]
        self.first = []
        for state in self.states:
            value = np.zeros([batch, *state["shape"]], np.float32)
            if state["init"] is not None:
                value[:] = np.array(state["init"], np.float32).reshape(state["shape"])
            self.first.append(value)
        self.x = self.data[0].copy()
        output = [batch, job["classes"]] if self.step or job["last"] else [batch, job["seq_len"], job["classes"]]
        self.y = np.zeros(output, np.float32)
        self.sets = [[v.copy() for v in self.first], [v.copy() for v in self.first]]
        if self.binding:
            self.bindings = [self.bound(*self.sets), self.bound(*reversed(self.sets))]
        self.restart()

    def bound(self, before, after):
        held = ort.OrtValue.ortvalue_from_numpy
        binding = self.session.io_binding()
        binding.bind_ortvalue_input(self.input, held(self.x))
        for name, value in self.extras.items():
            binding.bind_ortvalue_input(name, held(value))
        binding.bind_ortvalue_output(self.names[0], held(self.y))
        for state, old, new in zip(self.states, before, after):
            binding.bind_ortvalue_input(state["input"], held(old))
            binding.bind_ortvalue_output(state["output"], held(new))
        return binding

    def restart(self):
        self.at = 0
        self.x[...] = self.data[0]
        for values in self.sets:
            for value, first in zip(values, self.first):
                value[...] = first
        self.feed = {self.input: self.x, **self.extras, **{s["input"]: v for s, v in zip(self.states, self.sets[0])}}

    def bound_calls(self, calls, feedback):
        run, bindings, data, x, y = self.session.run_with_iobinding, self.bindings, self.data, self.x, self.y
        at, count, step = self.at, len(data), self.step
        for _ in range(calls):
            run(bindings[at & 1 if step else 0])
            at += 1
            if feedback:
                y.argmax(1, out=x)
            elif step:
                x[...] = data[at % count]
        self.at = at

    def plain_calls(self, calls, feedback):
        run, names, feed, data, at = self.session.run, self.names, self.feed, self.data, self.at
        inputs, count, step = [s["input"] for s in self.states], len(self.data), self.step
        found = None
        for _ in range(calls):
            found = run(names, feed)
            at += 1
            if step:
                feed.update(zip(inputs, found[1:]))
                feed[self.input] = found[0].argmax(1) if feedback else data[at % count]
        self.at, self.found = at, found

    def calls(self, calls, feedback):
        (self.bound_calls if self.binding else self.plain_calls)(calls, feedback)

    def time(self, calls):
        gc.collect()
        gc.disable()
        begin = time.perf_counter()
        self.calls(calls, self.feedback)
        seconds = time.perf_counter() - begin
        gc.enable()
        return seconds

    def check(self, path):
        """The outputs of all inputs in their order, then the states, from the first states on."""
        self.restart()
        parts = []
        for _ in range(len(self.data)):
            self.calls(1, False)
            parts.append((self.y if self.binding else self.found[0]).copy())
        after = self.sets[self.at & 1 if self.step else 1] if self.binding else self.found[1:]
        parts += after
        with open(path, "wb") as out:
            for part in parts:
                out.write(np.ascontiguousarray(part, "<f4").tobytes())
        self.restart()


class Peer:
    def __init__(self):
        self.runners = {}

    def hello(self, _):
        python = ".".join(map(str, sys.version_info[:3]))
        return {"onnxruntime": ort.__version__, "numpy": np.__version__, "python": python}

    def open(self, job):
        self.runners[job["id"]] = Runner(job)

    def close(self, _):
        self.runners.clear()
        gc.collect()

    def check(self, job):
        self.runners[job["id"]].check(job["out"])

    def time(self, job):
        return self.runners[job["id"]].time(job["calls"])

    def load(self, job):
        """Seconds from a file to the first output."""
        begin = time.perf_counter()
        session = open_session(job["path"], job["threads"])
        Runner(job, session).calls(1, False)
        return time.perf_counter() - begin

    def overhead(self, job):
        """Seconds of a call of a graph of one operation on one number: bound, and plain."""
        session = open_session(job["path"], 1)
        x, y = np.zeros(1, np.float32), np.zeros(1, np.float32)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
        binding.bind_ortvalue_output("y", ort.OrtValue.ortvalue_from_numpy(y))
        best = []
        for call in (lambda: session.run_with_iobinding(binding), lambda: session.run(["y"], {"x": x})):
            times = []
            for _ in range(9):
                begin = time.perf_counter()
                for _ in range(500):
                    call()
                times.append((time.perf_counter() - begin) / 500)
            best.append(min(times))
        return best


def main():
    peer = Peer()
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = {"ok": getattr(peer, job["do"])(job)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
