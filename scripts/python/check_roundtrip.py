"""Checks that PyTorch and safetensors read what torch/weights writes, bit for bit.

    python scripts/python/check_roundtrip.py

Has the Go test of torch/weights write every golden file in both formats, loads
the results with torch.load(weights_only=True), torch.load(mmap=True) and
safetensors, and compares them with what scripts/golden/weights.py noted.
Exits with 1 if anything differs.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import safetensors
import safetensors.torch
import torch

warnings.filterwarnings("ignore")

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "torch" / "weights" / "testdata"
NOT_IN_SAFETENSORS = ("complex32", "complex128")


def digest(t):
    if t.numel() == 0:
        b = b""
    else:
        b = t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(b).hexdigest()[:16]


def compare(what, got, want):
    problems = []
    if sorted(got) != sorted(w["name"] for w in want):
        problems.append(f"{what}: keys {sorted(got)}, want {sorted(w['name'] for w in want)}")
    for w in want:
        t = got.get(w["name"])
        if t is None:
            continue
        have = (str(t.dtype).removeprefix("torch."), list(t.shape), digest(t))
        if have != (w["dtype"], w["shape"], w["sha256"]):
            problems.append(f"{what}: {w['name']}: {have}, want {w}")
    return problems


def main():
    expected = json.loads((TESTDATA / "expected.json").read_text())
    problems, tensors, files = [], 0, 0
    with tempfile.TemporaryDirectory() as tmp:
        env = dict(os.environ, GOJEPA_ROUNDTRIP_DIR=tmp, CGO_ENABLED="0")
        subprocess.run(
            ["go", "test", "-count=1", "-run=^TestRoundTrip$", "./torch/weights"], cwd=ROOT, env=env, check=True
        )
        for name, g in expected.items():
            pt = pathlib.Path(tmp) / f"{name}.pt"
            if not pt.exists():
                if g["tensors"]:
                    problems.append(f"{name}: was not converted")
                continue
            for mmap in (False, True):
                sd = torch.load(pt, weights_only=True, mmap=mmap)
                if list(sd) != [w["name"] for w in g["tensors"]]:
                    problems.append(f"{pt.name}: order {list(sd)}")
                problems += compare(f"{pt.name} (mmap={mmap})", sd, g["tensors"])
            st = pathlib.Path(tmp) / f"{name}.safetensors"
            want = [w for w in g["tensors"] if w["dtype"] not in NOT_IN_SAFETENSORS]
            problems += compare(st.name, safetensors.torch.load_file(st), want)
            with safetensors.safe_open(st, "pt") as f:
                if f.metadata() != {"from": name, "é": '"\n'}:
                    problems.append(f"{st.name}: metadata {f.metadata()}")
            tensors += len(g["tensors"])
            files += 1
    for p in problems:
        print(p)
    print(f"{files} files, {tensors} tensors in both formats: " + ("FAILED" if problems else "equal bit for bit"))
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
