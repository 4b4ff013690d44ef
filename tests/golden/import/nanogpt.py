# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6",
#   "safetensors==0.8.0",
#   "torch==2.15.0",
# ]
# ///
"""Writes the golden data of `minrnn import` of nanoGPT: `nanogpt*`, as `README.md` has the entries.

The model is written down here a second time, from what nanoGPT's `model.py` computes, with its names of tensors and its checkpoint's keys.
`--check` makes everything again and compares, as `generate.py` does.
"""

import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = ".golden.safetensors"


class LayerNorm(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Attention(nn.Module):
    def __init__(self, width, heads, positions, bias, masked):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
        self.heads = heads
        # Where PyTorch has no fused attention the mask is saved too.
        if masked:
            self.register_buffer("bias", torch.tril(torch.ones(positions, positions)).view(1, 1, positions, positions))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = (y.view(batch, time, self.heads, -1).transpose(1, 2) for y in self.c_attn(x).split(width, dim=2))
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        later = torch.ones(time, time, dtype=torch.bool).triu(1)
        y = scores.masked_fill(later, float("-inf")).softmax(dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).reshape(batch, time, width))


class Feed(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width, bias=bias), nn.Linear(4 * width, width, bias=bias)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, heads, positions, bias, masked):
        super().__init__()
        self.ln_1, self.attn = LayerNorm(width, bias), Attention(width, heads, positions, bias, masked)
        self.ln_2, self.mlp = LayerNorm(width, bias), Feed(width, bias)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class NanoGpt(nn.Module):
    def __init__(self, n_layer, n_head, n_embd, block_size, bias, vocab_size, masked):
        super().__init__()
        blocks = [Block(n_embd, n_head, block_size, bias, masked) for _ in range(n_layer)]
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocab_size, n_embd), "wpe": nn.Embedding(block_size, n_embd), "h": nn.ModuleList(blocks),
            "ln_f": LayerNorm(n_embd, bias)})
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, ids):
        x = self.transformer.wte(ids) + self.transformer.wpe(torch.arange(ids.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x))


# name: seed, B, T, how it is saved, flags, whether masks are saved, arguments of the model
MODELS = {
    # What nanoGPT's train.py saves of a compiled model.
    "nanogpt": (41, 2, 11, "checkpoint", {}, False, dict(n_layer=2, n_head=2, n_embd=8, block_size=16, bias=True, vocab_size=7)),
    "nanogpt_without_biases": (42, 2, 9, "safetensors", {"heads": 3}, True, dict(n_layer=3, n_head=3, n_embd=6, block_size=9, bias=False, vocab_size=5)),
}


@torch.no_grad()
def golden(name):
    """Weights as they are saved, the tensors of the outputs, and what is said of both."""
    seed, batch, time, saved, flags, masked, arguments = MODELS[name]
    random = np.random.Generator(np.random.PCG64(seed))
    model = NanoGpt(**arguments, masked=masked)
    for _, parameter in sorted(model.named_parameters()):
        low, high = (-0.5, 0.7) if parameter.dim() > 1 else (-0.4, 1.1)
        parameter.copy_(torch.from_numpy(random.uniform(low, high, tuple(parameter.shape)).astype(np.float32)))
    ids = torch.from_numpy(random.integers(0, arguments["vocab_size"], (batch, time)))
    weights = {n: v.detach().clone() for n, v in model.state_dict().items()}
    if saved == "safetensors":
        del weights["lm_head.weight"]
    else:
        weights = {f"_orig_mod.{n}": v for n, v in weights.items()}
    tensors = {"input_ids": ids}
    for dtype, short in [(torch.float32, "f32"), (torch.float64, "f64")]:
        tensors[f"output.{short}"] = model.to(dtype)(ids)
    about = {"layout": "1", "weights": f"{name}.{'pt' if saved == 'checkpoint' else 'safetensors'}", "flags": flags}
    return weights, arguments, {n: t.contiguous() for n, t in tensors.items()}, about


def save(weights, arguments, file):
    if file.suffix == ".safetensors":
        return safetensors.torch.save_file(weights, file)
    beside = {"optimizer": {"state": {}, "param_groups": []}, "iter_num": 10, "best_val_loss": torch.tensor(1.5), "config": {"device": "cpu"}}
    torch.save({"model": weights, "model_args": arguments | {"dropout": 0.0}, **beside}, file)


def load(file):
    if file.suffix == ".safetensors":
        return safetensors.torch.load_file(file)
    return torch.load(file)["model"]


def near(got, want):
    tolerance = {torch.float64: 1e-11, torch.float32: 1e-4}.get(got.dtype, 0)
    return got.shape == want.shape and bool(((got - want).abs() <= tolerance * want.abs().max()).all())


def main():
    check, failed = sys.argv[1:] == ["--check"], []
    assert check or not sys.argv[1:], "usage: nanogpt.py [--check]"
    torch.set_num_threads(1)
    for name in MODELS:
        weights, arguments, tensors, about = golden(name)
        file, output = HERE / about["weights"], HERE / f"{name}{OUTPUT}"
        if not check:
            save(weights, arguments, file)
            safetensors.torch.save_file(tensors, output, {"minrnn.import": json.dumps(about)})
            continue
        stored = load(file)
        if stored.keys() != weights.keys() or not all(torch.equal(stored[n], weights[n]) for n in weights):
            failed.append(file.name)
        stored = safetensors.torch.load_file(output)
        if stored.keys() != tensors.keys() or not all(near(tensors[n], stored[n]) for n in tensors):
            failed.append(output.name)
    print(f"{len(MODELS)} models, {'checked' if check else 'written'}")
    if failed:
        sys.exit("differs from what is committed: " + ", ".join(failed))


main()
