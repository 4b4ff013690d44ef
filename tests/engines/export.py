"""An export folder: the manifest, the files, and how to feed them."""

import hashlib
import json
import pathlib

import numpy as np
import onnx

# Cells that a reader must know more for than laws of recurrences: folds, windows that are attended to, convolutions with taps. Lowerings
# leave recurrences out of the metadata, so that neither these nor the states tell.
BEYOND = ("gru", "lstm", "attention", "hyena")

class Export:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        assert self.manifest["schema"] in ("minrnn.manifest/1", "minrnn.manifest/2"), self.manifest["schema"]
        self.forms = list(self.manifest["forms"])
        self.states = self.manifest["states"]
        self.models, self.metadata = {}, {}
        for form, said in self.manifest["forms"].items():
            blob = (self.folder / said["file"]).read_bytes()
            digest = hashlib.sha256(blob).hexdigest()
            assert digest == said["sha256"], f"{said['file']}: sha256 is {digest}, the manifest says {said['sha256']}"
            if beside := said["weights"]:
                digest = hashlib.sha256((self.folder / beside["file"]).read_bytes()).hexdigest()
                assert digest == beside["sha256"], f"{beside['file']}: sha256 is {digest}, the manifest says {beside['sha256']}"
            self.models[form] = onnx.load(self.folder / said["file"])
            self.metadata[form] = {p.key: p.value for p in self.models[form].metadata_props}
        self.check_metadata()
        # Names of genai have no form step: there a sequence of one step is one.
        self.stepper = "step" if "step" in self.forms else self.forms[0]
        first = self.models[self.stepper].graph.input[0]
        self.input = first.name
        assert self.input in ("input_ids", "features"), f"first input is {self.input}"
        self.width = first.type.tensor_type.shape.dim[-1].dim_value
        self.output = self.models[self.stepper].graph.output[0].name
        self.last = self.manifest["head"] == "last"
        self.dtype = self.manifest["dtype"]
        self.target = self.manifest["target"]
        # Models that count their steps, and take so many from the begin or a reset on.
        config = self.manifest["config"]
        self.counts = config.get("cell", {}).get("kind") == "hyena" or "positions" in config
        if self.counts:
            assert any(s.get("counts") for s in self.states), "no state is said to count, and the model counts its steps"
        self.extras = {form: [i.name for i in m.graph.input if i.name in ("lengths", "reset")] for form, m in self.models.items()}

    def fixed(self):
        """Fixed batch and time of the sequence forms, or None."""
        for form, model in self.models.items():
            dims = model.graph.input[0].type.tensor_type.shape.dim
            if form != "step" and dims[1].dim_value:
                return dims[0].dim_value, dims[1].dim_value
        return None

    def feed(self, form, data, states, lengths=None, reset=None):
        """All inputs of a form; rows end at T and never begin anew unless said."""
        feed = {self.input: np.ascontiguousarray(data), **states}
        batch, time = data.shape[0], (data.shape[1] if form != "step" else 1)
        if "lengths" in self.extras[form]:
            feed["lengths"] = np.full(batch, time, np.int64) if lengths is None else lengths
        if "reset" in self.extras[form]:
            shape = (batch,) if form == "step" else (batch, time)
            feed["reset"] = np.zeros(shape, bool) if reset is None else reset
        return feed

    def check_metadata(self):
        for form, data in self.metadata.items():
            laws = {r.get("law", "linear") for r in json.loads(data["minrnn.recurrences"])}
            kind = self.manifest["config"].get("cell", {}).get("kind")
            contract = "1" if laws <= {"linear"} and kind not in BEYOND else "2"
            assert data["minrnn.contract"] == contract, f"{form}: contract {data['minrnn.contract']}, with the laws {sorted(laws)} and the cell {kind}"
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
        """Any values; where a recurrence has another law than the linear one, those that four steps lead to: a sum of weights is no number by chance."""
        if self.metadata[self.stepper]["minrnn.contract"] == "2":
            return self.following(self.steps(self.baseline, self.random_input(random, batch, 4), self.initial_states(batch)))
        return {s["input"]: random.standard_normal([batch, *s["shape"]]).astype(np.float32) for s in self.states}

    def following(self, outputs):
        """The states to feed after a run that gave `outputs`."""
        return {s["input"]: outputs[s["output"]] for s in self.states}

    def steps(self, run, data, states, lengths=None, reset=None):
        """The step form over `[B, T, ..]`: what a sequence form gives, and the states after it."""
        rows, kept = [], []
        form = self.stepper
        for t in range(data.shape[1]):
            now = None if reset is None else reset[:, t]
            if form == "step":
                feed = self.feed(form, data[:, t], states, None, now)
            else:
                feed = self.feed(form, data[:, t : t + 1], states, None, None if now is None else now[:, None])
            results = run(feed)
            rows.append(results[self.output] if form == "step" or self.last else results[self.output][:, 0])
            states = self.following(results)
            kept.append(states)
        if lengths is not None:
            # Each row's own end.
            ends = [(int(n) - 1, b) for b, n in enumerate(lengths)]
            states = {name: np.stack([kept[t][name][b] for t, b in ends]) for name in states}
            last = np.stack([rows[t][b] for t, b in ends])
            return {self.output: last if self.last else self.within(np.stack(rows, axis=1), lengths), **self.renamed(states)}
        return {self.output: rows[-1] if self.last else np.stack(rows, axis=1), **self.renamed(states)}

    def within(self, output, lengths):
        """What stands behind a row's end means nothing."""
        behind = np.arange(output.shape[1])[None, :] >= np.asarray(lengths)[:, None]
        return np.where(behind[:, :, None], np.float32(0), output)

    def pieces(self, form, run, data, states, sizes):
        """A sequence form over pieces of `[B, T, ..]`, the states carried on."""
        parts, at = [], 0
        for size in sizes:
            results = run(self.feed(form, data[:, at : at + size], states))
            parts.append(results[self.output])
            states = self.following(results)
            at += size
        assert at == data.shape[1]
        return {self.output: parts[-1] if self.last else np.concatenate(parts, axis=1), **self.renamed(states)}

    def renamed(self, states):
        return {s["output"]: states[s["input"]] for s in self.states}
