# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "einops==0.8.2",
#   "minGRU-pytorch==0.2.1",
#   "numpy==2.4.6",
#   "safetensors==0.8.0",
#   "torch==2.15.0",
# ]
# ///
"""Writes the golden data of `minrnn import`: small random models of other implementations, their weights and their outputs.

The models `lucidrains_*` are those of the Python package itself. The models `minrnns_*` are written down here a second time,
from what the published code of the paper's authors computes, with its names of tensors.

`--check` makes everything again and compares: weights exactly, outputs in float64 within 1e-11 of the largest, in float32
within 1e-4 (other processors sum in another order).
"""

import json
import math
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from minGRU_pytorch.minGRU import minGRU
from minGRU_pytorch.minLM import minLM
from minGRU_pytorch.minLSTM import minLSTM
from torch import nn

VERSION = "1"
HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = ".golden.safetensors"


# ---- the layout of BorealisAI/minRNNs, in our words --------------------------------------------------------------------


def positive(x):
    """g: x + 1/2 above zero, the sigmoid below."""
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


class Cell(nn.Module):
    def __init__(self, kind, dim, inner, normalize, learned):
        super().__init__()
        self.parts, self.normalize = {"gru": 2, "lstm": 3}[kind], normalize
        self.to_hidden_and_gate = nn.Linear(dim, inner * self.parts)
        self.to_out = nn.Linear(inner, dim)
        self.init_hidden_state = nn.Parameter(torch.zeros(inner)) if learned else None

    def forward(self, x):
        hidden, *gates = self.to_hidden_and_gate(x).tensor_split(self.parts, dim=-1)
        gates = [torch.sigmoid(g) for g in gates]
        if self.parts == 2:
            keep, take = 1 - gates[0], gates[0]
        else:
            total = gates[0] + gates[1] if self.normalize else 1
            keep, take = gates[0] / total, gates[1] / total
        h, steps = torch.zeros_like(hidden[:, 0]), []
        if self.init_hidden_state is not None:
            h = h + positive(self.init_hidden_state)
        for t in range(x.shape[1]):
            h = keep[:, t] * h + take[:, t] * positive(hidden[:, t])
            steps.append(h)
        return self.to_out(torch.stack(steps, dim=1))


class Gamma(nn.Module):
    """RMSNorm without an epsilon in the root."""

    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        length = x.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-12)
        return x / length * math.sqrt(x.shape[-1]) * (1 + self.gamma)


class Batch(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, x):
        return self.norm(x.mT).mT


class Gated(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.mult_bias = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        value, gate = x.tensor_split(2, dim=-1)
        return value * F.gelu(gate) * self.mult_bias


class Causal(nn.Module):
    def __init__(self, dim, kernel):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(dim, dim, kernel, groups=dim), nn.Conv1d(dim, dim, 1))
        self.past = kernel - 1

    def forward(self, x):
        return self.net(F.pad(x.mT, (self.past, 0))).mT


class Authors(nn.Module):
    def __init__(self, kind, dim, inner, depth, outputs, tokens=None, features=None, kernel=0, ff=0, batch=False, normalize=True, learned=True):
        super().__init__()
        if tokens:
            self.token_emb = nn.Embedding(tokens, dim)
        else:
            self.layer_in = nn.Linear(features, dim)
        norm = Batch if batch else Gamma
        self.layers = nn.ModuleList()
        for _ in range(depth):
            up_down = [nn.Linear(dim, 2 * ff), Gated(ff), nn.Linear(ff, dim), nn.Dropout(0.1)] if ff else []
            self.layers.append(nn.ModuleList([
                Causal(dim, kernel) if kernel else None,
                norm(dim),
                Cell(kind, dim, inner, normalize, learned),
                norm(dim),
                nn.Sequential(*up_down) if ff else None,
            ]))
        self.norm = norm(dim)
        self.to_out = nn.Linear(dim, outputs, bias=False)

    def forward(self, x):
        x = self.token_emb(x) if hasattr(self, "token_emb") else self.layer_in(x)
        for conv, norm, cell, ff_norm, ff in self.layers:
            x = x + conv(x) if conv else x
            x = x + cell(norm(x))
            x = x + ff(ff_norm(x)) if ff else x
        return self.to_out(self.norm(x))


# ---- models ------------------------------------------------------------------------------------------------------------

plain = lambda weights: weights
prefixed = lambda prefix: lambda weights: {prefix + name: value for name, value in weights.items()}


def training(key):
    """As training scripts save: the weights beside other things."""

    def wrapped(weights):
        moments = {i: {"step": torch.tensor(7.0), "exp_avg": torch.ones(3)} for i in range(2)}
        return {key: weights, "optimizer": {"state": moments, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.98)}]}, "step": 7, "loss": torch.tensor(1.5)}

    return wrapped


def tied(model):
    model.to_logits.weight = model.token_emb.weight
    return model


# name: (seed, B, T, file's ending, how its weights are wrapped, the type they are saved in, import's flags, model)
MODELS = {
    "lucidrains_gru_layer": (1, 2, 13, "safetensors", plain, None, {}, lambda: minGRU(6)),
    "lucidrains_gru_layer_expanded": (2, 2, 11, "pt", plain, None, {}, lambda: minGRU(4, expansion_factor=1.5)),
    "lucidrains_gru_layer_projected": (3, 2, 9, "pt", prefixed("encoder.rnn."), None, {"prefix": "encoder.rnn"}, lambda: minGRU(5, proj_out=True)),
    "lucidrains_gru_layer_wide": (4, 2, 9, "pt", plain, None, {}, lambda: minGRU(3, expansion_factor=2.0, proj_out=False)),
    "lucidrains_gru_layer_narrow": (5, 2, 9, "safetensors", plain, None, {}, lambda: minGRU(6, expansion_factor=0.5, proj_out=False)),
    "lucidrains_lstm_layer": (6, 3, 12, "pt", plain, None, {}, lambda: minLSTM(5)),
    "lucidrains_lstm_layer_expanded": (7, 2, 10, "safetensors", plain, None, {}, lambda: minLSTM(4, expansion_factor=2.5)),
    "lucidrains_gru_lm": (8, 2, 17, "pt", training("model"), None, {}, lambda: minLM(num_tokens=11, dim=8, depth=2, enable_conv=True)),
    "lucidrains_gru_lm_tied": (9, 2, 14, "safetensors", plain, None, {"tie": True}, lambda: tied(minLM(num_tokens=9, dim=6, depth=1, expansion=1.0))),
    "lucidrains_gru_lm_bf16": (10, 2, 14, "pt", prefixed("_orig_mod."), torch.bfloat16, {}, lambda: minLM(num_tokens=7, dim=10, depth=2, expansion=1.2, conv_kernel_size=4, enable_conv=True)),
    "lucidrains_lstm_lm": (11, 2, 19, "safetensors", prefixed("module."), None, {}, lambda: minLM(num_tokens=13, dim=8, depth=3, ff_mult=2, expansion=1.0, use_lstm=True, dropout=0.1)),
    "lucidrains_lstm_lm_f64": (12, 2, 15, "pt", training("model_state_dict"), torch.float64, {}, lambda: minLM(num_tokens=6, dim=4, depth=2, expansion=2.0, conv_kernel_size=5, use_lstm=True, enable_conv=True)),
    "minrnns_gru": (13, 2, 15, "pt", training("model"), None, {}, lambda: Authors("gru", 6, 12, 2, 7, tokens=7, kernel=4, ff=12)),
    "minrnns_gru_batch_norm": (14, 3, 11, "pt", training("model"), None, {}, lambda: Authors("gru", 5, 5, 2, 3, features=4, kernel=3, batch=True, learned=False)),
    "minrnns_lstm": (15, 2, 16, "pt", training("model"), None, {"normalize_gates": False}, lambda: Authors("lstm", 6, 9, 3, 4, tokens=8, normalize=False)),
    "minrnns_lstm_batch_norm": (16, 2, 12, "safetensors", plain, torch.float16, {"normalize_gates": True}, lambda: Authors("lstm", 4, 8, 2, 5, tokens=5, ff=8, batch=True)),
    "minrnns_gru_layer": (17, 2, 10, "safetensors", plain, None, {}, lambda: Cell("gru", 4, 6, True, True)),
}


def fill(model, random, dtype):
    """Random weights, not symmetric around zero, already rounded to the type that they are saved in."""
    for name, value in sorted(model.state_dict(keep_vars=True).items()):
        if not value.is_floating_point():
            continue
        low, high = (-0.9, 1.2) if value.dim() > 1 else (-0.4, 0.7)
        if name.endswith("running_var"):
            low, high = 0.3, 1.8
        drawn = torch.from_numpy(random.uniform(low, high, tuple(value.shape)))
        value.data = drawn.to(dtype or torch.float32).to(torch.float32)
    return model.eval()


def in_float64(model):
    """The same function in float64: the norm's epsilon stays that of float32."""
    for module in model.modules():
        if isinstance(module, nn.RMSNorm):
            module.eps = torch.finfo(torch.float32).eps
    return model.double()


def carried(layer, x, state):
    """A layer of the package from a given state: step by step, and the sequence at once."""
    steps, h = [], state[:, None]
    for t in range(x.shape[1]):
        y, h = layer(x[:, t : t + 1], h, return_next_prev_hidden=True)
        steps.append(y)
    return {"carried.sequential": torch.cat(steps, dim=1), "carried.parallel": layer(x, state[:, None])}


def continued(model, ids, following):
    """A model of the package after `ids`: one more token from the carried states, as its sampling does."""
    _, states = model(ids, return_prev_hiddens=True)
    logits = model(torch.cat([ids, following], dim=1), prev_hiddens=states)
    return {"next.output": logits[:, 0]}


def inputs(model, random, batch, time):
    tokens = getattr(model, "token_emb", None)
    if tokens is not None:
        draw = lambda t: torch.from_numpy(random.integers(0, tokens.num_embeddings, (batch, t)))
        return {"input_ids": draw(time), "next.input_ids": draw(1)}
    lone = getattr(model, "to_hidden_and_gate", getattr(model, "to_hidden_and_f_i_gate", None))
    width = lone.in_features if lone else model.layer_in.in_features
    draw = lambda low, high, *shape: torch.from_numpy(random.uniform(low, high, shape).astype(np.float32))
    given = {"features": draw(-1.5, 2.0, batch, time, width)}
    if isinstance(model, (minGRU, minLSTM)):
        given["state"] = draw(0.2, 2.5, batch, lone.out_features // (2 if isinstance(model, minGRU) else 3))
    return given


def outputs(model, given):
    x = given.get("input_ids", given.get("features"))
    x = x if "input_ids" in given else x.to(next(model.parameters()).dtype)
    made = {"output": model(x)}
    if "state" in given:
        made |= carried(model, x, given["state"].to(x.dtype))
    if isinstance(model, minLM) and model.can_cache:
        made |= continued(model, x, given["next.input_ids"])
    return made


@torch.no_grad()
def golden(name):
    """Weights as they are saved, and the tensors of the outputs."""
    seed, batch, time, ending, wrap, dtype, flags, make = MODELS[name]
    random = np.random.Generator(np.random.PCG64(seed))
    torch.manual_seed(seed)
    model = fill(make(), random, dtype)
    given = inputs(model, random, batch, time)
    saved = lambda v: v.detach().clone().to(dtype) if dtype and v.is_floating_point() else v.detach().clone()
    weights = {n: saved(v) for n, v in model.state_dict().items()}
    if flags.get("tie"):
        del weights["to_logits.weight"]
    tensors = dict(given)
    tensors |= {f"{n}.f32": y.float() for n, y in outputs(model, given).items()}
    tensors |= {f"{n}.f64": y.double() for n, y in outputs(in_float64(model), given).items()}
    assert all(torch.isfinite(t).all() for t in tensors.values()), name
    # One entry only: safetensors writes several in no fixed order.
    about = {"layout": VERSION, "weights": f"{name}.{ending}", "flags": flags}
    return wrap(weights), {n: t.contiguous() for n, t in tensors.items()}, about


# ---- files -------------------------------------------------------------------------------------------------------------


def write(path, weights):
    if path.suffix == ".pt":
        torch.save(weights, path)
    else:
        safetensors.torch.save_file(weights, path)


def flat(weights, prefix=""):
    """Every tensor of nested dictionaries by its path."""
    found = {}
    for name, value in weights.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}/")
        elif isinstance(value, torch.Tensor):
            found[f"{prefix}{name}"] = value
    return found


def read(path):
    return flat(torch.load(path, weights_only=True)) if path.suffix == ".pt" else safetensors.torch.load_file(path)


def near(got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    tolerance = {torch.float64: 1e-11, torch.float32: 1e-4}.get(got.dtype, 0)
    return bool(((got - want).abs() <= tolerance * want.abs().max()).all())


def differs(path, made, same):
    if not path.exists():
        return True
    stored = read(path)
    return stored.keys() != made.keys() or not all(same(made[n], stored[n]) for n in made)


def main():
    check, failed, total = sys.argv[1:] == ["--check"], [], 0
    assert check or not sys.argv[1:], "usage: generate.py [--check]"
    torch.set_num_threads(1)
    known = set()
    for name in MODELS:
        weights, tensors, about = golden(name)
        file, output = HERE / about["weights"], HERE / f"{name}{OUTPUT}"
        known |= {file.name, output.name}
        if not check:
            write(file, weights)
            safetensors.torch.save_file(tensors, output, {"minrnn.import": json.dumps(about)})
        else:
            exact = lambda a, b: a.dtype == b.dtype and torch.equal(a, b)
            failed += [file.name] if differs(file, flat(weights), exact) else []
            failed += [output.name] if differs(output, tensors, near) else []
        total += sum(f.stat().st_size for f in (file, output) if f.exists())
    failed += sorted(f"{p.name} (not made here)" for p in HERE.iterdir() if p.suffix in {".pt", ".safetensors"} and p.name not in known and not p.name.startswith(("torch_", "nanogpt")))
    print(f"{len(MODELS)} models, {total} bytes, {'checked' if check else 'written'}")
    if failed:
        sys.exit("differs from what is committed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
