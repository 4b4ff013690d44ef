"""The golden trace of an export: runs of the float64 oracle, each value with the error that a right f32 engine may make."""

import numpy as np
from safetensors.numpy import load_file

RUNS = ["initial", "given"]


class Golden:
    def __init__(self, export):
        self.tensors = load_file(export.folder / "golden.safetensors")
        self.data = self.tensors[export.input]
        self.lengths, self.reset = self.tensors.get("lengths"), self.tensors.get("reset")
        self.entries = [export.output] + [s["output"] for s in export.states]
        wanted = {export.input} | {name for names in export.extras.values() for name in names}
        for run in RUNS:
            wanted |= {f"{run}.{s['input']}" for s in export.states}
            wanted |= {f"{run}.{name}{end}" for name in self.entries for end in ("", ".bound")}
        assert set(self.tensors) == wanted, f"golden.safetensors has {sorted(set(self.tensors) ^ wanted)} too many or too few"

    def runs(self, export):
        """For each run its name, its first states, the wanted tensors, and how far each value may be off."""
        for run in RUNS:
            states = {s["input"]: self.tensors[f"{run}.{s['input']}"] for s in export.states}
            want = {name: self.tensors[f"{run}.{name}"] for name in self.entries}
            bound = {name: self.tensors[f"{run}.{name}.bound"] for name in self.entries}
            yield f"golden trace, {run} states", states, want, bound

    def first_states_agree(self, export):
        """The manifest's initial states are those of the trace, bit for bit."""
        states = export.initial_states(len(self.data))
        return all(np.array_equal(states[name], self.tensors[f"initial.{name}"]) for name in states)
