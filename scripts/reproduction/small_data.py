#!/usr/bin/env python3
"""Prints the table of docs/reproduction.md on small data: one domain's encoder, chosen by its loss alone, beside others.

The rows are encoders, frozen below a linear probe or fine-tuned end to end; the columns are labels per class. Everything is done by
this project's commands, which it only starts; what they print as JSON is kept in the sweep's folder, so that it goes on
where it was stopped.

Usage: . scripts/env.sh; scripts/reproduction/small_data.py SWEEP DATA CIFAR, with a sweep's folder of finished runs, a folder
with train and validation, and the ResNet-20 that was trained with the labels of CIFAR-10.
"""

import argparse
import json
import pathlib
import subprocess
import sys

SHOTS = ["1", "10", "all"]


def run(command):
    print("+", " ".join(command), file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    return json.loads(done.stdout)


def cell(shot):
    top1 = shot["top1"]
    text = f"{100 * top1['mean']:.1f}"
    return text if shot["draws"] < 2 else f"{text} ({100 * top1['low']:.1f} – {100 * top1['high']:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("cifar")
    parser.add_argument("--draws", default="5")
    parser.add_argument("--threads", default="0")
    o = parser.parse_args()

    best = run(["go", "run", "./cmd/select", str(o.sweep), "--metric", "none", "--json", "-"])["runs"][0]["dir"]
    weights = f"{best}/encoder.safetensors"
    data = ["--train", f"{o.data}/train", "--test", f"{o.data}/validation", "--shots", ",".join(SHOTS), "--draws", o.draws,
            "--threads", o.threads, "--json"]
    cifar = ["--weights", o.cifar, "--model", "cifar_resnet20", "--num-classes", "10", "--drop-head"]
    encoders = [  # the file of what is measured, its flags, and the names of its rows: frozen, and fine-tuned
        ("pretrained", ["--weights", weights], "pretrained here, frozen", "pretrained here, fine-tuned"),
        ("untrained", ["--weights", weights, "--untrained"], "the same encoder, untrained, frozen", "the same encoder, supervised from scratch"),
        ("cifar", cifar, "ResNet-20 of CIFAR-10, frozen", "ResNet-20 of CIFAR-10, fine-tuned"),
    ]
    print(f"encoder: {best}\n\n| | " + " | ".join(f"{s} a class" if s != "all" else s for s in SHOTS) + " |")
    print("| --- |" + " --- |" * len(SHOTS))
    for name, flags, frozen, tuned in encoders:
        kept = o.sweep / f"small_data_{name}.json"
        if not kept.exists():
            kept.write_text(json.dumps(run(["go", "run", "./cmd/evaluate", *flags, "--fine-tune", *data])))
        result = json.loads(kept.read_text())
        for row, scores in [(frozen, result["scores"][0]), (tuned, result["fine_tuned"])]:
            print(f"| {row} | " + " | ".join(cell(s) for s in scores["few_shot"]) + " |", flush=True)


if __name__ == "__main__":
    main()
