#!/usr/bin/env python3
"""SIGReg beside PyTorch: forward and backward with the directions given, on two threads, as a Markdown table.

The opponents are the direct formula in torch==2.11.0, eager and by torch.compile. All three are measured in turn, several
times over, in this one run; the least time of each counts, since whatever else the machine does only ever adds to it. Each
measures every shape in a process of its own, so that the memory is that of the shape: what one evaluation adds to the
process at its peak, beyond the embeddings and the directions, and beyond what a small evaluation has left.

    make bench-sigreg
    make bench-sigreg BENCH_FLAGS="--rounds 3 --seconds 1"
"""

import argparse
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Views, samples, width, slices, as in sigreg's BenchmarkMean.
SHAPES = [(1, 128, 64, 256), (1, 512, 64, 1024), (1, 2048, 128, 1024), (1, 4096, 512, 1024), (6, 64, 64, 1024)]


def formula(torch):
    t = torch.linspace(0, 3, 17)
    phi = torch.exp(-t.square() / 2)
    weight = torch.full((17,), 2 * 3 / 16)
    weight[[0, -1]] /= 2
    weight *= phi

    def sigreg(z, a):
        angle = (z @ a).unsqueeze(-1) * t
        err = (angle.cos().mean(1) - phi).square() + angle.sin().mean(1).square()
        return (err @ weight).mean() * z.shape[1]

    return sigreg


def status(key):
    """A size of this process, in MB."""
    return int(re.search(rf"{key}:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text()).group(1)) / 1024


def worker(kind, shape, threads):
    """Measures for as many seconds as each line of standard input says, and answers with the least milliseconds."""
    import torch

    torch.set_num_threads(threads)
    v, n, k, m = shape
    if kind == "draw":
        def once():
            torch.nn.functional.normalize(torch.randn(k, m), dim=0)
        memory = -math.inf
    else:
        f = torch.compile(formula(torch)) if kind == "compiled" else formula(torch)
        z = torch.randn(v, n, k, requires_grad=True)
        a = torch.nn.functional.normalize(torch.randn(k, m), dim=0)

        def once():
            z.grad = None
            f(z, a).backward()

        # What any evaluation needs is there after a small one, and after compiling, which takes memory of its own.
        small = torch.randn(1, 300, 4, requires_grad=True)
        formula(torch)(small, torch.nn.functional.normalize(torch.randn(4, 64), dim=0)).backward()
        if kind == "compiled":
            once()
        memory = -math.inf
        try:  # the peak can be reset to what is resident now, where the kernel allows it
            pathlib.Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            pass
        else:
            before = status("VmRSS")
            once()
            memory = status("VmHWM") - before
    print(json.dumps({"memory": memory}), flush=True)
    for line in sys.stdin:
        least, end = float("inf"), time.perf_counter() + float(line)
        while time.perf_counter() < end:
            start = time.perf_counter()
            once()
            least = min(least, time.perf_counter() - start)
        print(json.dumps({"ms": 1000 * least}), flush=True)


class Python:
    """A worker process."""

    def __init__(self, kind, shape, threads):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", kind, "--shape", ",".join(map(str, shape)), "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.memory = self.read()["memory"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"sigreg.py: a worker stopped: exit status {self.process.wait()}")
        return json.loads(line)

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.read()["ms"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Go:
    """The benchmark of package sigreg, a process for each measurement."""

    def __init__(self, binary, name):
        self.command = [binary, "-test.run", "^$", "-test.bench", f"^{name.replace('/', '$/^')}$"]
        self.memory = -math.inf

    def measure(self, seconds):
        out = subprocess.run([*self.command, "-test.benchtime", f"{seconds}s"], capture_output=True, text=True, check=True).stdout
        found = re.findall(r"(-?[\d.e+]+) (ms|MB-extra)(?!\S)", out)
        if [unit for _, unit in found].count("ms") != 1:
            sys.exit(f"sigreg.py: {self.command} did not print one time:\n{out}")
        found = {unit: float(value) for value, unit in found}
        self.memory = max(self.memory, found.get("MB-extra", -math.inf))
        return found["ms"]

    def close(self):
        pass


def contest(rivals, rounds, seconds):
    """The least milliseconds of each rival."""
    least = [float("inf")] * len(rivals)
    for _ in range(rounds):
        for i, rival in enumerate(rivals):
            least[i] = min(least[i], rival.measure(seconds))
    for rival in rivals:
        rival.close()
    return least


def megabytes(memory):
    return f"{max(0, memory):.0f} MB" if math.isfinite(memory) else "–"


def figure(ms):
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def main(args):
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(pathlib.Path(tempfile.gettempdir()) / "gojepa-inductor"))
    with tempfile.TemporaryDirectory() as folder:
        binary = str(pathlib.Path(folder) / "sigreg.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./sigreg"], cwd=ROOT, check=True)
        print(f"{args.threads} threads; the least of {args.rounds} rounds of {args.seconds:g} s\n")
        print("| V, N, K, M | gojepa | PyTorch eager | PyTorch compiled | drawing the directions: gojepa | PyTorch |")
        print("| --- | --- | --- | --- | --- | --- |")
        for shape in SHAPES[: args.shapes]:
            name = "V={}/N={}/K={}/M={}".format(*shape)
            go = Go(binary, "BenchmarkMean/" + name)
            eager, compiled = (Python(kind, shape, args.threads) for kind in ("eager", "compiled"))
            ms = contest([go, eager, compiled], args.rounds, args.seconds)
            draw = contest([Go(binary, "BenchmarkDirections/K={2}/M={3}/independent".format(*shape)), Python("draw", shape, args.threads)],
                           args.rounds, args.seconds / 2)
            cells = [f"{figure(ms[0])} ms, {megabytes(go.memory)}"]
            for rival, time_ in zip((eager, compiled), ms[1:]):
                cells.append(f"{figure(time_)} ms ({time_ / ms[0]:.1f} ×), {megabytes(rival.memory)}")
            cells += [f"{figure(d)} ms" for d in draw]
            print("| " + ", ".join(map(str, shape)) + " | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=2, help="of each measurement in a round")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--shapes", type=int, help="only the first so many")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    p.add_argument("--shape", help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.worker:
        worker(o.worker, tuple(map(int, o.shape.split(","))), o.threads)
    else:
        main(o)
