"""Training steps by PyTorch and its packages on a GPU, for `minrnn bench train --python`: a line of JSON asks, a line answers.

The first line says what is there. Then {"model", "shape": [B, T, width], "dtype"} gives {"rows": [{"engine", "ms", "peak_bytes"} or
{"engine", "refused": why}]}. A layer's step is forward, mean square and backward with the gradient of the input; a language model's has
clipping and fused AdamW. dtype: f32, tf32 (products of f32), bf16 (autocast).
"""

import json
import os
import sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**what):
    print(json.dumps(what), file=answers, flush=True)


try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except Exception as e:
    answer(fatal=f"PyTorch is not there: {e!r}")
    sys.exit(0)
if not torch.cuda.is_available():
    answer(fatal="PyTorch sees no GPU")
    sys.exit(0)
torch.cuda.set_device(int(sys.argv[1]))
try:
    from mamba_ssm.modules.mamba_simple import Mamba

    why_no_mamba = None
except Exception as e:
    why_no_mamba = f"no mamba_ssm: {str(e) or repr(e)}"[:200]


class LogScan(nn.Module):
    """minGRU as it is published: a scan in log space."""

    def __init__(self, d, alpha=1, down=False):
        super().__init__()
        self.proj = nn.Linear(d, 2 * d * alpha, bias=down)
        self.down = nn.Linear(d * alpha, d) if down else nn.Identity()

    def forward(self, x):
        h, k = self.proj(x).float().chunk(2, -1)
        gate, rest = -F.softplus(-k), -F.softplus(k)
        value = gate + torch.where(h >= 0, (F.relu(h) + 0.5).log(), -F.softplus(-h))
        total = rest.cumsum(1)
        return self.down((total + (value - total).logcumsumexp(1)).exp().to(x.dtype))


def mamba(d):
    if why_no_mamba:
        raise RuntimeError(why_no_mamba)
    try:
        import causal_conv1d  # noqa: F401

        return Mamba(d)
    except ImportError:
        return Mamba(d, use_fast_path=False)


class Whole(nn.Module):
    """torch.nn.GRU or LSTM, which are cuDNN's."""

    def __init__(self, kind, d):
        super().__init__()
        self.rnn = kind(d, d, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


class Cells(nn.Module):
    """GRUCell or LSTMCell, called step by step."""

    def __init__(self, kind, d):
        super().__init__()
        if d > 64:
            raise RuntimeError("steps are called one by one at width 64 only")
        self.cell = kind(d, d)

    def forward(self, x):
        state, out = None, []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            out.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(out, 1)


class Block(nn.Module):
    def __init__(self, d, mixer, conv):
        super().__init__()
        self.n1, self.n2, self.n3 = nn.RMSNorm(d), nn.RMSNorm(d), nn.RMSNorm(d)
        self.conv = nn.Conv1d(d, d, 4, groups=d) if conv else None
        self.point = nn.Linear(d, d) if conv else None
        self.mixer = mixer(d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        if self.conv is not None:
            past = F.pad(self.n1(x).transpose(1, 2), (3, 0))
            x = x + self.drop(self.point(self.conv(past).transpose(1, 2)))
        x = x + self.drop(self.mixer(self.n2(x)))
        return x + self.drop(self.mlp(self.n3(x)))


class Language(nn.Module):
    def __init__(self, d, mixer, conv):
        super().__init__()
        self.embed = nn.Embedding(65, d)
        self.blocks = nn.ModuleList(Block(d, mixer, conv) for _ in range(3))
        self.norm, self.head = nn.RMSNorm(d), nn.Linear(d, 65)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).float().flatten(0, 1), ids.flatten())


class Attention(nn.Module):
    def __init__(self, d, heads=6):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.2)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class TransformerBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.n1, self.n2, self.mixer = nn.LayerNorm(d), nn.LayerNorm(d), Attention(d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = x + self.drop(self.mixer(self.n1(x)))
        return x + self.drop(self.mlp(self.n2(x)))


class Transformer(nn.Module):
    """nanoGPT's size: six blocks, six heads, learned positions, a tied head."""

    def __init__(self, d, t):
        super().__init__()
        self.embed, self.position, self.drop = nn.Embedding(65, d), nn.Embedding(t, d), nn.Dropout(0.2)
        self.blocks = nn.ModuleList(TransformerBlock(d) for _ in range(6))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 65)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.drop(self.embed(ids) + self.position.weight)
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).float().flatten(0, 1), ids.flatten())


log_scan = lambda d: LogScan(d, 2, True)
# Name: what makes the module of a width and a number of steps, whether ids go in, and the ways that it is run in (None: as it is; a
# function: what makes another module, run ten times).
COMPILED = {"torch.compile": "default", "torch.compile, graphs": "reduce-overhead"}
MODELS = {
    "layer min_gru": (lambda d, t: LogScan(d), False, COMPILED),
    "layer gru": (lambda d, t: Whole(nn.GRU, d), False, {"cuDNN": None, "GRUCell": lambda d, t: Cells(nn.GRUCell, d)}),
    "layer lstm": (lambda d, t: Whole(nn.LSTM, d), False, {"cuDNN": None, "LSTMCell": lambda d, t: Cells(nn.LSTMCell, d)}),
    "layer mamba": (lambda d, t: mamba(d), False, {"mamba_ssm": None}),
    "language model": (lambda d, t: Language(d, log_scan, True), True, COMPILED),
    "language model mamba": (lambda d, t: Language(d, mamba, False), True, {"mamba_ssm": None}),
    "language model transformer": (Transformer, True, COMPILED),
    "language model transformer, long": (Transformer, True, COMPILED),
}


def median(step, rounds):
    warm = 5 if rounds > 10 else 2
    flush = torch.empty(64 << 20, device="cuda")
    times = []
    for i in range(rounds + warm):
        flush.zero_()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        step()
        end.record()
        torch.cuda.synchronize()
        if i >= warm:
            times.append(begin.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def measure(make, ids, mode, shape, dtype):
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    b, t, d = shape
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype != "f32"
    base = torch.cuda.memory_allocated()
    rounds = 20
    if callable(mode):
        make, mode, rounds = mode, None, 10
    module = make(d, t).cuda()
    run = module if mode is None else torch.compile(module, mode=mode)
    x = torch.randint(65, (b, t), device="cuda") if ids else torch.randn(b, t, d, device="cuda", requires_grad=True)
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3, fused=True) if ids else None

    def step():
        with torch.autocast("cuda", torch.bfloat16, enabled=dtype == "bf16"):
            y = run(x)
        loss = y if ids else y.float().square().mean()
        loss.backward()
        if ids:
            nn.utils.clip_grad_norm_(module.parameters(), 0.25)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    ms = median(step, rounds)
    torch.cuda.reset_peak_memory_stats()
    step()
    return ms, torch.cuda.max_memory_allocated() - base


answer(torch=torch.__version__, mamba=why_no_mamba)
for line in sys.stdin:
    asked = json.loads(line)
    make, ids, modes = MODELS.get(asked["model"], (None, False, {}))
    rows = []
    for engine, mode in modes.items():
        try:
            ms, peak = measure(make, ids, mode, asked["shape"], asked["dtype"])
            rows.append({"engine": engine, "ms": ms, "peak_bytes": peak})
        except Exception as e:
            text = (str(e) or repr(e)).splitlines()[0][:200]
            rows.append({"engine": engine, "refused": text})
    answer(rows=rows)
