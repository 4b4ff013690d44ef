"""The training steps of `minrnn bench train` by PyTorch on the CPU: a line of JSON asks, a line answers.

{"model", "mode": "eager" or "compile", "steps", "batch", "time"} gives {"ms": [..], "loss"}: one batch, the optimizer's step included.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


def scan_log(k, h):
    la = -F.softplus(k)
    lb = -F.softplus(-k) + torch.where(h >= 0, (F.relu(h) + 0.5).log(), -F.softplus(-h))
    A = la.cumsum(1)
    return (A + (lb - A).logcumsumexp(1)).exp()


class Layer(nn.Module):
    def __init__(self, d, alpha):
        super().__init__()
        self.proj, self.out = nn.Linear(d, 2 * d * alpha), nn.Linear(d * alpha, d)

    def forward(self, x):
        h, k = self.proj(x).chunk(2, -1)
        return self.out(scan_log(k, h))


class Block(nn.Module):
    def __init__(self, d, alpha):
        super().__init__()
        self.n1, self.n2, self.n3 = nn.RMSNorm(d), nn.RMSNorm(d), nn.RMSNorm(d)
        self.dw, self.pw, self.rnn = nn.Conv1d(d, d, 4, groups=d), nn.Conv1d(d, d, 1), Layer(d, alpha)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        x = x + self.pw(self.dw(F.pad(self.n1(x).transpose(1, 2), (3, 0)))).transpose(1, 2)
        x = x + self.rnn(self.n2(x))
        return x + self.mlp(self.n3(x))


class Net(nn.Module):
    def __init__(self, inp, d, layers, out):
        super().__init__()
        self.inp = inp
        self.blocks = nn.ModuleList(Block(d, 2) for _ in range(layers))
        self.n, self.head = nn.RMSNorm(d), nn.Linear(d, out)

    def forward(self, x):
        h = self.inp(x)
        for b in self.blocks:
            h = b(h)
        return self.head(self.n(h))


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.n1, self.n2, self.heads = nn.LayerNorm(d), nn.LayerNorm(d), heads
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(self.n1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.n2(x))


class Transformer(nn.Module):
    def __init__(self, d, layers, heads, t, out):
        super().__init__()
        self.embed, self.position = nn.Embedding(out, d), nn.Embedding(t, d)
        self.blocks = nn.ModuleList(Attention(d, heads) for _ in range(layers))
        self.n, self.head = nn.LayerNorm(d), nn.Linear(d, out)
        self.head.weight = self.embed.weight

    def forward(self, x):
        h = self.embed(x) + self.position.weight
        for b in self.blocks:
            h = b(h)
        return self.head(self.n(h))


class Subject:
    def __init__(self, model, mode, b, t):
        self.last = model == "classifier"
        if self.last:
            net, self.x, self.y = Net(nn.Linear(8, 64), 64, 2, 5), torch.randn(b, t, 8), torch.randint(5, (b,))
        else:
            net = Transformer(192, 3, 6, t, 65) if model == "transformer" else Net(nn.Embedding(65, 384), 384, 3, 65)
            self.x = torch.randint(65, (b, t))
            self.y = torch.randint(65, (b, t))
        self.optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
        self.net = torch.compile(net) if mode == "compile" else net

    def step(self):
        o = self.net(self.x)
        loss = F.cross_entropy(o[:, -1] if self.last else o.flatten(0, 1), self.y.flatten())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss


def main():
    torch.set_num_threads(int(sys.argv[1]))
    answers = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), file=answers, flush=True)
    subjects = {}
    for line in sys.stdin:
        q = json.loads(line)
        key = (q["model"], q["mode"])
        if key not in subjects:
            subjects[key] = Subject(*key, q["batch"], q["time"])
            subjects[key].step(), subjects[key].step()
        times = []
        for _ in range(q["steps"]):
            start = time.perf_counter()
            loss = subjects[key].step()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"ms": times, "loss": loss.item()}), file=answers, flush=True)


main()
