"""What the generators of golden numbers share. Versions: see scripts/python/requirements.txt."""

import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]


def values(seed: int, *shape: int) -> np.ndarray:
    """Numbers of mean 0 and variance 1 from splitmix64: torchtest.Values makes the same in Go."""
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, n + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (((z >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0) * np.sqrt(3.0)).reshape(shape)


def save(path: str, data) -> None:
    file = ROOT / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, indent=None, separators=(",", ":")) + "\n")
    print(f"{path}: {file.stat().st_size} bytes")
