# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "tensorboard==2.21.0",
# ]
# ///
"""Reads the event file of a run by TensorBoard's own reader and holds it to the run's metrics.jsonl.

    tensorboard_events.py RUN

Exit status 1: a value is missing, is another one, or is under another step.
"""

import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
read = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
read.Reload()
lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
steps = [line for line in lines if line["event"] == "step"]
evals = [line for line in lines if line["event"] == "eval"]


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


WANTED = {
    "loss/training": [(line["step"], line["loss"]) for line in steps],
    "learning rate": [(line["step"], line["lr"]) for line in steps],
    "gradient norm": [(line["step"], line["grad_norm"]) for line in steps],
    "loss/validation": [(line["step"], line["loss"]) for line in evals],
    "accuracy/validation": [(line["step"], line["accuracy"]) for line in evals if line["accuracy"] is not None],
}
bad = False


def values(tag):
    """Scalars, which TensorBoard turns into tensors of one number when it reads them."""
    if tag in read.Tags()["scalars"]:
        return [(event.step, event.wall_time, event.value) for event in read.Scalars(tag)]
    if tag in read.Tags()["tensors"]:
        return [(event.step, event.wall_time, event.tensor_proto.float_val[0]) for event in read.Tensors(tag)]
    return []


for tag, wanted in WANTED.items():
    got = values(tag)
    same = [(step, value) for step, _, value in got] == [(step, single(value)) for step, value in wanted]
    timeless = all(wall == step for step, wall, _ in got)
    if not wanted and tag != "accuracy/validation" or not same or not timeless:
        print(f"{tag}: {len(got)} values, wanted {len(wanted)} of metrics.jsonl, with the step for a time", file=sys.stderr)
        bad = True
if len(values("tokens per second")) != len(steps):
    print("tokens per second: not one for each step", file=sys.stderr)
    bad = True
texts = read.Tensors("sample") if "sample" in read.Tags()["tensors"] else []
if (run / "best" / "vocabulary.json").exists() and [event.step for event in texts] != [line["step"] for line in evals]:
    print("sample: not one text for each evaluation", file=sys.stderr)
    bad = True
if bad:
    sys.exit(1)
print(f"{run.name}: {len(steps)} steps, {len(evals)} evaluations and {len(texts)} texts as in metrics.jsonl")
