#!/usr/bin/env python3
"""Decoding and views beside torchvision.transforms.v2: images per second of one core, as a Markdown table.

The opponent is torchvision==0.26.0 with torch==2.11.0 on one thread, on uint8 tensors (decoded by torchvision.io) and on
images of Pillow 13.0.0 (decoded by it); gojepa's views are those of BenchmarkViews in vision/views, from JPEGs decoded by
libjpeg-turbo, where it is found, and by Go. Files are the same, of ../shared/data. All are measured in turn, several times
over, in this one run, by processor time; the most of each counts, since whatever else the machine does only ever takes
away. Memory is the most that the process had, libraries included.

    make bench-views
    make bench-views BENCH_FLAGS="--rounds 5 --seconds 2"
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared/data"
FILES = 100  # of each folder, evenly spread: as the Go benchmark
SETS = {
    "paper": ("clothing_native", "2 × 224 + 6 × 98 px of photographs of 400 × 533"),
    "tiles": ("eurosat/validation", "4 × 64 px of tiles of 64 × 64"),
}


def recipe(v2, size, scale, jitter, solarize):
    return v2.Compose([
        v2.RandomResizedCrop(size, scale=scale, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(*jitter)], p=0.8),
        v2.RandomGrayscale(0.2),
        v2.RandomApply([v2.GaussianBlur(7, (0.1, 2.0))], p=0.5),
        v2.RandomSolarize(128, p=solarize),
    ])


def worker(kind, name, part):
    """Measures for as many processor seconds as each line of standard input says, and answers with images per second."""
    import torch
    import torchvision.io
    from PIL import Image
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    torch.manual_seed(0)
    files = sorted((DATA / SETS[name][0]).rglob("*.jpg"))
    files = [str(files[i * len(files) // FILES]) for i in range(FILES)]
    if name == "paper":
        published = (0.4, 0.4, 0.2, 0.1)
        views = [recipe(v2, 224, (0.3, 1.0), published, 0.2)] * 2 + [recipe(v2, 98, (0.05, 0.3), published, 0.2)] * 6
    else:
        views = [recipe(v2, 64, (0.08, 1.0), (0.8, 0.8, 0.8, 0.2), 0.1)] * 4

    if kind == "tensor":
        def decode(path):
            return torchvision.io.decode_image(path, mode=torchvision.io.ImageReadMode.RGB)
    else:
        def decode(path):
            return Image.open(path).convert("RGB")

    def once(i):
        image = decode(files[i % FILES])
        if part == "both":
            for view in views:
                view(image)

    once(0)
    n = 0
    print("ready", flush=True)
    for line in sys.stdin:
        first, start = n, time.process_time()
        while time.process_time() - start < float(line):
            once(n)
            n += 1
        print(json.dumps((n - first) / (time.process_time() - start)), flush=True)


class Python:
    """A worker process."""

    def __init__(self, kind, name, part="both"):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", kind, "--set", name, "--part", part],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"views.py: a worker stopped: exit status {self.process.wait()}")
        return line

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def close(self):
        self.process.stdin.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.memory = usage.ru_maxrss / 1024


class Go:
    """The benchmark of package vision/views, a process for each measurement."""

    memory = 0

    def __init__(self, binary, name):
        self.command = [binary, "-test.run", "^$", "-test.cpu", "1", "-test.bench", f"^BenchmarkViews$/^{name.replace('/', '$/^')}$"]

    def measure(self, seconds):
        process = subprocess.Popen([*self.command, "-test.benchtime", f"{seconds}s"], cwd=ROOT / "vision/views", stdout=subprocess.PIPE, text=True)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        found = re.findall(r"([\d.e+]+) images/cpu-s", out)
        if process.returncode or len(found) > 1:
            sys.exit(f"views.py: {self.command} did not print one speed:\n{out}")
        self.memory = max(self.memory, usage.ru_maxrss / 1024)
        return float(found[0]) if found else 0

    def close(self):
        pass


def main(args):
    with tempfile.TemporaryDirectory() as folder:
        binary = str(pathlib.Path(folder) / "views.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./vision/views"], cwd=ROOT, check=True)
        print(f"images/s of one core; the most of {args.rounds} rounds of {args.seconds:g} s\n")
        print("| decoding and views | gojepa, libjpeg-turbo | gojepa, Go's image/jpeg | torchvision, tensors | torchvision, Pillow |")
        print("| --- | --- | --- | --- | --- |")
        for name, (data, title) in SETS.items():
            if not (DATA / data).is_dir():
                print(f"views.py: ../shared/data/{data} is missing", file=sys.stderr)
                continue
            for part, label in (("both", title), ("decode", "decoding alone")):
                rivals = [Go(binary, f"{name}/{part}-turbo"), Go(binary, f"{name}/{part}-go"), Python("tensor", name, part), Python("pil", name, part)]
                most = [0.0] * len(rivals)
                for _ in range(args.rounds):
                    for i, rival in enumerate(rivals):
                        most[i] = max(most[i], rival.measure(args.seconds if part == "both" else args.seconds / 2))
                for rival in rivals:
                    rival.close()
                best = max(most[2:])
                cells = []
                for i, (rival, rate) in enumerate(zip(rivals, most)):
                    times = f" ({rate / best:.1f} ×)" if i < 2 else ""
                    cells.append(f"{rate:.0f}{times}, {rival.memory:.0f} MB" if rate else "not found")
                print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=3, help="of each measurement in a round")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    p.add_argument("--set", help=argparse.SUPPRESS)
    p.add_argument("--part", help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.worker:
        worker(o.worker, o.set, o.part)
    else:
        main(o)
