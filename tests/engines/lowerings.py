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
"""How fast each lowering of the recurrence is in each engine.

    cargo run -p minrnn-tests --example lowerings -- GRAPHS [--quick]      # writes the graphs
    lowerings.py GRAPHS [--quick] [--json FILE] [--docs FILE] [--engines onnxruntime,tract,openvino] [--seconds N] [--limit N]
    lowerings.py --from FILE [--docs FILE]                                 # tables of an earlier run

One row of a table is one engine, length T and width D. All lowerings of a row are first compared over the whole tensor with
the recurrence in float64, from a random state; what is wrong is not timed. Then they run in turn, a copy in numpy of as many
bytes among them, so that what else the machine does hits all alike. `--docs` puts the tables between the marks in FILE.
Exit status 1: a lowering gave wrong numbers.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import sys
import time
from importlib.metadata import version

import numpy as np
from lowerings_engines import ENGINES, MODES, recurrence_alone
from lowerings_report import SCHEMA, report

THREADS = 2
# A lowering is right if it is within this * (1 + max|h|) of the reference; f32 rounding makes some 1e-6.
TOLERANCE = 1e-5
# A run that takes longer is not repeated.
SLOW = 3.0
# No sign of life for as long: the process is ended.
SILENCE = 90.0
# A sample is as many runs as take this long.
SAMPLE = 2e-3
ROUNDS = (3, 40)
# What is so many times slower than the fastest of its row gets the fewest samples.
FAR = 4.0


def inputs(row):
    random = np.random.default_rng(row["seq_len"] + row["width"])
    t, d = row["seq_len"], row["width"]
    if row["model"] == "language-model":
        states = {"state.conv": random.standard_normal((1, 3, d)), "state.h": random.standard_normal((1, 2 * d))}
        return {"input_ids": random.integers(0, 65, (1, t)), **states}
    # Memories from one step to thousands.
    a = 1 - random.random((1, t, d)) ** 6
    return {"a": a, "b": random.standard_normal((1, t, d)), "state.h": random.standard_normal((1, d))}


def recurrence(a, b, h0):
    """In float64, of the f32 numbers that the engines get: h `[1, T, D]` and the last of it `[1, D]`."""
    a, b, h = (np.asarray(x, np.float32).astype(np.float64) for x in (a, b, h0))
    out = np.empty_like(a)
    for t in range(a.shape[1]):
        h = a[:, t] * h + b[:, t]
        out[:, t] = h
    return {"out": out, "next": h}


def feed(model, values):
    """Arrays for the inputs of a graph, by name; states of all layers begin alike."""
    found = {}
    for value in model.graph.input:
        name = value.name
        key = "state." + name.rsplit(".", 1)[1] if name.startswith("state.") else name
        found[name] = np.ascontiguousarray(values[key], np.int64 if key == "input_ids" else np.float32)
    return found


class Candidate:
    """One lowering in one engine, ready to run."""

    def __init__(self, engine, path, row, values):
        model = recurrence_alone(path, row["model"])
        self.run, self.results = ENGINES[engine](model, feed(model, values), THREADS)
        self.samples, self.repeat = [], 1

    def error(self, want):
        """The largest difference over all results, and how much is allowed."""
        got = self.results(self.run())
        worst, allowed = 0.0, 0.0
        for y, x in zip(got, want, strict=True):
            if y.shape != x.shape or not np.isfinite(y).all():
                return float("inf"), TOLERANCE
            worst = max(worst, float(np.abs(y - x).max()))
            allowed = max(allowed, TOLERANCE * (1 + float(np.abs(x).max())))
        return worst, allowed

    def sample(self):
        begin = time.perf_counter()
        for _ in range(self.repeat):
            self.run()
        return (time.perf_counter() - begin) / self.repeat


class Copy(Candidate):
    """As many bytes read and written as `a`, `b` and h have."""

    def __init__(self, row):
        source = np.ones(row["seq_len"] * row["width"] * 3 // 2, np.float32)
        target = np.empty_like(source)
        self.run = lambda: np.copyto(target, source)
        self.samples, self.repeat = [], 1


def reference(row, values, folder):
    """Results in the order of the graph's outputs. A whole model is compared with ONNX Runtime's Scan."""
    if row["model"] == "recurrence":
        found = recurrence(values["a"], values["b"], values["state.h"])
        return [found["out"], found["next"]]
    scan = next(f for f in row["files"] if f["lowering"] == "scan")
    baseline = Candidate("onnxruntime", folder / scan["file"], row, values)
    return baseline.results(baseline.run())


def measure(row, folder, seconds, pipe):
    """The work of one process: one row. Tells the pipe what it begins, so that a death has a name."""
    values = inputs(row)
    want = reference(row, values, folder)
    ready = {}
    for file in row["files"]:
        name = file["lowering"]
        pipe.send(("begin", name, None))
        try:
            candidate = Candidate(row["engine"], folder / file["file"], row, values)
            error, allowed = candidate.error(want)
        except Exception as problem:
            pipe.send(("cell", name, {"status": "refused", "why": one_line(problem)}))
            continue
        if not error <= allowed:
            pipe.send(("cell", name, {"status": "wrong", "max_error": error, "why": f"off by {error:.2g}, {allowed:.1g} allowed"}))
            continue
        once = candidate.sample()
        if once > SLOW:
            pipe.send(("cell", name, {"status": "slow", "max_error": error, "why": f"one run takes {once:.1f} s"}))
            continue
        candidate.repeat = max(1, int(SAMPLE / once))
        pipe.send(("cell", name, {"status": "timed", "max_error": error}))
        ready[name] = candidate
    ready["copy"] = Copy(row)
    ready["copy"].repeat = max(1, int(SAMPLE / ready["copy"].sample()))
    if len(ready) > 1:
        take_turns(list(ready.values()), seconds, pipe)
    else:
        ready["copy"].samples.append(ready["copy"].sample())
    for name, candidate in ready.items():
        times = np.array(candidate.samples) * 1e3
        figures = {"median_ms": float(np.median(times)), "min_ms": float(times.min()), "samples": len(times)}
        pipe.send(("times", name, figures))
    pipe.send(("end", None, None))


def take_turns(candidates, seconds, pipe):
    random = np.random.default_rng(0)
    begin = None
    for turn in range(ROUNDS[1]):
        if turn >= ROUNDS[0]:
            # What the far ones took is not on account of the rest.
            begin = begin or time.perf_counter()
            fastest = min(np.median(c.samples) for c in candidates if not isinstance(c, Copy))
            candidates = [c for c in candidates if np.median(c.samples) < FAR * fastest]
            if time.perf_counter() - begin > seconds:
                break
        pipe.send(("turn", None, None))
        for i in random.permutation(len(candidates)):
            candidates[i].samples.append(candidates[i].sample())


def one_line(problem):
    text = str(problem).partition("Stack backtrace")[0]
    return f"{type(problem).__name__}: {' '.join(text.split())}"[-1000:]


def run_row(row, folder, seconds):
    """One row in a process of its own; anew without the lowering in which the process died or hung."""
    cells = {}
    row = dict(row)
    while True:
        mine, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(row, folder, seconds, theirs))
        process.start()
        theirs.close()
        current, why = None, None
        while why is None:
            try:
                if not mine.poll(SILENCE):
                    why = f"nothing for {SILENCE:.0f} s"
                    break
                kind, name, what = mine.recv()
            except EOFError:
                why = "the process ended"
                break
            if kind == "begin":
                current = name
            elif kind in ("cell", "times"):
                cells.setdefault(name, {}).update(what)
            elif kind == "turn":
                current = None
            elif kind == "end":
                process.join()
                return cells
        process.kill()
        process.join()
        if current is None:
            raise RuntimeError(f"{row['engine']}, T={row['seq_len']}, D={row['width']}: {why} outside of any lowering")
        cells[current] = {"status": "refused", "why": f"{why} ({process.exitcode})"}
        row["files"] = [f for f in row["files"] if f["lowering"] not in cells or cells[f["lowering"]]["status"] == "timed"]


def rows(folder, engines, quick):
    """What to measure, the dearest last."""
    index = json.loads((folder / "index.json").read_text())
    shapes = {(f["model"], f["seq_len"], f["width"]) for f in index if f["seq_len"]}
    for model, t, d in sorted(shapes, key=lambda s: (s[1] * s[2] * (10 if s[0] == "language-model" else 1), s)):
        for engine, length in MODES:
            if engine not in engines or quick and t > 512:
                continue
            wanted = t if length == "fixed" else None
            files = [f for f in index if (f["model"], f["width"], f["seq_len"]) == (model, d, wanted)]
            yield {"model": model, "engine": engine, "length": length, "seq_len": t, "width": d, "files": files}


def benchmark(folder, engines, quick, seconds, limit):
    found, left_out = [], []
    begin = time.perf_counter()
    for row in rows(folder, engines, quick):
        if time.perf_counter() - begin > limit:
            left_out.append(f"{row['model']} in {row['engine']}, T={row['seq_len']} {row['length']}, D={row['width']}")
            continue
        cells = run_row(row, folder, seconds)
        copy = cells.pop("copy")
        best = min((c["median_ms"] for c in cells.values() if "median_ms" in c), default=None)
        nodes = {f["lowering"]: f["nodes"] for f in row.pop("files")}
        listed = []
        for name in nodes:
            cell = cells[name]
            if "median_ms" in cell:
                cell["ratio"] = cell["median_ms"] / best
            listed.append({"lowering": name, "nodes": nodes[name], **cell})
        found.append({**row, "copy": copy, "cells": listed})
        print(f"{row['model']} {row['engine']} {row['length']} T={row['seq_len']} D={row['width']}", file=sys.stderr, flush=True)
    versions = {e: version(e) for e in sorted({r["engine"] for r in found})}
    machine = {"cores": os.cpu_count(), "threads": THREADS}
    return {"schema": SCHEMA, "machine": machine, "versions": versions, "left_out": left_out, "rows": found}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", nargs="?", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="T up to 512, half a second a row")
    parser.add_argument("--engines", default="onnxruntime,tract,openvino")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed seconds a row")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which no further row is begun")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--from", dest="earlier", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path)
    args = parser.parse_args()
    if (args.graphs is None) == (args.earlier is None):
        parser.error("give either a folder of graphs or --from")
    engines = args.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    if args.earlier:
        data = json.loads(args.earlier.read_text())
        if data.get("schema") != SCHEMA:
            parser.error(f"{args.earlier} is not of the schema {SCHEMA}")
    else:
        seconds = min(args.seconds, 0.5) if args.quick else args.seconds
        data = benchmark(args.graphs, engines, args.quick, seconds, args.limit)
    if args.json:
        args.json.write_text(json.dumps(data, indent=1) + "\n")
    text = report(data)
    print(text)
    if args.docs:
        into(args.docs, text)
    return 1 if any(c["status"] == "wrong" for r in data["rows"] for c in r["cells"]) else 0


def into(path, text):
    """Puts the tables between the marks in a document."""
    begin, end = "<!-- tables -->\n", "<!-- /tables -->"
    before, _, rest = path.read_text().partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        sys.exit(f"{path}: no lines {begin.strip()} .. {end}")
    path.write_text(before + begin + text + mark + after)


if __name__ == "__main__":
    sys.exit(main())
