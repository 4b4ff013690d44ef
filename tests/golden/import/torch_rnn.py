# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6",
#   "safetensors==0.8.0",
#   "torch==2.15.0",
# ]
# ///
"""Writes the golden data of `minrnn import` of torch.nn.GRU and torch.nn.LSTM: `torch_*`, as `README.md` has the entries.

`--check` makes everything again and compares, as `generate.py` does.
"""

import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = ".golden.safetensors"

# name: seed, B, T, what is put before the names, flags, layers
MODELS = {
    "torch_gru": (31, 2, 13, "", {}, lambda: nn.GRU(5, 5, batch_first=True)),
    "torch_gru_of_more_features": (32, 3, 9, "", {}, lambda: nn.GRU(7, 4, num_layers=2, batch_first=True)),
    "torch_gru_without_biases": (33, 2, 11, "encoder.", {"prefix": "encoder"}, lambda: nn.GRU(3, 6, num_layers=3, bias=False, batch_first=True)),
    "torch_lstm": (34, 2, 13, "", {}, lambda: nn.LSTM(4, 4, num_layers=2, batch_first=True)),
    "torch_lstm_of_more_channels": (35, 1, 17, "module.", {}, lambda: nn.LSTM(2, 8, num_layers=2, batch_first=True)),
    "torch_lstm_of_more_features": (36, 2, 8, "", {}, lambda: nn.LSTM(9, 4, batch_first=True)),
}


@torch.no_grad()
def golden(name):
    """Weights as they are saved, the tensors of the outputs, and what is said of both."""
    seed, batch, time, before, flags, make = MODELS[name]
    random = np.random.Generator(np.random.PCG64(seed))
    normal = lambda *shape: torch.from_numpy(random.normal(size=shape).astype(np.float32))
    model = make()
    for parameter in model.parameters():
        parameter.copy_(0.7 * normal(*parameter.shape))
    x = normal(batch, time, model.input_size)
    state = [normal(model.num_layers, batch, model.hidden_size) for _ in range(2 if isinstance(model, nn.LSTM) else 1)]
    weights = {before + n: v.detach().clone() for n, v in model.state_dict().items()}
    tensors = {"features": x}
    given = lambda dtype: tuple(s.to(dtype) for s in state) if len(state) == 2 else state[0].to(dtype)
    for dtype, short in [(torch.float32, "f32"), (torch.float64, "f64")]:
        model = model.to(dtype)
        tensors[f"output.{short}"] = model(x.to(dtype))[0]
        after, last = model(x.to(dtype), given(dtype))
        tensors[f"begun.output.{short}"] = after
        for kind, value in zip("hc", last if len(state) == 2 else [last]):
            for layer in range(model.num_layers):
                tensors[f"begun.next.{layer}.{kind}.{short}"] = value[layer]
    for kind, value in zip("hc", state):
        for layer in range(model.num_layers):
            tensors[f"begun.{layer}.{kind}"] = value[layer]
    about = {"layout": "1", "weights": f"{name}.safetensors", "flags": flags}
    return weights, {n: t.contiguous() for n, t in tensors.items()}, about


def near(got, want):
    tolerance = {torch.float64: 1e-11, torch.float32: 1e-4}[got.dtype]
    return got.shape == want.shape and bool(((got - want).abs() <= tolerance * want.abs().max()).all())


def main():
    check, failed = sys.argv[1:] == ["--check"], []
    assert check or not sys.argv[1:], "usage: torch_rnn.py [--check]"
    torch.set_num_threads(1)
    for name in MODELS:
        weights, tensors, about = golden(name)
        file, output = HERE / about["weights"], HERE / f"{name}{OUTPUT}"
        if not check:
            safetensors.torch.save_file(weights, file)
            safetensors.torch.save_file(tensors, output, {"minrnn.import": json.dumps(about)})
            continue
        stored = safetensors.torch.load_file(file)
        if stored.keys() != weights.keys() or not all(torch.equal(stored[n], weights[n]) for n in weights):
            failed.append(file.name)
        stored = safetensors.torch.load_file(output)
        if stored.keys() != tensors.keys() or not all(near(tensors[n], stored[n]) for n in tensors):
            failed.append(output.name)
    print(f"{len(MODELS)} models, {'checked' if check else 'written'}")
    if failed:
        sys.exit("differs from what is committed: " + ", ".join(failed))


main()
