"""Checks that TensorBoard reads the event files of a run, and Python its CSV files, and that all say what metrics.jsonl says.

    python scripts/python/check_runlogs.py

Has scripts/python/runlogs write the record of a run that was killed twice and resumed. Each step has to be in each file once,
in order, with equal figures; TensorBoard's are float32. Exits with 1 if anything differs.
"""

import csv
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 300
problems = []


def check(ok, what):
    if not ok:
        problems.append(what)


def figures(lines, kind):
    """What metrics.jsonl has, by tag: a list of (step, value)."""
    found = {}
    for line in lines:
        if "eval" in line and kind == "eval":
            for name, value in {**line["eval"], **{k: line[k] for k in ("seconds", "share")}}.items():
                found.setdefault(name, []).append((line["step"], value))
        if "loss" in line and kind == "train":
            for name, value in line.items():
                if name != "step":
                    found.setdefault(name, []).append((line["step"], value))
    return found


def check_tensorboard(folder, lines):
    files = list(folder.glob("*tfevents*"))
    check(len(files) == 1, f"{len(files)} files of events, expected 1")
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    reader.Reload()
    want = {f"{kind}/{name}": points for kind in ("train", "eval") for name, points in figures(lines, kind).items()}
    check(set(reader.Tags()["scalars"]) == set(want), f"tags {sorted(reader.Tags()['scalars'])}, expected {sorted(want)}")
    for tag, points in want.items():
        got = reader.Scalars(tag)
        check([e.step for e in got] == [step for step, _ in points], f"{tag}: steps differ")
        for e, (step, value) in zip(got, points):
            same = not math.isfinite(e.value) if value is None else e.value == np.float32(value)
            check(same, f"{tag}: {e.value} at step {step}, expected {value}")
        times = [e.wall_time for e in got]
        check(times == sorted(times), f"{tag}: times are not in order")
    print(f"TensorBoard: {len(want)} tags, {sum(map(len, want.values()))} figures")


def check_csv(folder, lines):
    with open(folder / "metrics.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    want = [line for line in lines if "loss" in line]
    check(len(rows) == len(want), f"metrics.csv: {len(rows)} rows, expected {len(want)}")
    for row, line in zip(rows, want):
        got = {name: float(cell) if cell else None for name, cell in row.items()}
        check(got == line, f"metrics.csv: {got}, expected {line}")
    with open(folder / "evaluations.csv", newline="") as f:
        rows = [(int(r["step"]), r["name"], float(r["value"])) for r in csv.DictReader(f)]
    want = sorted((step, name, value) for name, points in figures(lines, "eval").items() for step, value in points)
    check(sorted(rows) == want, f"evaluations.csv: {rows}, expected {want}")
    print(f"CSV: {len(lines)} records")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(["go", "run", "./scripts/python/runlogs", tmp], cwd=ROOT, check=True)
        folder = pathlib.Path(tmp)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        check([line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1)), "metrics.jsonl: steps")
        check_tensorboard(folder, lines)
        check_csv(folder, lines)
    for problem in problems[:20]:
        print("differs:", problem, file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
