"""Linear recurrences of other packages on a GPU, for `minrnn bench scan --python`: a line of JSON asks, a line answers.

The first line says what is there. Then {"engine", "shape": [B, T, D], "dtype", "backward", "rounds", "bytes", "most"} gives
{"ms", "error", "graph"}, or {"refused": why}; {"fatal": why} is the last line of a process that can answer no more. Results are held to
a loop over time in float64 on the same inputs before anything is timed: `most` is how far off they may be, as a share of their size.
"""

import importlib.metadata
import json
import os
import sys

# What compilers print goes elsewhere, also that of their child processes.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**what):
    print(json.dumps(what), file=answers, flush=True)


def fail(why):
    answer(fatal=why)
    sys.exit(0)


try:
    import torch
except Exception as e:
    fail(f"PyTorch is not there: {e!r}")
if not torch.cuda.is_available():
    fail("PyTorch sees no GPU")
torch.cuda.set_device(int(sys.argv[1]))
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def of_fla(name):
    import fla.ops.hgrn as ops

    scan = getattr(ops, name)
    # [B, T, D], gates as logarithms; the state before the first step is 0.
    return lambda g, x: scan(x, g)[0]


def of_accelerated_scan(module):
    return importlib.import_module(f"accelerated_scan.{module}").scan


# Name: package, what makes the function, whether time lies innermost and gates are as they are.
ENGINES = {
    "fla chunk_hgrn": ("flash-linear-attention", lambda: of_fla("chunk_hgrn"), False),
    "fla fused_recurrent_hgrn": ("flash-linear-attention", lambda: of_fla("fused_recurrent_hgrn"), False),
    "accelerated-scan warp": ("accelerated-scan", lambda: of_accelerated_scan("warp"), True),
    "accelerated-scan scalar": ("accelerated-scan", lambda: of_accelerated_scan("scalar"), True),
}
scans, versions, missing = {}, {}, {}
for name, (package, make, _) in ENGINES.items():
    try:
        scans[name] = make()
        try:
            versions[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "?"
    except Exception as e:
        text = str(e) or repr(e)
        missing[name] = f"{text.splitlines()[0][:200]} (package {package})"


def inputs(seed, shape, dtype, inner):
    """Gates (their logarithms for those that want them), values, and what comes back for the result."""
    b, t, d = shape
    random = torch.Generator(device="cuda").manual_seed(seed)
    uniform = lambda: torch.rand(b, t, d, device="cuda", generator=random)
    gates = uniform().clamp_(1e-4, 1 - 1e-4)
    all = [gates if inner else gates.log(), uniform() * 6 - 3, uniform() * 2 - 1]
    all = [x.to(dtype) for x in all]
    return [x.transpose(1, 2).contiguous() if inner else x for x in all]


def exact(gates, values, back, inner, backward):
    """The same in float64, step by step: the states, or the gradients of gates and values."""
    axis = 2 if inner else 1
    steps = range(gates.shape[axis])
    at = lambda x, t: x.select(axis, t).double()
    decay = lambda t: at(gates, t) if inner else at(gates, t).exp()
    h = torch.empty(gates.shape, dtype=torch.float64, device="cuda")
    state = torch.zeros_like(h.select(axis, 0))
    for t in steps:
        state = decay(t) * state + at(values, t)
        h.select(axis, t).copy_(state)
    if not backward:
        return [h]
    dx, dg = torch.empty_like(h), torch.empty_like(h)
    carried = torch.zeros_like(state)
    for t in reversed(steps):
        grad = at(back, t) + carried
        before = h.select(axis, t - 1) if t > 0 else torch.zeros_like(state)
        carried = decay(t) * grad
        dx.select(axis, t).copy_(grad)
        dg.select(axis, t).copy_(grad * before if inner else carried * before)
    return [dg, dx]


known = {}


def off(got, inner, key, given, backward):
    """The largest error of a result, as a share of its size."""
    if key not in known:
        known.clear()
        known[key] = exact(*given, inner, backward)
    errors = []
    for got, want in zip(got, known[key]):
        difference = (got.double() - want).square().mean().sqrt() / want.square().mean().sqrt()
        errors.append(difference.item())
    return max(e if e == e else float("inf") for e in errors)


def timed(run, count, rounds, stream):
    """Milliseconds of one of `count` runs in turn: of a captured graph of them, where they can be captured."""
    repeats = max(count, 8)
    graph = torch.cuda.CUDAGraph()
    captured = True
    try:
        with torch.cuda.graph(graph, stream=stream):
            for i in range(repeats):
                run(i % count)
    except Exception:
        captured = False
        torch.cuda.synchronize()
    times = []
    for _ in range(rounds + 1):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(stream)
        if captured:
            graph.replay()
        else:
            for i in range(repeats):
                run(i % count)
        end.record(stream)
        stream.synchronize()
        times.append(begin.elapsed_time(end) / repeats)
    times = sorted(times[1:])
    return times[len(times) // 2], captured


def measure(engine, shape, dtype, backward, rounds, bytes, most):
    scan, inner = scans[engine], ENGINES[engine][2]
    if engine == "accelerated-scan warp" and (shape[1] & (shape[1] - 1) or not 32 <= shape[1] <= 65536):
        return {"refused": f"takes powers of two from 32 to 65536 steps, not {shape[1]}"}
    moved = shape[0] * shape[1] * shape[2] * torch.finfo(TYPES[dtype]).bits // 8 * (5 if backward else 3)
    count = min(max(-(-bytes // moved), 2), 64)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        sets = [inputs(i, shape, TYPES[dtype], inner) for i in range(count)]
        if backward:
            leaves = [[x.requires_grad_() for x in s[:2]] for s in sets]
            results = [scan(*x) for x in leaves]
            run = lambda i: torch.autograd.grad(results[i], leaves[i], sets[i][2], retain_graph=True)
        else:
            run = lambda i: (scan(*sets[i][:2]),)
        with torch.set_grad_enabled(backward):
            got = [x.detach() for x in run(0)]
            key = (tuple(shape), dtype, inner, backward)
            error = off(got, inner, key, [x.detach() for x in sets[0]], backward)
            if not error <= most:
                return {"refused": f"is off by {error:.1e} of its size, more than {most:.0e}: not timed"}
            for i in range(count):
                run(i)
            stream.synchronize()
            ms, captured = timed(run, count, rounds, stream)
    return {"ms": ms, "error": error, "graph": captured}


answer(torch=torch.__version__, gpu=torch.cuda.get_device_name(), engines=versions, missing=missing)
for line in sys.stdin:
    question = json.loads(line)
    try:
        answer(**measure(**question))
    except torch.cuda.OutOfMemoryError:
        answer(refused="has too little memory")
    except Exception as e:
        text = f"{type(e).__name__}: {e}".splitlines()[0][:200]
        # What an illegal access leaves behind is of no use.
        if "CUDA" in text or "Triton" in text:
            fail(text)
        answer(refused=text)
    torch.cuda.empty_cache()
