# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
#     "openvino==2026.4.1",
#     "safetensors==0.8.0",
#     "tract==0.23.9",
# ]
# ///
"""Runs exported models in engines that are not ours.

    check.py FOLDER... [--engines onnxruntime,openvino,reference,tract] [--seed N]

Every form in every engine is compared with ONNX Runtime running the step form step by step: outputs and next states, for
several lengths, batches, initial and random states, and chunkings: two results agree when they have one shape, both are
finite, and differ by at most 1e-5 * (1 + max|y|), some ten times what another order of f32 operations makes. Then with the
float64 trace of `golden.safetensors`, by the same rule and within the bound that the trace gives for each value (alone it
would allow too much: through several layers it grows to the size of the values).
Exit status 1: something differs, or does not run.
"""

import argparse
import sys

import numpy as np
from engines import ENGINES, Unsupported, check_structure
from export import Export
from golden import Golden

LENGTHS = [1, 2, 3, 15, 16, 17, 100]
# A limit up to here is run in full, with a step beyond it; what lies above would take minutes.
SMALL = 4096
TOLERANCE = 1e-5


def difference(got, want, tolerance):
    """Largest difference of one tensor in units of the tolerance, and where; infinite where they are not comparable."""
    if got.shape != want.shape:
        return np.inf, f"shape {list(got.shape)}, wanted {list(want.shape)}"
    if not (np.isfinite(got).all() and np.isfinite(want).all()):
        return np.inf, "not finite"
    apart = np.abs(got.astype(np.float64) - want)
    # Nothing apart is within a tolerance of 0.
    ratio = np.divide(apart, tolerance, out=np.where(apart > 0, np.inf, 0.0), where=tolerance > 0)
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    place = f"at {[int(i) for i in worst]}: {got[worst]:.9g}, wanted {want[worst]:.9g}"
    return float(ratio[worst]), place


def relative(want):
    """The tolerance of each value: one for the whole tensor."""
    return np.full(want.shape, TOLERANCE * (1 + np.abs(want).max()), np.float64)


class Table:
    """One row for each comparison of a form in an engine: how many cases, how far off at worst."""

    def __init__(self):
        self.rows, self.failures = {}, []

    def add(self, key, case, got, want, bound=None):
        row = self.rows.setdefault(key, {"cases": 0, "worst": 0.0, "note": ""})
        row["cases"] += 1
        for name in want:
            tolerance = relative(want[name])
            if bound is not None:
                tolerance = np.minimum(tolerance, bound[name])
            worst, place = difference(got[name], want[name], tolerance)
            row["worst"] = max(row["worst"], worst)
            if not worst <= 1:
                self.fail(key, f"{case}: {name} {place}")

    def fail(self, key, what):
        row = self.rows.setdefault(key, {"cases": 0, "worst": np.inf, "note": ""})
        row["note"] = "FAILS"
        self.failures.append(f"{' | '.join(key)}: {what}")

    def note(self, key, text):
        self.rows.setdefault(key, {"cases": 0, "worst": 0.0, "note": text})

    def print(self):
        head = ["export", "engine", "form", "against", "cases", "worst/tolerance", ""]
        lines = [head]
        for key, row in self.rows.items():
            worst = f"{row['worst']:.4f}" if row["cases"] else "-"
            lines.append([*key, str(row["cases"]), worst, row["note"]])
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


class Case:
    """Inputs, states to begin with, and what ONNX Runtime's step form makes of them."""

    def __init__(self, export, baseline, random, batch, time, begin, sizes):
        self.name = f"B={batch} T={time} {begin} states"
        self.time = time
        self.data = export.random_input(random, batch, time)
        self.states = export.initial_states(batch) if begin == "initial" else export.random_states(random, batch)
        self.sizes = sizes
        self.want = export.steps(baseline, self.data, self.states)


def random_sizes(random, time):
    cuts = np.sort(random.choice(np.arange(1, time), min(time - 1, int(random.integers(1, 6))), replace=False))
    return np.diff([0, *cuts, time]).tolist()


def cases(export, baseline, random):
    limits = [n for f in export.forms if (n := export.longest(f)) is not None]
    limit = min(limits, default=SMALL)
    lengths = [t for t in LENGTHS if t <= limit] + ([limit] if limits and limit <= SMALL else [])
    for time in sorted(set(lengths)):
        # The same pieces for all cases of a length: an engine that makes a plan for each shape makes few.
        sizes = random_sizes(random, time)
        for batch in [1, 3]:
            for begin in ["initial", "random"]:
                if time <= 100 or (batch, begin) == (3, "random"):
                    yield Case(export, baseline, random, batch, time, begin, sizes)


def run_form(export, engine, form, run, all_cases, table):
    key = (export.folder.name, engine, form)
    for case in all_cases:
        # The evaluator is plain Python, thousands of steps would take minutes.
        if case.time > 100 and (form == "step" or engine == "reference"):
            continue
        if form == "step":
            table.add((*key, "steps"), case.name, export.steps(run, case.data, case.states), case.want)
            continue
        whole = run({export.input: case.data, **case.states})
        table.add((*key, "steps"), case.name, whole, case.want)
        pieces = export.pieces(run, case.data, case.states, case.sizes)
        table.add((*key, "steps, in pieces"), f"{case.name}, pieces {case.sizes}", pieces, case.want)


def run_golden(export, engine, form, run, golden, table):
    key = (export.folder.name, engine, form, "golden trace")
    for name, states, want, bound in golden.runs(export):
        if form == "step":
            got = export.steps(run, golden.data, states)
        else:
            got = run({export.input: golden.data, **states})
        table.add(key, name, got, want, bound)


def beyond_longest(export, engine, form, run, baseline, table):
    """More steps than the file takes: right numbers or an error, never wrong ones."""
    limit = export.longest(form)
    if limit is None or limit > SMALL:
        return
    key = (export.folder.name, engine, form, "too many steps")
    for time in [limit + 1, 2 * limit]:
        random = np.random.default_rng(time)
        data, states = export.random_input(random, 1, time), export.random_states(random, 1)
        try:
            got = run({export.input: data, **states})
        except Exception:
            table.note(key, "refused")
        else:
            table.add(key, f"B=1 T={time} though the file takes {limit}", got, export.steps(baseline, data, states))


def check_export(folder, engines, seed, table):
    export = Export(folder)
    baseline = ENGINES["onnxruntime"](export, "step")
    all_cases = list(cases(export, baseline, np.random.default_rng(seed)))
    golden = Golden(export)
    if not golden.first_states_agree(export):
        table.fail((export.folder.name, "manifest", "-", "golden trace"), "initial states are not those of the trace")
    for form in export.forms:
        key = (export.folder.name, "onnx", form, "checker")
        try:
            check_structure(export, form)
            table.note(key, "holds")
        except Exception as error:
            table.fail(key, one_line(error))
    for engine in engines:
        for form in export.forms:
            key = (export.folder.name, engine, form)
            try:
                run = ENGINES[engine](export, form)
                run_form(export, engine, form, run, all_cases, table)
                run_golden(export, engine, form, run, golden, table)
                beyond_longest(export, engine, form, run, baseline, table)
            except Unsupported as reason:
                table.note((*key, "-"), f"left out: {reason}")
            except Exception as error:
                table.fail((*key, "-"), f"does not run: {one_line(error)}")


def one_line(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    engines = arguments.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"unknown engines {sorted(unknown)}; there are {sorted(ENGINES)}")
    table = Table()
    for folder in arguments.folders:
        check_export(folder, engines, arguments.seed, table)
    table.print()
    for failure in table.failures:
        print("DIFFERS", failure, file=sys.stderr)
    sys.exit(1 if table.failures else 0)


if __name__ == "__main__":
    main()
