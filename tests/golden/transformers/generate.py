# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6",
#   "safetensors==0.8.0",
#   "torch==2.15.0",
#   "transformers==5.24.0",
# ]
# ///
"""Writes the golden data of importing Mamba, Mamba-2 and GPT-2: small random models of the package transformers, saved as it saves them,
and what its plain PyTorch path gives for them.

`golden.safetensors` of each has outputs in float32 as the package computes them, and in float64: there the package's own casts to
float32 are casts to float64. `--check` makes everything again and compares: weights exactly, outputs in float64 within 1e-11 of the
largest, in float32 within 1e-4.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Mamba2Config, Mamba2ForCausalLM, MambaConfig, MambaForCausalLM
from transformers.models.mamba import modeling_mamba
from transformers.models.mamba2 import modeling_mamba2

VERSION = "1"
HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = "golden.safetensors"

tokens = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}

# GPT-2 by its plain path, which is the same in every type.
gpt2 = lambda **keys: GPT2LMHeadModel(GPT2Config(attn_implementation="eager", **keys, **tokens))

# The one file of a model of that name is what torch.save makes of its state_dict, not safetensors.
IN_ARCHIVES = ["gpt2_in_an_archive"]

# name: (seed, B, T, largest bytes of a file, model)
MODELS = {
    "mamba_tied": (1, 2, 13, None, lambda: MambaForCausalLM(MambaConfig(vocab_size=11, hidden_size=8, state_size=4, num_hidden_layers=2, **tokens))),
    "mamba_in_shards": (2, 2, 11, 2000, lambda: MambaForCausalLM(MambaConfig(
        vocab_size=7, hidden_size=6, state_size=3, num_hidden_layers=3, conv_kernel=3, use_bias=True, use_conv_bias=False,
        time_step_rank=2, tie_word_embeddings=False, layer_norm_epsilon=1e-4, residual_in_fp32=False, **tokens))),
    "mamba2_groups": (3, 2, 14, None, lambda: Mamba2ForCausalLM(Mamba2Config(
        vocab_size=9, hidden_size=8, state_size=3, num_hidden_layers=2, num_heads=4, head_dim=4, n_groups=2, chunk_size=4, **tokens))),
    "mamba2_tied": (4, 3, 10, None, lambda: Mamba2ForCausalLM(Mamba2Config(
        vocab_size=7, hidden_size=6, state_size=5, num_hidden_layers=2, num_heads=6, head_dim=2, n_groups=1, conv_kernel=2,
        use_bias=True, tie_word_embeddings=True, chunk_size=256, **tokens))),
    "gpt2_tied": (5, 2, 13, None, lambda: gpt2(vocab_size=11, n_positions=18, n_embd=8, n_layer=2, n_head=2)),
    "gpt2_in_an_archive": (6, 2, 9, None, lambda: gpt2(
        vocab_size=7, n_positions=12, n_embd=6, n_layer=3, n_head=3, n_inner=10, activation_function="gelu", layer_norm_epsilon=1e-4,
        tie_word_embeddings=False)),
}


class Wide:
    """The module torch for a package's code, whose float32 is float64."""

    float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


def in_float64(body):
    """Runs `body` with the package's casts to float32 widened."""
    modules, narrow = [modeling_mamba, modeling_mamba2], torch.Tensor.float
    for module in modules:
        module.torch = Wide()
    torch.Tensor.float = torch.Tensor.double
    try:
        return body()
    finally:
        torch.Tensor.float = narrow
        for module in modules:
            module.torch = torch


def fill(model, random):
    """Random weights, not symmetric around zero."""
    for name, value in sorted(model.named_parameters()):
        low, high = (-0.5, 0.7) if value.dim() > 1 else (-0.4, 1.1)
        if name.endswith(("dt_proj.bias", "dt_bias")):
            low, high = -4.0, 1.0
        value.data = torch.from_numpy(random.uniform(low, high, tuple(value.shape))).to(torch.float32)
    return model.eval()


def states(cache):
    """The last inputs of the convolution [B, k-1, C], the states [B, D N]."""
    found = {}
    for i, layer in enumerate(cache.layers):
        conv, h = layer.conv_states, layer.recurrent_states
        conv = next(iter(conv.values())) if isinstance(conv, dict) else conv
        h = next(iter(h.values())) if isinstance(h, dict) else h
        conv, h = (v[0] if isinstance(v, (list, tuple)) else v for v in (conv, h))
        found[f"{i}.conv"] = conv
        found[f"{i}.h"] = h.reshape(h.shape[0], -1)
    return found


def windows(model, cache, steps):
    """The package's cache as our states: the last positions - 1 rows of keys and values, those before the begin zeros."""
    config, batch = model.config, cache.layers[0].keys.shape[0]
    found = {"0.n": torch.full((batch, 1), float(steps))}
    for i, layer in enumerate(cache.layers):
        rows = torch.cat([x.transpose(1, 2).reshape(batch, steps, config.n_embd) for x in (layer.keys, layer.values)], dim=-1)
        window = torch.zeros(batch, config.n_positions - 1, 2 * config.n_embd, dtype=rows.dtype)
        window[:, config.n_positions - 1 - steps :] = rows
        found[f"{i}.window"] = window
    return found


def runs_of_gpt2(model, ids, following):
    """The whole sequence, its states, and further tokens one by one."""
    whole = model(input_ids=ids, use_cache=True)
    cache, made = whole.past_key_values, {"logits": whole.logits}
    made |= {f"state.{name}": v.to(whole.logits.dtype) for name, v in windows(model, cache, ids.shape[1]).items()}
    steps = []
    for t in range(following.shape[1]):
        step = model(input_ids=following[:, t : t + 1], past_key_values=cache, use_cache=True)
        cache = step.past_key_values
        steps.append(step.logits)
    return made | {"next.logits": torch.cat(steps, dim=1)}


def runs(model, ids, following):
    if model.config.model_type == "gpt2":
        return runs_of_gpt2(model, ids, following)
    return runs_of_mamba(model, ids, following)


def runs_of_mamba(model, ids, following):
    """The whole sequence, its states, and further tokens one by one."""
    whole = model(input_ids=ids, use_cache=True)
    cache, kernel = whole.cache, model.config.conv_kernel
    after = {name: v.clone() for name, v in states(cache).items()}
    made = {"logits": whole.logits}
    for name, v in after.items():
        made[f"state.{name}"] = v[:, :, v.shape[-1] - (kernel - 1) :].transpose(1, 2) if name.endswith("conv") else v
    steps = []
    for t in range(following.shape[1]):
        step = model(input_ids=following[:, t : t + 1], cache=cache, use_cache=True)
        cache = step.cache
        steps.append(step.logits)
    made["next.logits"] = torch.cat(steps, dim=1)
    return made


@torch.no_grad()
def write(name, folder):
    seed, batch, time, shard, make = MODELS[name]
    random = np.random.Generator(np.random.PCG64(seed))
    torch.manual_seed(seed)
    model = fill(make(), random)
    draw = lambda t: torch.from_numpy(random.integers(0, model.config.vocab_size, (batch, t)))
    ids, following = draw(time), draw(3)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    if name in IN_ARCHIVES:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    for extra in folder.glob("generation_config.json"):
        extra.unlink()
    tensors = {"input_ids": ids, "next.input_ids": following}
    tensors |= {f"{n}.f32": y.float() for n, y in runs(model, ids, following).items()}
    wide = model.double()
    tensors |= {f"{n}.f64": y for n, y in in_float64(lambda: runs(wide, ids, following)).items()}
    assert all(y.dtype == torch.float64 for n, y in tensors.items() if n.endswith(".f64")), name
    assert all(torch.isfinite(t.double()).all() for t in tensors.values()), name
    about = {"minrnn.transformers": VERSION}
    safetensors.torch.save_file({n: t.contiguous() for n, t in tensors.items()}, folder / GOLDEN, about)


def near(got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    tolerance = {torch.float64: 1e-11, torch.float32: 1e-4}.get(got.dtype, 0)
    return bool(((got - want).abs() <= tolerance * want.abs().max()).all())


def differs(made, stored):
    if not stored.exists():
        return True
    if made.name != GOLDEN:
        return made.read_bytes() != stored.read_bytes()
    a, b = safetensors.torch.load_file(made), safetensors.torch.load_file(stored)
    return a.keys() != b.keys() or not all(near(a[n], b[n]) for n in a)


def main():
    check, failed, total = sys.argv[1:] == ["--check"], [], 0
    assert check or not sys.argv[1:], "usage: generate.py [--check]"
    torch.set_num_threads(1)
    for name in MODELS:
        kept = HERE / name
        with tempfile.TemporaryDirectory() as made:
            made = pathlib.Path(made)
            write(name, made)
            if not check:
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(made, kept)
            names = {p.name for p in made.iterdir()} | {p.name for p in kept.iterdir()}
            failed += [f"{name}/{n}" for n in sorted(names) if not (made / n).exists() or differs(made / n, kept / n)]
        total += sum(p.stat().st_size for p in kept.iterdir())
    print(f"{len(MODELS)} models, {total} bytes, {'checked' if check else 'written'}")
    if failed:
        sys.exit("differs from what is committed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
