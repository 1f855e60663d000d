#!/usr/bin/env python3
"""Loading a ViT-L's weights into a model, and saving them, beside PyTorch: vision's BenchmarkWeights, as a Markdown table.

1.2 GB of random float32, in safetensors and in torch.save's format, in a temporary folder that is deleted afterwards. The
model is there already on both sides; files are in the system's cache. "write" leaves it to the system when the data are on
the disk, as PyTorch does; "save" waits for that and then replaces the old file, as gojepa does, and PyTorch is made to wait
too. Rivals take turns; the least time of each counts. Versions: torch==2.11.0, timm==1.0.31, safetensors==0.8.0.

    make bench-weights
    make bench-weights BENCH_FLAGS="--dir /dev/shm" # in memory, where syncing costs nothing
"""

import argparse
import os
import pathlib
import re
import subprocess
import tempfile
import time

import safetensors.torch
import timm
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]


def python_rivals(model, folder):
    pt, st = folder / "vit.pt", folder / "vit.safetensors"
    out_pt, out_st = folder / "python.pt", folder / "python.safetensors"

    def save_pt():
        torch.save(model.state_dict(), out_pt)

    def save_st():
        safetensors.torch.save_file(model.state_dict(), out_st)

    def synced(save, out):
        def run():
            save()
            with open(out, "rb") as f:
                os.fsync(f.fileno())
        return run

    return {
        "load.pt": {
            "torch.load": lambda: model.load_state_dict(torch.load(pt, weights_only=True)),
            "torch.load, mmap=True": lambda: model.load_state_dict(torch.load(pt, weights_only=True, mmap=True)),
        },
        "load.safetensors": {"safetensors": lambda: model.load_state_dict(safetensors.torch.load_file(st))},
        "write.pt": {"torch.save": save_pt},
        "write.safetensors": {"safetensors": save_st},
        "save.pt": {"torch.save and fsync": synced(save_pt, out_pt)},
        "save.safetensors": {"safetensors and fsync": synced(save_st, out_st)},
    }


def go(binary, folder, task, model):
    """Milliseconds of gojepa, the least of two."""
    out = subprocess.run(
        [binary, "-test.run", "^$", "-test.bench", f"^BenchmarkWeights$/^{re.escape(task)}$", "-test.benchtime", "2x"],
        env=dict(os.environ, GOJEPA_BENCH_WEIGHTS=str(folder), GOJEPA_BENCH_MODEL=model), capture_output=True, text=True, check=True, cwd=ROOT / "vision")
    return float(re.search(r"([\d.e+]+) ms\b", out.stdout).group(1))


def clock(run):
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def main(args):
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(dir=args.dir) as name:
        folder = pathlib.Path(name)
        binary = str(folder / "vision.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./vision"], cwd=ROOT, check=True)
        model = timm.create_model(args.model, num_classes=0)
        torch.save(model.state_dict(), folder / "vit.pt")
        safetensors.torch.save_file(model.state_dict(), folder / "vit.safetensors")
        print(f"{args.model}, {(folder / 'vit.pt').stat().st_size / 1e9:.2f} GB; the least of {args.rounds} rounds\n")
        print("| task | gojepa | PyTorch |\n| --- | --- | --- |")
        for task, rivals in python_rivals(model, folder).items():
            ours, theirs = float("inf"), dict.fromkeys(rivals, float("inf"))
            for _ in range(args.rounds):
                ours = min(ours, go(binary, folder, task, args.model))
                for rival, run in rivals.items():
                    theirs[rival] = min(theirs[rival], clock(run), clock(run))
            for file in folder.glob("python.*"):
                file.unlink()
            cells = "; ".join(f"{rival} {ms:.0f} ms" for rival, ms in theirs.items())
            print(f"| {task.replace('.', ' .')} | {ours:.0f} ms | {cells} |", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--dir", help="where the temporary folder is made; 5 GB are needed")
    p.add_argument("--model", default="vit_large_patch16_224", help="one of timm's that gojepa has")
    main(p.parse_args())
