"""Published files of a voice detector (package silero-vad 6.2) in `minrnn verify`: four step files continue the sequence file, the
smaller one computes something else.

    python tests/engines/published.py MINRNN WHEEL_OR_FOLDER

MINRNN: the program. WHEEL_OR_FOLDER: the package as it is downloaded (`pip download --no-deps silero-vad==6.2.3`), or the folder that it
was downloaded to. Needs nothing but Python's own library. Prints a line a file; ends with 1 if one is not as it should be.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

SEQUENCE = "silero_vad_16k_sequence"
# Step file, whether it holds, whether it wants the sampling rate.
STEPS = [
    ("silero_vad", True, True),
    ("silero_vad_16k_op15", True, True),
    ("silero_vad_op18_ifless", True, True),
    ("silero_vad_openvino_16k", True, False),
    ("silero_vad_half", False, False),
]
# `h` and `c` of the sequence file, which has no axis of the batch, are one tensor in the step files.
STATE = "state=stateN:batch=1,first=h+c=hn+cn"


def verify(minrnn, folder, step, rate):
    command = [minrnn, "verify", "--json", "-", "--max-len", "8", "--state", STATE]
    command += ["--sequence", folder / f"{SEQUENCE}.onnx", "--step", folder / f"{step}.onnx"]
    command += ["--value", "sr=16000"] if rate else []
    ran = subprocess.run(command, capture_output=True, text=True)
    if not ran.stdout:
        raise SystemExit(f"{step}: {ran.stderr.strip()}")
    rows = json.loads(ran.stdout)["pairs"][0]["rows"]
    output = [r for r in rows if r["check"] == "whole" and r["tensor"] == "output"]
    return ran.returncode, output[0]["max_abs"], output[0]["tolerance"]


def main():
    minrnn, package = sys.argv[1], pathlib.Path(sys.argv[2])
    wheel = package if package.is_file() else sorted(package.glob("silero_vad-*.whl"))[-1]
    wrong = 0
    with tempfile.TemporaryDirectory() as there:
        with zipfile.ZipFile(wheel) as archive:
            for name in [SEQUENCE, *(step for step, _, _ in STEPS)]:
                archive.extract(f"silero_vad/data/{name}.onnx", there)
        folder = pathlib.Path(there) / "silero_vad" / "data"
        for step, holds, rate in STEPS:
            code, apart, tolerance = verify(minrnn, folder, step, rate)
            # The smaller one is off by 0.09 in a probability, not by rounding.
            right = code == 0 if holds else code == 1 and apart > 0.05
            wrong += not right
            said = "holds" if code == 0 else "does not hold"
            print(f"{'right' if right else 'WRONG'}  {step}: {said}, {apart:.1e} of {tolerance:.1e}")
    print(f"{len(STEPS) - wrong} of {len(STEPS)} as they should be")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
