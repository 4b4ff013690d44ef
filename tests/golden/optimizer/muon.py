"""Writes muon.json: steps of torch.optim.Muon (adjust_lr_fn "match_rms_adamw") on two matrices, as it is (its iterations are in
bfloat16) and with the same iterations in float64. Run by a Python with torch: tests/golden/optimizer/muon.py
"""

import inspect
import json
import math
import pathlib

import torch
from torch.optim import _muon

LR, DECAY, MOMENTUM, STEPS = 0.03, 0.2, 0.9, 4
SHAPES = [[3, 7], [6, 4]]
ROUNDED = _muon._zeropower_via_newtonschulz


def exact():
    """The published function, its one conversion to bfloat16 replaced."""
    source = inspect.getsource(ROUNDED)
    assert source.count("torch.bfloat16") == 1
    space = dict(vars(_muon))
    exec(source.replace("torch.bfloat16", "torch.float64"), space)
    return space["_zeropower_via_newtonschulz"]


def wave(shape, k):
    """Values that a test computes for itself."""
    n = math.prod(shape)
    return torch.tensor([math.sin(i * k + 0.3) for i in range(n)], dtype=torch.float64).reshape(shape)


def run(iterations):
    _muon._zeropower_via_newtonschulz = iterations
    params = [torch.nn.Parameter(wave(s, 0.7 + i)) for i, s in enumerate(SHAPES)]
    optimizer = torch.optim.Muon(
        params, lr=LR, weight_decay=DECAY, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(STEPS):
        for i, p in enumerate(params):
            p.grad = wave(p.shape, 0.9 + i + 0.37 * step)
        optimizer.step()
    return [p.detach().flatten().tolist() for p in params]


path = pathlib.Path(__file__).with_name("muon.json")
golden = {
    "torch": torch.__version__.split("+")[0],
    "lr": LR, "weight_decay": DECAY, "momentum": MOMENTUM, "steps": STEPS, "shapes": SHAPES,
    "float64": run(exact()),
    "published": run(ROUNDED),
}
path.write_text(json.dumps(golden, indent=1) + "\n")
