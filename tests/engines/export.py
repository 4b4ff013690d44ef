"""An export folder: the manifest, the files, and how to feed them."""

import hashlib
import json
import pathlib

import numpy as np
import onnx


class Export:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        assert self.manifest["schema"] == "minrnn.manifest/1", self.manifest["schema"]
        self.forms = list(self.manifest["forms"])
        self.states = self.manifest["states"]
        self.models, self.metadata = {}, {}
        for form, said in self.manifest["forms"].items():
            blob = (self.folder / said["file"]).read_bytes()
            digest = hashlib.sha256(blob).hexdigest()
            assert digest == said["sha256"], f"{said['file']}: sha256 is {digest}, the manifest says {said['sha256']}"
            self.models[form] = onnx.load_model_from_string(blob)
            self.metadata[form] = {p.key: p.value for p in self.models[form].metadata_props}
        self.check_metadata()
        first = self.models["step"].graph.input[0]
        self.input = first.name
        assert self.input in ("input_ids", "features"), f"first input is {self.input}"
        self.width = first.type.tensor_type.shape.dim[-1].dim_value
        self.output = self.models["step"].graph.output[0].name
        self.last = self.manifest["head"] == "last"

    def check_metadata(self):
        for form, data in self.metadata.items():
            assert data["minrnn.contract"] == "1", f"{form}: contract {data['minrnn.contract']}"
            assert data["minrnn.form"] == form, f"{form}: says it is {data['minrnn.form']}"
            assert data["minrnn.head"] == self.manifest["head"], f"{form}: head {data['minrnn.head']}"
            assert data["minrnn.weights"] == self.manifest["weights_sha256"], f"{form}: other weights"
            assert json.loads(data["minrnn.states"]) == self.states, f"{form}: other states than the manifest's"

    def path(self, form):
        return str(self.folder / self.manifest["forms"][form]["file"])

    def model(self, form):
        return self.models[form]

    def longest(self, form):
        """The longest T that the file takes, or None."""
        longest = self.metadata[form].get("minrnn.max_seq_len")
        return None if longest is None else int(longest)

    def random_input(self, random, batch, time):
        if self.input == "input_ids":
            return random.integers(0, self.manifest["config"]["input"]["vocab"], (batch, time))
        return random.standard_normal((batch, time, self.width)).astype(np.float32)

    def initial_states(self, batch):
        """States where the caller has none: zeros, or what the manifest says."""

        def rows(state):
            shape = state["shape"]
            flat = np.zeros(shape) if state["init"] == "zero" else np.array(state["init"])
            return np.broadcast_to(flat.reshape(shape), [batch, *shape]).astype(np.float32)

        return {s["input"]: rows(s) for s in self.states}

    def random_states(self, random, batch):
        return {s["input"]: random.standard_normal([batch, *s["shape"]]).astype(np.float32) for s in self.states}

    def following(self, outputs):
        """The states to feed after a run that gave `outputs`."""
        return {s["input"]: outputs[s["output"]] for s in self.states}

    def steps(self, run, data, states):
        """The step form over `[B, T, ..]`: what a sequence form gives, and the states after it."""
        rows = []
        for t in range(data.shape[1]):
            results = run({self.input: data[:, t], **states})
            rows.append(results[self.output])
            states = self.following(results)
        return {self.output: rows[-1] if self.last else np.stack(rows, axis=1), **self.renamed(states)}

    def pieces(self, run, data, states, sizes):
        """A sequence form over pieces of `[B, T, ..]`, the states carried on."""
        parts, at = [], 0
        for size in sizes:
            results = run({self.input: np.ascontiguousarray(data[:, at : at + size]), **states})
            parts.append(results[self.output])
            states = self.following(results)
            at += size
        assert at == data.shape[1]
        return {self.output: parts[-1] if self.last else np.concatenate(parts, axis=1), **self.renamed(states)}

    def renamed(self, states):
        return {s["output"]: states[s["input"]] for s in self.states}
