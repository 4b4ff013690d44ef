# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6"]
# ///
"""Writes the golden data: minGRU, minLSTM, GRU, LSTM, Mamba, Mamba-2, Aaren, S4D, H3 and Hyena models by the papers' equations, apart from all Rust code.

Everything is computed in x86's extended precision (a 64-bit mantissa) and rounded to float64 at the end: what is stored
is then the nearest float64 on every such machine, whichever vector instructions numpy finds there.
"""

import json
import pathlib
import sys
import tomllib

import numpy as np

VERSION = "1"
HERE = pathlib.Path(__file__).resolve().parent
X = np.longdouble
assert np.finfo(X).nmant >= 63, "needs a machine with 80-bit floats (x86-64)"

# name: (seed, B, T, spread of the recurrent layer's weights, configuration)
MODELS = {
    "gru_tokens": (1, 3, 17, 1.0, """
width = 6
layers = 2
[input]
vocab = 7
[cell]
expansion = 2.0
[head]
width = 4
"""),
    "gru_features_conv_mlp_last": (2, 2, 19, 1.0, """
width = 5
layers = 2
norm = "layer"
[input]
features = 3
mean = [0.5, -1.25, 0.1]
std = [0.5, 2.0, 0.25]
[conv]
kernel = 4
[mlp]
expansion = 2.0
[head]
width = 3
kind = "values"
steps = "last"
bias = true
"""),
    "gru_linear_learned_plain": (3, 3, 12, 1.0, """
width = 8
layers = 2
residual = false
[input]
features = 2
[cell]
candidate = "linear"
initial_state = "learned"
bias = false
expansion = 1.5
[mlp]
expansion = 1.5
activation = "gelu_tanh"
gated = true
bias = false
[head]
width = 2
kind = "values"
"""),
    "gru_bare": (4, 2, 9, 1.0, """
width = 5
layers = 3
norm = "none"
[input]
vocab = 4
[cell]
output_projection = false
[conv]
kernel = 1
bias = false
[head]
width = 4
bias = true
"""),
    "gru_shorter_than_its_convolution": (5, 3, 2, 1.0, """
width = 4
layers = 2
[input]
vocab = 5
[conv]
kernel = 5
[head]
width = 3
steps = "last"
"""),
    "lstm_tokens": (6, 3, 18, 1.0, """
width = 6
layers = 2
[input]
vocab = 6
[cell]
kind = "min_lstm"
expansion = 1.5
[conv]
kernel = 3
pointwise = false
[mlp]
expansion = 1.0
activation = "silu"
[head]
width = 5
"""),
    "lstm_linear_learned_last": (7, 2, 16, 1.0, """
width = 4
layers = 2
norm = "layer"
[input]
features = 3
std = [4.0, 0.125, 1.0]
[cell]
kind = "min_lstm"
candidate = "linear"
initial_state = "learned"
[head]
width = 3
kind = "values"
steps = "last"
"""),
    "lstm_unnormalised": (8, 2, 14, 1.0, """
width = 5
layers = 2
[input]
vocab = 5
[cell]
kind = "min_lstm"
normalize_gates = false
expansion = 2.0
[conv]
kernel = 2
bias = false
[mlp]
activation = "silu"
gated = true
expansion = 2.0
[head]
width = 4
"""),
    "gru_closed_gates": (9, 2, 13, 60.0, """
width = 4
layers = 1
[input]
features = 2
[head]
width = 2
kind = "values"
"""),
    "lstm_closed_gates": (10, 2, 13, 150.0, """
width = 4
layers = 1
[input]
features = 2
[cell]
kind = "min_lstm"
candidate = "linear"
initial_state = "learned"
[head]
width = 2
kind = "values"
"""),
    "mamba": (11, 2, 11, 1.0, """
width = 6
layers = 2
block = "mamba"
[input]
vocab = 7
[cell]
kind = "mamba"
expansion = 1.5
states = 4
[head]
width = 7
tied = true
"""),
    "mamba_in_a_plain_block": (12, 2, 9, 1.0, """
width = 4
layers = 2
norm = "layer"
[input]
features = 3
[cell]
kind = "mamba"
states = 3
rank = 2
bias = true
[conv]
kernel = 3
[mlp]
expansion = 1.5
[head]
width = 2
kind = "values"
"""),
    "mamba2": (13, 2, 10, 1.0, """
width = 4
layers = 2
[input]
vocab = 5
[block]
kind = "mamba"
kernel = 3
bias = true
[cell]
kind = "mamba2"
states = 3
head_channels = 2
groups = 2
[head]
width = 3
steps = "last"
"""),
    "mamba2_norm_of_all": (14, 2, 8, 1.0, """
width = 4
layers = 1
[input]
features = 2
[block]
kind = "mamba"
conv_bias = false
[cell]
kind = "mamba2"
states = 2
head_channels = 1
groups = 4
norm_groups = 1
[mlp]
expansion = 1.0
activation = "silu"
[head]
width = 2
kind = "values"
"""),
    "mamba2_in_a_plain_block": (15, 2, 9, 1.0, """
width = 6
layers = 2
[input]
vocab = 5
[cell]
kind = "mamba2"
expansion = 1.0
states = 3
head_channels = 3
[head]
width = 5
tied = true
bias = true
"""),
    "signed": (18, 2, 14, 1.0, """
width = 5
layers = 2
[input]
features = 2
[cell]
kind = "signed_min_gru"
expansion = 1.6
time_scale = [1, 20]
[conv]
kernel = 2
[head]
width = 3
kind = "values"
"""),
    "signed_in_mambas_block": (19, 2, 11, 8.0, """
width = 4
layers = 2
[input]
vocab = 5
[block]
kind = "mamba"
[cell]
kind = "signed_min_gru"
initial_state = "zero"
[head]
width = 4
"""),
    "aaren": (20, 2, 13, 1.0, """
width = 6
layers = 2
[input]
vocab = 5
[cell]
kind = "aaren"
head_channels = 3
[mlp]
expansion = 1.0
[head]
width = 4
"""),
    "aaren_of_one_head": (21, 2, 9, 1.0, """
width = 4
layers = 1
[input]
features = 3
[block]
kind = "mamba"
kernel = 3
[cell]
kind = "aaren"
expansion = 1.5
[head]
width = 2
kind = "values"
steps = "last"
"""),
    "aaren_of_narrow_heads": (22, 3, 8, 6.0, """
width = 4
layers = 1
[input]
features = 2
[cell]
kind = "aaren"
head_channels = 1
bias = true
[head]
width = 3
kind = "values"
"""),
    "s4d": (23, 2, 15, 1.0, """
width = 4
layers = 2
[input]
features = 3
[cell]
kind = "s4d"
states = 6
bias = true
[head]
width = 3
kind = "values"
"""),
    "s4d_in_mambas_block": (24, 2, 10, 1.0, """
width = 4
layers = 1
block = "mamba"
[input]
vocab = 5
[cell]
kind = "s4d"
expansion = 1.5
states = 4
diagonal = "inv"
[head]
width = 5
tied = true
"""),
    "h3": (25, 2, 12, 1.0, """
width = 4
layers = 2
[input]
vocab = 6
[cell]
kind = "h3"
states = 4
taps = 5
bias = true
[mlp]
expansion = 1.0
[head]
width = 4
"""),
    "h3_of_one_tap": (26, 2, 9, 1.0, """
width = 5
layers = 1
[input]
features = 2
[cell]
kind = "h3"
expansion = 1.2
states = 2
taps = 1
[head]
width = 2
kind = "values"
steps = "last"
"""),
    "hyena": (27, 2, 12, 1.0, """
width = 4
layers = 2
[input]
vocab = 6
[cell]
kind = "hyena"
longest = 128
filter_width = 8
bias = true
[mlp]
expansion = 1.0
[head]
width = 4
"""),
    "hyena_in_mambas_block": (28, 2, 45, 1.0, """
width = 4
layers = 1
block = "mamba"
[input]
features = 2
[cell]
kind = "hyena"
longest = 127
filter_width = 5
expansion = 1.5
[head]
width = 2
kind = "values"
"""),
    "torch_gru": (29, 2, 13, 1.0, """
width = 5
layers = 2
[input]
vocab = 6
[cell]
kind = "gru"
expansion = 1.4
[conv]
kernel = 3
[head]
width = 4
"""),
    "torch_lstm": (30, 2, 11, 1.0, """
width = 4
layers = 2
norm = "layer"
[input]
features = 3
[cell]
kind = "lstm"
initial_state = "learned"
[mlp]
expansion = 1.5
[head]
width = 3
kind = "values"
"""),
    "torch_gru_in_mambas_block": (31, 2, 9, 3.0, """
width = 4
layers = 1
block = "mamba"
[input]
features = 2
[cell]
kind = "gru"
initial_state = "learned"
[head]
width = 2
kind = "values"
steps = "last"
"""),
    "torch_lstm_bare": (32, 3, 10, 2.0, """
width = 6
layers = 1
norm = "none"
[input]
vocab = 5
[cell]
kind = "lstm"
bias = false
output_projection = false
[head]
width = 5
"""),
    "gru_in_mambas_block": (16, 2, 12, 1.0, """
width = 4
layers = 2
[input]
vocab = 5
[block]
kind = "mamba"
kernel = 1
[cell]
expansion = 1.5
initial_state = "learned"
[head]
width = 4
"""),
    "lstm_in_mambas_block": (17, 2, 12, 1.0, """
width = 4
layers = 2
[input]
features = 2
[block]
kind = "mamba"
bias = true
[cell]
kind = "min_lstm"
bias = false
[head]
width = 4
kind = "values"
"""),
}


# ---- functions ---------------------------------------------------------------------------------------------------------


def softplus(x):
    """ln(1 + e^x), for every x."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erf(x):
    """2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (1*3*..*(2n+1)): all terms of one sign, so nothing cancels."""
    term = total = x
    for n in range(1, 400):
        term = term * 2 * x * x / (2 * n + 1)
        total = total + term
    series = 2 / np.sqrt(PI) * np.exp(-x * x) * total
    return np.where(np.abs(x) < 8, series, np.sign(x))


PI = X("3.14159265358979323846264338327950288")


def log_g(v):
    """Logarithm of the paper's g (appendix B.1): ln(v + 1/2), or ln(sigmoid(v)) below zero."""
    return np.where(v >= 0, np.log(np.maximum(v, 0) + X(0.5)), -softplus(-v))


def activation(name, x):
    if name == "gelu":
        return x * (1 + erf(x / np.sqrt(X(2)))) / 2
    if name == "gelu_tanh":
        return x * (1 + np.tanh(np.sqrt(2 / PI) * (x + X("0.044715") * x**3))) / 2
    assert name == "silu"
    return x / (1 + np.exp(-x))


# ---- a model -----------------------------------------------------------------------------------------------------------


class Model:
    """Runs a configuration; weights are drawn when they are first asked for, and then stay."""

    def __init__(self, config, seed, spread):
        self.config, self.spread = config, spread
        self.random = np.random.Generator(np.random.PCG64(seed))
        self.params = {}

    def uniform(self, low, high, shape):
        return (low + (high - low) * self.random.random(shape)).astype(np.float32)

    def param(self, name, shape, low, high):
        if name not in self.params:
            self.params[name] = self.uniform(low, high, shape)
        assert self.params[name].shape == tuple(shape), name
        return self.params[name].astype(X)

    def linear(self, name, x, outputs, bias, spread=1.0):
        inputs = x.shape[-1]
        bound = spread * 1.5 / np.sqrt(inputs)
        y = x @ self.param(f"{name}.weight", [inputs, outputs], -0.8 * bound, bound)
        return y + self.param(f"{name}.bias", [outputs], -0.4, 0.6) if bias else y

    def norm(self, name, x):
        kind, width = self.config.get("norm", "rms"), x.shape[-1]
        if kind == "none":
            return x
        weight = self.param(f"{name}.norm.weight", [width], 0.5, 1.6)
        if kind == "rms":
            return x * weight / np.sqrt((x * x).sum(-1, keepdims=True) / width + X("1e-5"))
        bias = self.param(f"{name}.norm.bias", [width], -0.3, 0.5)
        return (x - x.mean(-1, keepdims=True)) * weight / np.sqrt(x.var(-1, keepdims=True) + X("1e-5")) + bias

    def part(self, name, x, body):
        y = body(self.norm(name, x))
        return x + y if self.config.get("residual", True) else y

    def convolution(self, block, x, states, following):
        conv = self.config["conv"]
        k, width, bias = conv["kernel"], x.shape[-1], conv.get("bias", True)
        name = f"layers.{block}.conv"
        y = self.depthwise(name, block, x, k, bias, states, following)
        return self.linear(f"{name}.pointwise", y, width, bias) if conv.get("pointwise", True) else y

    def depthwise(self, name, block, x, k, bias, states, following):
        width = x.shape[-1]
        weight = self.param(f"{name}.depthwise.weight", [k, width], -0.5, 0.8)
        if k > 1:
            past = states.get(f"{block}.conv", np.zeros((len(x), k - 1, width), X))
            x = np.concatenate([past, x], axis=1)
            following[f"{block}.conv"] = x[:, x.shape[1] - (k - 1) :]
        channel = lambda b, c: np.convolve(x[b, :, c], weight[::-1, c], "valid")
        y = np.stack([np.stack([channel(b, c) for c in range(width)], -1) for b in range(len(x))])
        if bias:
            y = y + self.param(f"{name}.depthwise.bias", [width], -0.4, 0.6)
        return y

    def log_gates(self, cell, packed, d):
        """Logarithms of what multiplies the old state and the candidate, and the candidate's pre-activation."""
        part = lambda i: packed[..., i * d : (i + 1) * d]
        if cell.get("kind", "min_gru") == "min_gru":
            return -softplus(part(0)), -softplus(-part(0)), part(1)
        p, q, v = part(0), part(1), part(2)
        if not cell.get("normalize_gates", True):
            return -softplus(-p), -softplus(-q), v
        difference = softplus(-p) - softplus(-q)
        return -softplus(difference), -softplus(-difference), v

    def mixer(self, block, x, states, following):
        """The mixer of a block with what stands around it."""
        cell, around = self.config.get("cell", {}), self.config.get("block", "plain")
        around = {"kind": around} if isinstance(around, str) else around
        kind, gated = cell.get("kind", "min_gru"), around["kind"] == "mamba"
        name, width = f"layers.{block}.mixer", x.shape[-1]
        if kind.endswith(("gru", "lstm")):
            if not gated:
                d = round(width * cell.get("expansion", 1.0))
                return self.recurrent(f"layers.{block}.rnn", block, x, d, cell.get("output_projection", True), states, following)
            d, beside, apart = round(width * cell.get("expansion", 1.0)), 0, 0
            mix = lambda x, _: self.recurrent(f"{name}.rnn", block, x, d, False, states, following)
        else:
            d, n = round(width * cell.get("expansion", 2.0 if "mamba" in kind else 1.0)), cell.get("states")
            beside, apart = 0, 0
            if kind == "mamba2":
                beside, apart = 2 * cell.get("groups", 1) * n, d // cell["head_channels"]
            elif kind in ("aaren", "h3", "hyena"):
                beside = d if kind == "aaren" else 2 * d
            space = {"mamba": self.channels, "mamba2": self.heads, "aaren": self.attention, "s4d": self.s4d, "h3": self.h3, "hyena": self.hyena}[kind]
            scope = {"aaren": "attend", "h3": "h3", "hyena": "hyena"}.get(kind, "ssm")
            mix = lambda x, dt: space(f"{name}.{scope}", block, x, dt, d, n, states, following)
        bias = around.get("bias", False) if gated else cell.get("bias", False)
        inner = self.linear(f"{name}.in", x, (d if gated else 0) + d + beside + apart, bias)
        z, x, dt = np.split(inner, [d if gated else 0, inner.shape[-1] - apart], axis=-1)
        if gated:
            x = self.depthwise(name, block, x, around.get("kernel", 4), around.get("conv_bias", True), states, following)
            x = activation("silu", x)
        y = mix(x, dt)
        if gated:
            y = y * activation("silu", z)
            if kind == "mamba2":
                groups = y.reshape(*y.shape[:-1], cell.get("norm_groups", cell.get("groups", 1)), -1)
                groups = groups / np.sqrt((groups * groups).mean(-1, keepdims=True) + X("1e-5"))
                y = groups.reshape(y.shape) * self.param(f"{name}.norm.weight", [d], 0.5, 1.6)
        return self.linear(f"{name}.out", y, width, bias)

    def channels(self, name, block, x, _, d, n, states, following):
        """S6 (arXiv 2312.00752, algorithm 2): every channel has a step size of its own."""
        rank = self.config["cell"].get("rank", -(-self.config["width"] // 16))
        packed = self.linear(f"{name}.x", x, rank + 2 * n, False)
        low, b, c = np.split(packed, [rank, rank + n], axis=-1)
        step = softplus(low @ self.param(f"{name}.dt.weight", [rank, d], -0.8, 1.0) + self.param(f"{name}.dt.bias", [d], -4.0, 1.0))
        rate = -np.exp(self.param(f"{name}.A_log", [d * n], -0.5, 1.5).reshape(d, n))
        fed = np.einsum("btd,btn->btdn", step * x, b)
        y = self.space(block, np.einsum("btd,dn->btdn", step, rate), fed, np.broadcast_to(c[:, :, None], fed.shape), states, following)
        return y + self.param(f"{name}.D", [d], 0.2, 1.5) * x

    def heads(self, name, block, x, dt, d, n, states, following):
        """SSD (arXiv 2405.21060): one step size and one decay a head, b and c shared in a group of heads."""
        cell, heads = self.config["cell"], dt.shape[-1]
        groups, p = cell.get("groups", 1), d // heads
        x, b, c = np.split(x, [d, d + groups * n], axis=-1)
        step = softplus(dt + self.param(f"{name}.dt_bias", [heads], -4.0, 1.0))
        rate = -np.exp(self.param(f"{name}.A_log", [heads], -0.5, 1.5))
        per_head = lambda v: np.repeat(v.reshape(*v.shape[:-1], groups, n), heads // groups, axis=2)
        b, c = per_head(b), per_head(c)
        xs = x.reshape(*x.shape[:-1], heads, p)
        fed = np.einsum("bth,bthp,bthn->bthpn", step, xs, b)
        log_a = np.broadcast_to((step * rate)[..., None, None], fed.shape)
        read = np.broadcast_to(c[:, :, :, None], fed.shape)
        y = self.space(block, log_a, fed, read, states, following)
        skip = self.param(f"{name}.D", [heads], 0.2, 1.5)
        return y + (skip[:, None] * xs).reshape(x.shape)

    def space(self, block, log_a, fed, read, states, following):
        """h = exp(log_a) h + fed, and the sum of h times `read` over the last axis, of tensors [B, T, .., N]."""
        batch, time = fed.shape[:2]
        flat = lambda v: v.reshape(batch, time, -1)
        wide = flat(fed).shape[-1]
        h0 = states.get(f"{block}.h", np.zeros((batch, wide), X))
        h = unrolled(flat(log_a), flat(fed), h0)
        following[f"{block}.h"] = h[:, -1]
        return flat((h.reshape(fed.shape) * read).sum(-1))

    def attention(self, name, block, x, _, d, n, states, following):
        """Scaled dot-product attention of one query over the steps so far (Aaren, arXiv 2405.13956). A state is one step more: of
        score m, c times, with the mean h / c as its value."""
        k, v = np.split(x, 2, axis=-1)
        p = self.config["cell"].get("head_channels", d)
        query = self.param(f"{name}.query", [d], -1.2, 1.4)
        heads = lambda v: v.reshape(*v.shape[:-1], d // p, p)
        score, v = heads(k * query).sum(-1) / np.sqrt(X(p)), heads(v)
        least = np.full(score[:, 0].shape, -np.inf, X)
        m0 = states.get(f"{block}.m", least)
        c0, h0 = states.get(f"{block}.c", 0 * score[:, 0]), heads(states.get(f"{block}.h", np.zeros((len(x), d), X)))
        y = np.zeros(v.shape, X)
        for t in range(x.shape[1]):
            most = np.maximum(score[:, : t + 1].max(axis=1), m0)
            weight, past = np.exp(score[:, : t + 1] - most[:, None]), np.exp(m0 - most)
            total = weight.sum(axis=1) + past * c0
            value = np.einsum("bsh,bshp->bhp", weight, v[:, : t + 1]) + past[..., None] * h0
            y[:, t] = value / total[..., None]
        following |= {f"{block}.m": most, f"{block}.c": total, f"{block}.h": value.reshape(len(x), d)}
        return y.reshape(*x.shape[:-1], d)

    def diagonal(self, name, block, u, d, n, states, following):
        """A diagonal state space (S4D, arXiv 2206.11893) as its response: a convolution with K[l] = 2 re sum C (exp(s A) - 1) / A exp(s A l)."""
        batch, time, n = len(u), u.shape[1], n // 2
        step = np.exp(self.param(f"{name}.log_dt", [d], -5.0, -0.5))[:, None]
        parts = lambda v: v.reshape(*v.shape[:-1], d, n)
        rate = -np.exp(parts(self.param(f"{name}.A_log", [d * n], -1.5, 0.5))) + 1j * parts(self.param(f"{name}.A_im", [d * n], -1.0, 7.0))
        joined = lambda v: parts(v[..., : d * n]) + 1j * parts(v[..., d * n :])
        read = joined(self.param(f"{name}.C", [2 * d * n], -1.0, 1.2))
        power = lambda l: np.exp(step * rate * l)
        held = (power(1) - 1) / rate
        response = np.stack([2 * (read * held * power(l)).sum(-1).real for l in range(time)])
        h0 = joined(states.get(f"{block}.h", np.zeros((batch, 2 * d * n), X)))
        y = self.param(f"{name}.D", [d], -0.8, 1.5) * u
        for t in range(time):
            y[:, t] += np.einsum("sd,bsd->bd", response[t::-1], u[:, : t + 1]) + 2 * (read * power(t + 1) * h0).sum(-1).real
        h = power(time) * h0 + sum(held * power(time - 1 - s) * u[:, s, :, None] for s in range(time))
        flat = h.reshape(batch, d * n)
        following[f"{block}.h"] = np.concatenate([flat.real, flat.imag], axis=-1)
        return y

    def s4d(self, name, block, x, _, d, n, states, following):
        return activation("gelu", self.diagonal(name, block, x, d, n, states, following))

    def h3(self, name, block, x, _, d, n, states, following):
        """q * diagonal(shift(k) * v) (arXiv 2212.14052), the shift as the taps of its response."""
        q, k, v = np.split(x, 3, axis=-1)
        k = self.depthwise(f"{name}.shift", block, k, self.config["cell"]["taps"], False, states, following)
        return q * self.diagonal(name, block, k * v, d, n, states, following)

    def hyena(self, name, block, x, _, d, n, states, following):
        """x0 * (fftconv(v * x1, filter) + bias * v * x1) (arXiv 2302.10866, order 2), as the standalone operator of the package safari has
        it: a network of sines of a positional code, times an exponential window; the convolution by Fourier transforms of twice the
        length. What was before the given steps is in front of them, as so many more inputs."""
        cell, length = self.config["cell"], self.config["cell"]["longest"]
        conv = f"{block}.depthwise.conv" if self.mamba_block() else f"{block}.conv"
        x0, x1, v = np.split(self.short(f"{name}.short", conv, block, x, states, following), 3, axis=-1)
        u = v * x1
        past = states.get(f"{block}.filter.conv", np.zeros((len(u), length - 1, d), X))
        line = np.concatenate([past, u], axis=1)
        k = self.filter(f"{name}.filter", length, cell["filter_width"], d)
        size = 2 * line.shape[1]
        transform = lambda v: np.fft.rfft(v, n=size, axis=-2)
        y = np.fft.irfft(transform(k[: line.shape[1]]) * transform(line), n=size, axis=-2)[:, length - 1 : line.shape[1]]
        y = y + u * self.param(f"{name}.filter.bias", [d], -1.0, 1.5)
        following[f"{block}.filter.conv"] = line[:, line.shape[1] - (length - 1) :]
        following[f"{block}.n"] = states.get(f"{block}.n", np.zeros((len(u), 1), X)) + u.shape[1]
        return x0 * y

    def mamba_block(self):
        around = self.config.get("block", "plain")
        return (around if isinstance(around, str) else around["kind"]) == "mamba"

    def short(self, name, state, block, x, states, following):
        """The convolution of 3 steps, its window under the name that it has beside the block's own."""
        own = {f"{block}.conv": states[state]} if state in states else {}
        after = {}
        y = self.depthwise(name, block, x, 3, True, own, after)
        following[state] = after[f"{block}.conv"]
        return y

    def filter(self, name, length, width, d):
        t = np.arange(length).astype(X) / (length - 1)
        turn = 2 * PI * np.arange(length).astype(X) / length * X("1e-4")
        # The model has its code and its rates as f32.
        code = np.stack([t, np.cos(turn), -np.sin(turn)], -1).astype(np.float32).astype(X)
        frequency = self.param(f"{name}.frequency", [width], 0.5, 1.6)
        h = np.sin(frequency * self.linear(f"{name}.in", code, width, True))
        for i in range(2):
            h = np.sin(frequency * self.linear(f"{name}.inner.{i}", h, width, True))
        h = self.linear(f"{name}.out", h, d, False)
        slow, fast = -np.log(X("1e-2")) / X("1.5"), -np.log(X("1e-2")) / X("0.3")
        rates = np.linspace(0, 1, d).astype(X) if d > 1 else np.zeros(1, X)
        rates = (slow + (fast - slow) * rates).astype(np.float32).astype(X)
        return h * np.exp(-code[:, :1] * rates)

    def recurrent(self, name, block, x, d, projection, states, following):
        cell = self.config.get("cell", {})
        width, bias = x.shape[-1], cell.get("bias", True)
        if cell.get("kind", "min_gru") == "signed_min_gru":
            return self.signed(name, block, x, d, bias, projection, states, following)
        if cell.get("kind") in ("gru", "lstm"):
            return self.feedback(name, block, x, d, bias, projection, states, following)
        parts = 2 if cell.get("kind", "min_gru") == "min_gru" else 3
        packed = self.linear(f"{name}.in", x, parts * d, bias, self.spread)
        log_a, log_i, v = self.log_gates(cell, packed, d)
        if cell.get("candidate", "g") == "g":
            b = np.exp(log_i + log_g(v))
        else:
            b = np.exp(log_i) * v
        learned = cell.get("initial_state", "zero") == "learned"
        h0 = self.param(f"{name}.h0", [d], -0.7, 0.9) if learned else np.zeros(d, X)
        h0 = states.get(f"{block}.h", np.broadcast_to(h0, (len(x), d)))
        h = unrolled(log_a, b, h0)
        following[f"{block}.h"] = h[:, -1]
        return self.linear(f"{name}.out", h, width, bias) if projection else h

    def feedback(self, name, block, x, d, bias, projection, states, following):
        """PyTorch's GRU and LSTM, as its documentation writes them: gates in the order r, z, n and i, f, g, o, two biases each."""
        cell, width = self.config["cell"], x.shape[-1]
        names = ["h", "c"] if cell["kind"] == "lstm" else ["h"]
        parts = len(names) + 2
        learned = cell.get("initial_state", "zero") == "learned"
        first = [self.param(f"{name}.{n}0", [d], -0.7, 0.9) if learned else np.zeros(d, X) for n in names]
        h, *c = [states.get(f"{block}.{n}", np.broadcast_to(v, (len(x), d))) for n, v in zip(names, first)]
        fed = np.split(self.linear(f"{name}.in", x, parts * d, bias, self.spread), parts, axis=-1)
        sigmoid = lambda v: 1 / (1 + np.exp(-v))
        steps = []
        for t in range(x.shape[1]):
            moved = np.split(self.linear(f"{name}.hidden", h, parts * d, bias), parts, axis=-1)
            both = [f[:, t] + m for f, m in zip(fed, moved)]
            if cell["kind"] == "gru":
                r, z = sigmoid(both[0]), sigmoid(both[1])
                h = (1 - z) * np.tanh(fed[2][:, t] + r * moved[2]) + z * h
            else:
                c = [sigmoid(both[1]) * c[0] + sigmoid(both[0]) * np.tanh(both[2])]
                h = sigmoid(both[3]) * np.tanh(c[0])
            steps.append(h)
        following |= {f"{block}.{n}": v for n, v in zip(names, [h, *c])}
        h = np.stack(steps, axis=1)
        return self.linear(f"{name}.out", h, width, bias) if projection else h

    def signed(self, name, block, x, d, bias, projection, states, following):
        """h = a h + (1 - |a|) v with a = tanh(k), gated by sigmoid(o): as the unrolled sum of magnitudes, signs apart."""
        k, v, o = np.split(self.linear(f"{name}.in", x, 3 * d, bias, self.spread), 3, axis=-1)
        h0 = np.zeros(d, X)
        if self.config["cell"].get("initial_state", "learned") == "learned":
            h0 = self.param(f"{name}.h0", [d], -0.7, 0.9)
        h0 = states.get(f"{block}.h", np.broadcast_to(h0, (len(x), d)))
        size = np.log(-np.expm1(-2 * np.abs(k))) - np.log1p(np.exp(-2 * np.abs(k)))
        rest = 2 * np.exp(-2 * np.abs(k)) / (1 + np.exp(-2 * np.abs(k)))
        # With s[t] the product of all signs up to t, s h has a decay of magnitudes alone.
        sign = np.cumprod(np.sign(k), axis=1)
        h = sign * unrolled(size, sign * rest * v, h0)
        following[f"{block}.h"] = h[:, -1]
        y = h / (1 + np.exp(-o))
        return self.linear(f"{name}.out", y, x.shape[-1], bias) if projection else y

    def mlp(self, block, x):
        mlp, name, width = self.config["mlp"], f"layers.{block}.ff.mlp", x.shape[-1]
        hidden, bias, gated = round(width * mlp.get("expansion", 4.0)), mlp.get("bias", True), mlp.get("gated", False)
        up = self.linear(f"{name}.up", x, (2 if gated else 1) * hidden, bias)
        y = activation(mlp.get("activation", "gelu"), up[..., :hidden])
        return self.linear(f"{name}.down", y * up[..., hidden:] if gated else y, width, bias)

    def embed(self, data):
        into, width = self.config["input"], self.config["width"]
        if "vocab" in into:
            return self.param("input.embedding.weight", [into["vocab"], width], -1.2, 1.7)[data]
        features = into["features"]
        mean = np.array(into.get("mean", [0.0] * features), np.float32).astype(X)
        std = np.array(into.get("std", [1.0] * features), np.float32).astype(X)
        return self.linear("input.projection", (data.astype(X) - mean) / std, width, True)

    def run(self, data, states):
        """Output and states that follow; `states` may be empty."""
        following = {}
        x = self.embed(data)
        for i in range(self.config["layers"]):
            if "conv" in self.config:
                x = self.part(f"layers.{i}.conv", x, lambda y: self.convolution(i, y, states, following))
            x = self.part(f"layers.{i}", x, lambda y: self.mixer(i, y, states, following))
            if "mlp" in self.config:
                x = self.part(f"layers.{i}.ff", x, lambda y: self.mlp(i, y))
        head = self.config["head"]
        if head.get("steps", "every") == "last":
            x = x[:, -1]
        x = self.norm("head", x)
        if head.get("tied", False):
            y = x @ self.params["input.embedding.weight"].astype(X).T
            return y + self.param("head.bias", [head["width"]], -0.4, 0.6) if head.get("bias", False) else y, following
        return self.linear("head", x, head["width"], head.get("bias", False)), following


def unrolled(log_a, b, h0):
    """h[t] = (a[1]..a[t]) h0 + sum over s <= t of (a[s+1]..a[t]) b[s]: the recurrence without recurring."""
    sums = np.cumsum(log_a, axis=1)
    h = np.exp(sums) * h0[:, None]
    for t in range(b.shape[1]):
        h[:, t] += (np.exp(sums[:, t : t + 1] - sums[:, : t + 1]) * b[:, : t + 1]).sum(axis=1)
    return h


# ---- files -------------------------------------------------------------------------------------------------------------


def encode(tensors, metadata):
    """The bytes of a safetensors file: a length, a JSON header, the values in order of name."""
    header, values = {"__metadata__": metadata}, []
    kinds, at = {"float32": "F32", "float64": "F64", "int64": "I64"}, 0
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name])
        blob = raw.astype(raw.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": kinds[raw.dtype.name], "shape": list(raw.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        values.append(blob)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(values)


def golden(seed, batch, time, spread, text):
    config = tomllib.loads(text)
    model = Model(config, seed, spread)
    into, tensors = config["input"], {}
    if "vocab" in into:
        data = model.random.integers(0, into["vocab"], (batch, time))
        tensors["input_ids"] = data.astype(np.int64)
    else:
        data = model.uniform(-1.5, 2.0, (batch, time, into["features"]))
        tensors["features"] = data
    for run in ["zero", "given"]:
        states = {}
        if run == "given":
            # Weights of attention are positive.
            low = lambda name: 0.5 if name.endswith(".c") else -2.0
            states = {name: model.uniform(low(name), 1.2, state.shape).astype(X) for name, state in following.items()}
            # Counts of steps are whole numbers.
            states |= {name: np.full(state.shape, 7, X) for name, state in following.items() if name.endswith(".n")}
        output, following = model.run(data, states)
        for name, state in states.items():
            tensors[f"given.state.{name}"] = state.astype(np.float64)
        for name, state in following.items():
            tensors[f"{run}.next_state.{name}"] = state.astype(np.float64)
        tensors[f"{run}.output"] = output.astype(np.float64)
    tensors |= {f"param.{name}": value for name, value in model.params.items()}
    assert all(np.isfinite(t).all() for t in tensors.values())
    return encode(tensors, {"minrnn.golden": VERSION, "config": text.lstrip(), "generator": "tests/golden/generate.py"})


def main():
    check, failed, total = sys.argv[1:] == ["--check"], [], 0
    assert check or not sys.argv[1:], "usage: generate.py [--check]"
    for name, arguments in MODELS.items():
        blob, path = golden(*arguments), HERE / f"{name}.safetensors"
        total += len(blob)
        if not check:
            path.write_bytes(blob)
        elif not path.exists() or path.read_bytes() != blob:
            failed.append(path.name)
    strays = {p.stem for p in HERE.glob("*.safetensors")} - set(MODELS)
    failed += sorted(f"{s}.safetensors (not made here)" for s in strays)
    print(f"{len(MODELS)} models, {total} bytes, {'checked' if check else 'written'}")
    if failed:
        sys.exit("differs from what is committed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
