# /// script
# requires-python = ">=3.11"
# dependencies = ["onnx==1.23.2"]
# ///
"""Compares the checker of minrnn-onnx with that of the ONNX project.

    checker.py [PATH...] [--corpus DIR] [--mutants DIR COUNT SEED] [--table]

PATH is a file or a folder of `.onnx` files: there, both verdicts must be one. `--corpus` makes graphs that are right, for
which the same holds, and graphs that break one rule each: all must be refused by ours, and by theirs unless the case says
why theirs is laxer. `--mutants` makes random changes of right graphs: ours must refuse what theirs refuses. `--table`
compares what ours knows of each operator in each opset with the schemas of the standard. Ours is asked through
`cargo run -p minrnn-onnx --example check`, or through the program named by `--ours`.
Exit status 1: something differs.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx

CARGO = ["cargo", "run", "-q", "-p", "minrnn-onnx", "--example", "check", "--"]
# Element types that the checker has no name for; a file with them is refused as it is read.
UNKNOWN_TYPES = {"float6e2m3", "float6e3m2"}


def theirs(path):
    """None if the checker and strict inference accept the file, else what they say."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # of several kinds, some of them plain
        return " ".join(str(error).split())
    return None


def all_theirs(files):
    """What `theirs` says of each file. It runs in another process: some broken files end that process."""
    said = []
    while len(said) < len(files):
        child = subprocess.run(
            [sys.executable, __file__, "--theirs"],
            input="\n".join(files[len(said) :]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said += [json.loads(line) for line in child.stdout.splitlines()]
        if child.returncode != 0:
            said.append("ends the process")
    return said


def answer():
    """The child: a file a line in, a verdict a line out."""
    for file in sys.stdin.read().splitlines():
        print(json.dumps(theirs(file)), flush=True)
    return 0


def both(ours, arguments):
    """Lines of ours, each with what theirs says."""
    lines = ask(ours, arguments)
    return zip(lines, all_theirs([line["file"] for line in lines]))


def ask(ours, arguments):
    done = subprocess.run([*ours, *map(str, arguments)], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare_files(ours, paths):
    """Both must say the same of every file."""
    files = [f for p in paths for f in (sorted(p.rglob("*.onnx")) if p.is_dir() else [p])]
    bad = 0
    for line, other in both(ours, files) if files else []:
        if line["ok"] != (other is None):
            bad += 1
            print(f"DIFFERS {line['file']}\n    ours: {line['problems'] or 'ok'}\n    onnx: {other or 'ok'}")
    print(f"files: {len(files)}, {bad} differ")
    return bad


def compare_corpus(ours, folder):
    bad = good = refused = laxer = 0
    for line, other in both(ours, ["--corpus", folder]):
        if line["wanted"]:
            good += 1
            if not line["ok"] or other:
                bad += 1
                print(f"BAD right graph {line['name']}\n    ours: {line['problems'] or 'ok'}\n    onnx: {other or 'ok'}")
            continue
        verdict = "accepted" if other is None else "refused"
        refused += other is not None
        laxer += other is None
        print(f"{line['name']:60} ours {'accepted' if line['ok'] else 'refused'}, onnx {verdict}")
        if line["ok"]:
            bad += 1
            print("    BAD: ours accepts it")
        if other is None and not line["laxer"]:
            bad += 1
            print("    BAD: onnx accepts it, and no reason is given")
        if other is not None and line["laxer"]:
            bad += 1
            print(f"    BAD: a reason is given, but onnx refuses it: {other[:200]}")
    print(f"corpus: {good} right graphs; of the broken ones onnx refuses {refused} and accepts {laxer}; {bad} bad")
    return bad


def compare_mutants(ours, folder, count, seed):
    """Ours must refuse what theirs refuses; the reverse is counted."""
    bad = 0
    counts = Counter()
    for line, other in both(ours, ["--mutants", folder, count, seed]):
        counts["ours " + ("ok" if line["ok"] else "no") + ", onnx " + ("ok" if other is None else "no")] += 1
        if line["ok"] and other is not None:
            bad += 1
            print(f"DIFFERS {line['file']}\n    onnx: {other[:400]}")
    print(f"mutants: {dict(sorted(counts.items()))}")
    return bad


def types_of(schema, parameter):
    """Codes of the tensor types that a parameter takes."""
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    names = allowed.get(parameter.type_str, [parameter.type_str])
    inner = [n[len("tensor(") : -1] for n in names if n.startswith("tensor(")]
    spelled = {"float": "FLOAT", "double": "DOUBLE"}
    codes = (getattr(onnx.TensorProto, spelled.get(n, n.upper())) for n in inner if n not in UNKNOWN_TYPES)
    return sorted(codes)


def described(schema):
    kinds = {"Single": "required", "Optional": "optional", "Variadic": "many"}

    def parameters(formal):
        return [[kinds[p.option.name], types_of(schema, p)] for p in formal]

    # Sparse tensors are refused as a file is read.
    attributes = [[n, a.type.name, a.required] for n, a in schema.attributes.items() if a.type.name != "SPARSE_TENSOR"]
    return {
        "inputs": parameters(schema.inputs),
        "outputs": parameters(schema.outputs),
        "attributes": sorted(attributes),
    }


def compare_table(ours):
    lines = ask(ours, ["--table"])
    bad = 0
    known = {(line["op"], line["opset"]) for line in lines}
    for op in sorted({line["op"] for line in lines}):
        for opset in range(13, 29):
            there = onnx.defs.has(op) and onnx.defs.get_schema(op).since_version > 0
            try:
                onnx.defs.get_schema(op, opset)
            except onnx.defs.SchemaError:
                there = False
            if there != ((op, opset) in known):
                bad += 1
                print(f"DIFFERS {op} {opset}: {'there' if there else 'not there'} in onnx")
    for line in lines:
        try:
            wanted = described(onnx.defs.get_schema(line["op"], line["opset"]))
        except onnx.defs.SchemaError:
            continue
        got = {key: line[key] for key in ("inputs", "outputs")}
        for side in got.values():
            for parameter in side:
                parameter[1] = sorted(parameter[1])
        got["attributes"] = sorted(line["attributes"])
        if got != wanted:
            bad += 1
            print(f"DIFFERS {line['op']} {line['opset']}\n    ours: {got}\n    onnx: {wanted}")
    print(f"table: {len(lines)} rows, {bad} differ")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--ours", type=Path, help="the example `check`, built")
    parser.add_argument("--corpus", type=Path, metavar="DIR")
    parser.add_argument("--mutants", nargs=3, metavar=("DIR", "COUNT", "SEED"))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--theirs", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.theirs:
        return answer()
    ours = [str(options.ours)] if options.ours else CARGO
    bad = compare_files(ours, options.paths) if options.paths else 0
    if options.table:
        bad += compare_table(ours)
    if options.corpus:
        bad += compare_corpus(ours, options.corpus)
    if options.mutants:
        bad += compare_mutants(ours, *options.mutants)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
