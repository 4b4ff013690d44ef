"""Writes popgym.json: the diagonal state space of the package popgym (SSKernelDiag of its S4 implementation, zero-order hold) in float64, on
two channels of three complex numbers each. Run by a Python with torch, einops, opt_einsum and scipy, on the package's folder unpacked
(popgym 1.0.7): tests/golden/diagonal/popgym.py FOLDER
"""

import importlib.util
import json
import math
import pathlib
import sys

import torch

D, N2, B, T = 2, 3, 2, 40

spec = importlib.util.spec_from_file_location("s4d", pathlib.Path(sys.argv[1]) / "popgym/baselines/models/s4d.py")
s4d = importlib.util.module_from_spec(spec)
spec.loader.exec_module(s4d)


def wave(shape, k, scale=1.0, shift=0.0):
    """Values that a test computes for itself."""
    n = math.prod(shape)
    return torch.tensor([shift + scale * math.sin(i * k + 0.3) for i in range(n)], dtype=torch.float64).reshape(shape)


log_dt = wave([D], 1.1, 0.5, -1.0)
a_log = wave([D, N2], 0.7, 0.8)
a_im = wave([D, N2], 1.3, 4.0, 2.0)
c = torch.complex(wave([D, N2], 0.9), wave([D, N2], 1.7))
skip = wave([D], 2.3)
x = wave([B, T, D], 0.61)

# It takes the conjugate of what it is given as its parameter.
kernel = s4d.SSKernelDiag(
    torch.complex(-torch.exp(a_log), a_im), torch.ones([D, N2], dtype=torch.complex128), c.conj().unsqueeze(0), log_dt, disc="zoh", real_type="exp"
)
with torch.no_grad():
    response = kernel(T)[0][0]
assert response.dtype == torch.float64, response.dtype
y = torch.zeros([B, T, D], dtype=torch.float64)
for t in range(T):
    for s in range(t + 1):
        y[:, t] += response[:, t - s] * x[:, s]
y += skip * x
path = pathlib.Path(__file__).with_name("popgym.json")
path.write_text(json.dumps({"package": "popgym 1.0.7", "channels": D, "pairs": N2, "batch": B, "time": T, "y": y.flatten().tolist()}) + "\n")
