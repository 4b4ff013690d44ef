"""The smallest worker of `minrnn verify`: put your device in the place of ONNX Runtime here. docs/engines.md has the protocol.

    minrnn verify EXPORT_DIR --engine my="python3 tests/engines/worker.py"
"""

import json
import math
import os
import struct
import sys

import numpy as np
import onnxruntime

requests = sys.stdin.buffer
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what libraries print must not come between the frames


def read():
    """A request, and its tensors by name."""
    begin = requests.read(4)
    if len(begin) < 4:
        sys.exit(0)
    header = json.loads(requests.read(*struct.unpack("<I", begin)))
    tensors = {}
    for t in header.get("tensors", []):
        data = requests.read(math.prod(t["shape"]) * np.dtype(t["type"]).itemsize)
        tensors[t["name"]] = np.frombuffer(data, t["type"]).reshape(t["shape"])
    return header, tensors


def write(header, tensors=()):
    """An answer; tensors are (name, array)."""
    header["tensors"] = [{"name": n, "type": a.dtype.name, "shape": a.shape} for n, a in tensors]
    text = json.dumps(header).encode()
    answers.write(struct.pack("<I", len(text)) + text + b"".join(a.tobytes() for _, a in tensors))
    answers.flush()


session = None
while True:
    request, feeds = read()
    try:
        if request["do"] == "hello":
            write({"ok": True, "name": "my", "version": onnxruntime.__version__})
        elif request["do"] == "open":
            session = onnxruntime.InferenceSession(request["path"], providers=["CPUExecutionProvider"])
            write({"ok": True})
        elif request["do"] == "run":
            wanted = request["wanted"]
            write({"ok": True}, list(zip(wanted, session.run(wanted, feeds))))
        elif request["do"] == "close":
            session = None
            write({"ok": True})
        else:
            write({"refused": f"no {request['do']} here"})
    except Exception as error:
        write({"refused": str(error)})
