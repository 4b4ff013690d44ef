"""The figures of `lowerings.py` as Markdown."""

SCHEMA = "minrnn.bench.lowerings/1"
NAMES = {"onnxruntime": "ONNX Runtime", "tract": "tract", "openvino": "OpenVINO"}


def report(data):
    machine = data["machine"]
    versions = ", ".join(f"{NAMES[name]} {v}" for name, v in data["versions"].items())
    parts = [f"Measured on {machine['cores']} cores with {machine['threads']} threads (tract: one): {versions}.\n"]
    for model in ["recurrence", "language-model"]:
        modes = sorted({(r["engine"], r["length"]) for r in data["rows"] if r["model"] == model})
        for engine, length in modes:
            mine = [r for r in data["rows"] if (r["model"], r["engine"], r["length"]) == (model, engine, length)]
            what = "The recurrence alone" if model == "recurrence" else "The language model"
            parts.append(f"### {what} in {NAMES[engine]}, T {length}\n\n{table(mine, model)}")
    parts.append(f"### Largest errors of the recurrence\n\n{errors(data)}")
    if data["left_out"]:
        parts.append(f"Left out for want of time: {'; '.join(data['left_out'])}.\n")
    return "\n".join(parts)


def table(rows, model):
    names = [c["lowering"] for c in rows[0]["cells"]]
    copy = model == "recurrence"
    head = ["T", "D", *(["copy, ms"] if copy else []), "best, ms", *names]
    lines, notes = [head, ["---:"] * len(head)], []
    for row in sorted(rows, key=lambda r: (r["seq_len"], r["width"])):
        times = [c["median_ms"] for c in row["cells"] if "median_ms" in c]
        best = f"{min(times):.3g}" if times else "-"
        first = [str(row["seq_len"]), str(row["width"])]
        if copy:
            first.append(f"{row['copy']['median_ms']:.3g}")
        lines.append([*first, best, *(cell_text(c, notes) for c in row["cells"])])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    if notes:
        text += "\n" + "".join(f"{i + 1}. {note}\n" for i, note in enumerate(notes))
    return text


def cell_text(cell, notes):
    if cell["status"] == "timed":
        ratio = cell["ratio"]
        text = f"{ratio:.2f}" if ratio < 9.95 else f"{ratio:.0f}"
        return f"**{text}**" if ratio == 1 else text
    if cell["status"] == "slow":
        return "> 3 s"
    # One message for each lowering and outcome: they differ in sizes only.
    key = f"{cell['lowering']}, {cell['status']}: "
    at = next((i for i, note in enumerate(notes) if note.startswith(key)), len(notes))
    if at == len(notes):
        notes.append(key + plain(cell["why"]))
    return f"{cell['status']} ({at + 1})"


def plain(text):
    """The beginning of an engine's message, without what Markdown would read as its own."""
    text = text.replace("|", "/").replace("<", "‹").replace(">", "›").replace("*", "·")
    return text if len(text) <= 200 else text[:197] + "..."


def errors(data):
    rows = [r for r in data["rows"] if r["model"] == "recurrence"]
    names = [c["lowering"] for c in rows[0]["cells"]]
    head = ["engine", *names]
    lines = [head, ["---"] + ["---:"] * len(names)]
    for engine in dict.fromkeys(r["engine"] for r in rows):
        cells = [c for r in rows if r["engine"] == engine for c in r["cells"]]
        line = [NAMES[engine]]
        for name in names:
            found = [c["max_error"] for c in cells if c["lowering"] == name and "max_error" in c]
            line.append(f"{max(found):.1e}" if found else "-")
        lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
