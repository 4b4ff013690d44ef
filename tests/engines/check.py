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
import math
import re
import subprocess
import sys

import numpy as np
import onnx
from engines import ENGINES, OF_TARGET, Unsupported, check_structure, open_model
from export import Export
from golden import Golden

LENGTHS = [1, 2, 3, 15, 16, 17, 100]
# ONNX's evaluator is plain Python: three of five seconds were its, for lengths beyond this.
REFERENCE = 17
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

    def __init__(self, coarser=1.0):
        """`coarser`: times the tolerance, in the place of all bounds, of an engine that is known to be less exact."""
        self.rows, self.failures, self.coarser = {}, [], coarser

    def add(self, key, case, got, want, bound=None, moved=0.0):
        """`moved`: what the rounding of narrow products may add to each tensor, by name or for all."""
        row = self.rows.setdefault(key, {"cases": 0, "worst": 0.0, "note": ""})
        row["cases"] += 1
        for name in want:
            tolerance = relative(want[name])
            if isinstance(moved, dict):
                tolerance = tolerance + moved[name]
            tolerance = tolerance * self.coarser
            if bound is not None and self.coarser == 1.0:
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


def coarser(engine, export, form):
    """OpenVINO's logarithm near 1 is off by 3e-7, which is as much as the logarithm of 1 + e^x for small results: a softplus (docs/models.md)."""
    ops = {node.op_type for node in export.model(form).graph.node}
    return 50.0 if engine == "openvino" and {"Log", "Exp"} <= ops else 1.0


class Case:
    """Inputs, states to begin with, and what ONNX Runtime's step form makes of them."""

    def __init__(self, export, baseline, random, batch, time, begin, sizes, moved):
        self.name = f"B={batch} T={time} {begin} states"
        self.time = time
        self.data = export.random_input(random, batch, time)
        self.states = export.initial_states(batch) if begin == "initial" else export.random_states(random, batch)
        self.sizes = sizes
        # Narrow products: an argument near the middle of two steps may be rounded either way.
        self.want = export.steps(baseline, self.data, self.states)
        self.moved = self.nudged(export, baseline) if moved is None else {name: 2 * m for name, m in moved.items()}

    def nudged(self, export, baseline):
        """What a last place of each feature moves, eight times: another engine rounds as much on its way, and a model may amplify it.
        Tokens have no last place: that of each weight is moved instead."""
        if self.data.dtype == np.float32:
            moved = [export.steps(baseline, nudge(self.data), self.states)]
        else:
            moved = [export.steps(run, self.data, self.states) for run in export.nearby]
        return {name: 8 * max(np.abs(m[name].astype(np.float64) - self.want[name]).max() for m in moved) for name in self.want}


def nudge(values, first=1):
    """Each value one place of float32 up or down; `first` turns which."""
    signs = np.where(np.arange(values.size).reshape(values.shape) * 7 % 3 == 1, first, -first)
    return np.nextafter(values, (np.inf * signs).astype(np.float32), dtype=np.float32)


def nearby(model, first):
    """The model with the last place of each weight moved. What has one value is a constant of a formula, and stays."""
    near = onnx.ModelProto()
    near.CopyFrom(model)
    for tensor in near.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and math.prod(tensor.dims) > 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(nudge(onnx.numpy_helper.to_array(tensor), first), tensor.name))
    return near


def random_sizes(random, time):
    cuts = np.sort(random.choice(np.arange(1, time), min(time - 1, int(random.integers(1, 6))), replace=False))
    return np.diff([0, *cuts, time]).tolist()


def cases(export, baseline, random, moved):
    limits = [n for f in export.forms if (n := export.longest(f)) is not None]
    limit = min(limits, default=SMALL)
    lengths = [t for t in LENGTHS if t <= limit] + ([limit] if limits and limit <= SMALL else [])
    if fixed := export.fixed():
        batch, time = fixed
        for begin in ["initial", "random"]:
            yield Case(export, baseline, random, batch, time, begin, [time], moved)
        return
    for time in sorted(set(lengths)):
        # The same pieces for all cases of a length: an engine that makes a plan for each shape makes few.
        sizes = random_sizes(random, time)
        for batch, begin in [(1, "initial"), (3, "initial"), (3, "random")]:
            # Random states of a model that counts are those after four steps.
            if export.counts and begin == "random" and time + 4 > limit:
                continue
            if time <= 100 or (batch, begin) == (3, "random"):
                yield Case(export, baseline, random, batch, time, begin, sizes, moved)


def run_form(export, engine, form, run, all_cases, table):
    key = (export.folder.name, engine, form)
    for case in all_cases:
        if case.time > (REFERENCE if engine == "reference" else 100 if form == "step" else SMALL):
            continue
        if form == "step":
            table.add((*key, "steps"), case.name, export.steps(run, case.data, case.states), case.want, None, case.moved)
            continue
        whole = run(export.feed(form, case.data, case.states))
        table.add((*key, "steps"), case.name, whole, case.want, None, case.moved)
        pieces = export.pieces(form, run, case.data, case.states, case.sizes)
        table.add((*key, "steps, in pieces"), f"{case.name}, pieces {case.sizes}", pieces, case.want, None, case.moved)


def run_extras(export, engine, form, run, baseline, table, moved):
    """Rows that end early, and rows that begin anew, against steps that do the same."""
    if not export.extras[form]:
        return
    random = np.random.default_rng(7)
    moved = 0.0 if moved is None else {name: 2 * m for name, m in moved.items()}
    for time in [1, 5, 33]:
        data, states = export.random_input(random, 3, time), export.random_states(random, 3)
        reset = random.random((3, time)) < 0.2 if "reset" in export.extras[form] else None
        lengths = random.integers(1, time + 1, 3) if "lengths" in export.extras[form] else None
        want = export.steps(baseline, data, states, lengths, reset)
        if form == export.stepper and form == "step":
            got = export.steps(run, data, states, lengths, reset)
        else:
            got = run(export.feed(form, data, states, lengths, reset))
            if lengths is not None and not export.last:
                got = {**got, export.output: export.within(got[export.output], lengths)}
        table.add((export.folder.name, engine, form, "lengths, resets"), f"T={time}", got, want, None, moved)
    if "lengths" in export.extras[form]:
        for wrong in [6, 40]:
            feed = export.feed(form, export.random_input(random, 1, 5), export.random_states(random, 1), np.array([wrong]))
            key = (export.folder.name, engine, form, "too great a length")
            if engine == "tract":
                # A panic inside of the wheel ends the process; minrnn-runtime looks at lengths before tract does.
                table.note(key, "left out: the engine panics")
                continue
            try:
                run(feed)
            except Exception:
                table.note(key, "refused")
            else:
                # docs/export.md says so: the caller must look at lengths there. The evaluator's GatherElements clips them.
                if engine in ("openvino", "reference"):
                    table.note(key, "not refused: the engine does not look at indices")
                else:
                    table.fail(key, f"length {wrong} of 5 steps gives a result")


def run_golden(export, engine, form, run, golden, table):
    key = (export.folder.name, engine, form, "golden trace")
    for name, states, want, bound in golden.runs(export):
        if fixed := export.fixed():
            if fixed != golden.data.shape[:2]:
                table.note(key, "left out: of another batch or length")
                return
        moved = 0.0 if export.dtype == "f32" else {n: b.max() for n, b in bound.items()}
        if form == "step":
            got = export.steps(run, golden.data, states, None, golden.reset)
        else:
            got = run(export.feed(form, golden.data, states, golden.lengths, golden.reset))
        table.add(key, name, got, want, bound if export.dtype == "f32" else None, moved)


def beyond_longest(export, engine, form, run, baseline, table):
    """More steps than the file takes: right numbers or an error, never wrong ones."""
    limit = export.longest(form)
    if limit is None or limit > SMALL:
        return
    key = (export.folder.name, engine, form, "too many steps")
    if export.counts and engine == "tract":
        # As above: the row of a table that is not there is a panic.
        table.note(key, "left out: the engine panics")
        return
    for time in [limit + 1, 2 * limit]:
        random = np.random.default_rng(time)
        data, states = export.random_input(random, 1, time), export.random_states(random, 1)
        try:
            got = run(export.feed(form, data, states))
        except Exception:
            table.note(key, "refused")
            continue
        if export.counts:
            # The steps have no number there either.
            if not np.isfinite(got[export.output]).all():
                table.note(key, "gives no numbers")
            elif engine == "openvino":
                # docs/models.md says so: the caller must count there.
                table.note(key, "not refused: the engine does not look at indices")
            else:
                table.fail(key, f"B=1 T={time} though the file takes {limit}: numbers")
            continue
        want = export.steps(baseline, data, states)
        # The rounding of decays adds up over T; a block too many or too few shows as errors as large as the values.
        moved = {name: 1e-4 * (1 + np.abs(w).max()) for name, w in want.items()}
        table.add(key, f"B=1 T={time} though the file takes {limit}", got, want, None, moved)


def check_export(folder, engines, seed, table):
    export = Export(folder)
    baseline = ENGINES["onnxruntime"](export, export.stepper)
    export.baseline = baseline
    export.nearby = [open_model(nearby(export.model(export.stepper), first)) for first in (1, -1)]
    golden = Golden(export)
    if not golden.first_states_agree(export):
        table.fail((export.folder.name, "manifest", "-", "golden trace"), "initial states are not those of the trace")
    moved = None
    if export.dtype != "f32":
        moved = {name: max(golden.tensors[f"{run}.{name}.bound"].max() for run in ("initial", "given")) for name in golden.entries}
    all_cases = list(cases(export, baseline, np.random.default_rng(seed), moved))
    for form in export.forms:
        key = (export.folder.name, "onnx", form, "checker")
        try:
            check_structure(export, form)
            table.note(key, "holds")
        except Exception as error:
            table.fail(key, one_line(error))
    for engine in engines:
        for form in export.forms:
            mine, outcome = engine in OF_TARGET[export.target], "runs rightly"
            # What a file is not written for is shown, not held.
            rows = table if mine else Table()
            rows.coarser = coarser(engine, export, form)
            key = (export.folder.name, engine, form)
            try:
                run = ENGINES[engine](export, form)
                run_form(export, engine, form, run, all_cases, rows)
                run_golden(export, engine, form, run, golden, rows)
                run_extras(export, engine, form, run, baseline, rows, moved)
                beyond_longest(export, engine, form, run, baseline, rows)
            except Unsupported as reason:
                rows.note((*key, "-"), f"left out: {reason}")
                outcome = f"left out: {reason}"
            except Exception as error:
                if engine == "reference" and "at most 64 array objects" in str(error):
                    rows.note((*key, "-"), "left out from 64 steps on: its GatherElements takes no more")
                else:
                    rows.fail((*key, "-"), f"does not run: {one_line(error)}")
            if not mine:
                if rows.failures:
                    outcome = rows.failures[0].split(": ", 1)[1][:90]
                table.note((*key, "-"), f"not its target: {outcome}")


def one_line(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000]


def check_card(folder, table):
    """The program of the model card runs as it stands, in the folder."""
    folder = Export(folder).folder
    card = (folder / "README.md").read_text(encoding="utf-8")
    key = (folder.name, "onnxruntime", "card", "its own program")
    programs = re.findall(r"^```python\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    if len(programs) != 1:
        return table.fail(key, f"the card has {len(programs)} programs, wanted one")
    ran = subprocess.run([sys.executable, "-c", programs[0]], cwd=folder, capture_output=True, text=True)
    if ran.returncode != 0 or not ran.stdout.startswith("("):
        return table.fail(key, f"{ran.stdout}{ran.stderr}")
    table.note(key, f"gives {ran.stdout.strip()}")


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
        if "onnxruntime" in engines:
            check_card(folder, table)
    table.print()
    for failure in table.failures:
        print("DIFFERS", failure, file=sys.stderr)
    sys.exit(1 if table.failures else 0)


if __name__ == "__main__":
    main()
