"""Training steps by PyTorch for `minrnn repro efficiency --python`: a line of JSON asks, a line answers.

The first line says what is there. Then {"engine", "batch", "time", "width", "layers"} gives {"ms", "bytes"} or {"refused": why}.
A step is forward, cross-entropy, backward and AdamW of tokens of 16 kinds, f32; ms is the median of turns, ten of each cell's loop.
"""

import json
import os
import sys
import time

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
device = sys.argv[1]
if device != "cpu" and not torch.cuda.is_available():
    answer(fatal="PyTorch sees no GPU")
    sys.exit(0)


class Cells(nn.Module):
    """GRUCell or LSTMCell, called step by step, as the paper's baselines are."""

    def __init__(self, kind, d):
        super().__init__()
        self.cell = kind(d, d)

    def forward(self, x):
        state, out = None, []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            out.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(out, 1)


class Whole(nn.Module):
    """torch.nn.GRU or LSTM: cuDNN on a GPU."""

    def __init__(self, kind, d):
        super().__init__()
        self.rnn = kind(d, d, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


class LogScan(nn.Module):
    """minGRU as it is published: a scan in log space."""

    def __init__(self, d):
        super().__init__()
        self.maps, self.out = nn.Linear(d, 2 * d), nn.Linear(d, d)

    def forward(self, x):
        h, k = self.maps(x).chunk(2, -1)
        value = -F.softplus(-k) + torch.where(h >= 0, (F.relu(h) + 0.5).log(), -F.softplus(-h))
        total = (-F.softplus(k)).cumsum(1)
        return self.out((total + (value - total).logcumsumexp(1)).exp())


def mamba(d):
    from mamba_ssm.modules.mamba_simple import Mamba

    return Mamba(d)


ENGINES = {
    "gru": (lambda d: Whole(nn.GRU, d), False),
    "lstm": (lambda d: Whole(nn.LSTM, d), False),
    "gru_cell": (lambda d: Cells(nn.GRUCell, d), False),
    "lstm_cell": (lambda d: Cells(nn.LSTMCell, d), False),
    "min_gru": (LogScan, False),
    "min_gru_compiled": (LogScan, True),
    "mamba_ssm": (mamba, False),
}


class Model(nn.Module):
    def __init__(self, make, d, layers):
        super().__init__()
        self.embed, self.head = nn.Embedding(16, d), nn.Linear(d, 16)
        self.norms = nn.ModuleList(nn.RMSNorm(d) for _ in range(layers))
        self.mixers = nn.ModuleList(make(d) for _ in range(layers))

    def forward(self, ids):
        x = self.embed(ids)
        for norm, mixer in zip(self.norms, self.mixers):
            x = x + mixer(norm(x))
        return F.cross_entropy(self.head(x).flatten(0, 1), ids.flatten())


def wait():
    if device != "cpu":
        torch.cuda.synchronize()


def measure(engine, batch, steps, width, layers):
    make, compiled = ENGINES[engine]
    torch._dynamo.reset()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    base = torch.cuda.memory_allocated() if device != "cpu" else 0
    model = Model(make, width, layers).to(device)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    ids = torch.randint(16, (batch, steps), device=device)

    def turn():
        wait()
        start = time.perf_counter()
        run(ids).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wait()
        return (time.perf_counter() - start) * 1e3

    first = turn()
    # Ten of what takes long: half a minute is enough for a row.
    turns = 10 if engine.endswith("_cell") or first > 200 else 30
    turns = max(1, min(turns, int(30_000 / max(first, 1e-3))))
    times = sorted(turn() for _ in range(turns))
    peak = torch.cuda.max_memory_allocated() - base if device != "cpu" else None
    return times[len(times) // 2], peak


answer(torch=torch.__version__)
for line in sys.stdin:
    asked = json.loads(line)
    try:
        ms, peak = measure(*(asked[k] for k in ("engine", "batch", "time", "width", "layers")))
        answer(ms=ms, bytes=peak)
    except Exception as e:
        answer(refused=(str(e) or repr(e)).splitlines()[0][:200])
