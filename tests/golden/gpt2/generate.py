# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6",
#   "safetensors==0.8.0",
#   "torch==2.15.0",
#   "transformers==5.24.0",
# ]
# ///
"""Writes the golden data of attention: small random GPT-2s of the package transformers, run in float64 by its plain PyTorch path.

The layout is that of the files one folder above. `--check` makes everything again and compares: weights exactly, all else within 1e-12
of the largest.
"""

import pathlib
import sys

import numpy as np
import safetensors
import safetensors.numpy
import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

VERSION = "1"
HERE = pathlib.Path(__file__).resolve().parent
BATCH = 2

# name: (seed, layers, width, heads, positions, vocab, activation of the package, ours, T, steps before the given states)
MODELS = {
    # nanoGPT's block: GELU by the error function.
    "nano": (1, 2, 8, 2, 16, 7, "gelu", "gelu", 12, 4),
    # GPT-2's own: GELU by tanh; one head, as many steps as there are positions.
    "gpt2": (2, 3, 6, 1, 10, 5, "gelu_new", "gelu_tanh", 10, 0),
}


def fill(model, random):
    """Random weights, not symmetric around zero."""
    for _, value in sorted(model.named_parameters()):
        low, high = (-0.5, 0.7) if value.dim() > 1 else (-0.4, 1.1)
        values = random.uniform(low, high, tuple(value.shape)).astype(np.float32)
        value.data = torch.from_numpy(values).to(torch.float64)


def ours(model):
    """The same weights by our names. Conv1D of GPT-2 is `x W`, `[K, N]`, as ours is: nothing is turned."""
    own = {name: value.detach().numpy().astype(np.float32) for name, value in model.named_parameters()}
    rows = {
        "transformer.wte.weight": "input.embedding.weight",
        "transformer.wpe.weight": "input.position.weight",
        "transformer.ln_f.weight": "head.norm.weight",
        "transformer.ln_f.bias": "head.norm.bias",
    }
    parts = {
        "ln_1": "norm",
        "attn.c_attn": "mixer.in",
        "attn.c_proj": "mixer.out",
        "ln_2": "ff.norm",
        "mlp.c_fc": "ff.mlp.up",
        "mlp.c_proj": "ff.mlp.down",
    }
    for i in range(model.config.n_layer):
        for theirs, name in parts.items():
            for end in ("weight", "bias"):
                rows[f"transformer.h.{i}.{theirs}.{end}"] = f"layers.{i}.{name}.{end}"
    assert set(rows) == set(own), set(rows) ^ set(own)
    return {f"param.{rows[name]}": value for name, value in own.items()}


def states(model, cache, positions, steps):
    """The package's cache as our states: the last positions - 1 rows of keys and values, those before the begin zeros."""
    width = model.config.n_embd
    found = {"0.n": np.full((BATCH, 1), float(steps))}
    for i in range(model.config.n_layer):
        window = np.zeros((BATCH, positions - 1, 2 * width))
        if steps:
            layer = cache.layers[i]
            flat = [x.permute(0, 2, 1, 3).reshape(BATCH, steps, width).numpy() for x in (layer.keys, layer.values)]
            kept = min(steps, positions - 1)
            window[:, positions - 1 - kept :] = np.concatenate(flat, -1)[:, steps - kept :]
        found[f"{i}.window"] = window
    return found


def make(name):
    seed, layers, width, heads, positions, vocab, theirs, activation, time, before = MODELS[name]
    random = np.random.default_rng(seed)
    tokens = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    config = GPT2Config(
        vocab_size=vocab, n_positions=positions, n_embd=width, n_layer=layers, n_head=heads, activation_function=theirs,
        attn_implementation="eager", **tokens)
    model = GPT2LMHeadModel(config).eval()
    model = model.double()
    fill(model, random)
    tensors = ours(model)
    ids = random.integers(0, vocab, (BATCH, time))
    tensors["input_ids"] = ids

    def run(ids, cache):
        with torch.no_grad():
            out = model(torch.from_numpy(ids), past_key_values=cache, use_cache=True)
        assert out.logits.dtype == torch.float64, out.logits.dtype
        return out.logits.numpy(), out.past_key_values

    def piece(prefix, cache, steps):
        logits, cache = run(ids, cache)
        tensors[f"{prefix}.output"] = logits
        for state, values in states(model, cache, positions, steps + time).items():
            tensors[f"{prefix}.next_state.{state}"] = values

    piece("zero", DynamicCache(), 0)
    cache = DynamicCache()
    if before:
        _, cache = run(random.integers(0, vocab, (BATCH, before)), cache)
    for state, values in states(model, cache, positions, before).items():
        tensors[f"given.state.{state}"] = values
    piece("given", cache, before)
    text = (
        f"width = {width}\nlayers = {layers}\nnorm = \"layer\"\npositions = {positions}\ninit = \"gpt2\"\n"
        f"[input]\nvocab = {vocab}\n[head]\nwidth = {vocab}\ntied = true\n"
        f"[cell]\nkind = \"attention\"\nheads = {heads}\nbias = true\n[mlp]\nactivation = \"{activation}\"\n")
    tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    return tensors, {"minrnn.golden": VERSION, "config": text}


def check(path, tensors, metadata):
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == metadata, path
        assert set(file.keys()) == set(tensors), path
        for key, value in tensors.items():
            there = file.get_tensor(key)
            if value.dtype != np.float64:
                assert (there == value).all(), (path, key)
            assert np.abs(there - value).max() <= 1e-12 * max(1.0, np.abs(value).max()), (path, key)


for name in MODELS:
    path = HERE / f"{name}.safetensors"
    tensors, metadata = make(name)
    if "--check" in sys.argv[1:]:
        check(path, tensors, metadata)
    else:
        safetensors.numpy.save_file(tensors, path, metadata)
    print(path.name, path.stat().st_size)
