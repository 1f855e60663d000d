"""SIGReg in PyTorch, forward and backward with the slices given: the opponent of BenchmarkMean in sigreg.

Run with torch==2.11.0 on two threads; --compile adds torch.compile of the same formula. Prints milliseconds, the minimum
of several, and the memory that a pass adds to the process at its peak.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch

SHAPES = [(1, 128, 64, 256), (1, 512, 64, 1024), (1, 2048, 128, 1024), (1, 4096, 512, 1024), (6, 64, 64, 1024)]

T = torch.linspace(0, 3, 17)
PHI = torch.exp(-T.square() / 2)
WEIGHT = torch.full((17,), 2 * 3 / 16)
WEIGHT[[0, -1]] /= 2
WEIGHT *= PHI


def sigreg(z, a):
    angle = (z @ a).unsqueeze(-1) * T
    err = (angle.cos().mean(1) - PHI).square() + angle.sin().mean(1).square()
    return (err @ WEIGHT).mean() * z.shape[1]


def measure(shape, compiled):
    v, n, k, m = shape
    z = torch.randn(v, n, k, requires_grad=True)
    a = torch.nn.functional.normalize(torch.randn(k, m), dim=0)
    f = torch.compile(sigreg) if compiled else sigreg
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    f(z, a).backward()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    times = []
    end = time.monotonic() + 5
    while time.monotonic() < end or len(times) < 5:
        start = time.monotonic()
        f(z, a).backward()
        times.append(time.monotonic() - start)
    print(f"{'compiled' if compiled else 'eager':8} V={v} N={n} K={k} M={m}: {1000 * min(times):.2f} ms, {memory:.0f} MB extra")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--compile", action="store_true")
    p.add_argument("--only", type=int)
    p.add_argument("--kind", default="eager")
    o = p.parse_args()
    torch.set_num_threads(2)
    if o.only is not None:
        measure(SHAPES[o.only], o.kind == "compiled")
        sys.exit()
    for i in range(len(SHAPES)):  # a process each, so that the peak of memory is that of the shape
        for kind in ["eager", "compiled"] if o.compile else ["eager"]:
            subprocess.run([sys.executable, __file__, "--only", str(i), "--kind", kind], check=True)
