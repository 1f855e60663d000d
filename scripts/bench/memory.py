#!/usr/bin/env python3
"""Memory and time of a training step against the size of the batch, as a Markdown table and a chart.

The step is that of step.py, with views of 32 and 16 px: whole, with --micro-batch 64, with --checkpoint-activations, with both,
and PyTorch's as people write it, whole. A process for each measurement; memory is the most that it had, libraries included. Time is
the processor's, on one thread, of the batches of --time: for each way the median of rounds in turn, and their ratio to the whole
step's. A way is left out where it would need more memory than is free, by what it took before.

    make bench-memory
    make bench-memory BENCH_FLAGS="--sizes 64,128 --time 64 --rounds 1 --chart memory.svg"
"""

import argparse
import math
import pathlib
import re
import statistics
import subprocess
import tempfile
import types

import step

MODEL, MICRO = "vit_128_6_small", 64
PYTORCH = "PyTorch, whole"
WAYS = {  # as table and chart call them; colour; what train's BenchmarkStep is told
    "whole": ("#2a6fc9", {}),
    f"--micro-batch {MICRO}": ("#c8581f", {"micro": MICRO}),
    "--checkpoint-activations": ("#1f8a5f", {"checkpoint": 1}),
    "both": ("#8457c5", {"micro": MICRO, "checkpoint": 1}),
    PYTORCH: ("#64635e", None),
}


def available():
    """Megabytes that a process can have without harm to others."""
    return int(re.search(r"MemAvailable:\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text())[1]) / 1024


def expected(memory, images):
    """Megabytes of a larger batch, by the line through the last two; 0 where there are no two."""
    if len(memory) < 2:
        return 0
    (a, x), (b, y) = list(memory.items())[-2:]
    return y + (y - x) / (b - a) * (images - b)


def once(args, binary, way, images):
    o = types.SimpleNamespace(threads=1, images=images, device="cpu")
    settings = WAYS[way][1]
    rival = step.Python("written", MODEL, args.precision, o) if settings is None else step.Go(binary, MODEL, args.precision, o, **settings)
    rival.warm()
    found = rival.measure(1)
    rival.close()
    return found


def measure(args, binary):
    """Megabytes of each way and size, and seconds of each way and size of args.time."""
    memory, seconds = {way: {} for way in WAYS}, {way: {} for way in WAYS}
    for images in args.sizes:
        for turn in range(args.rounds if images in args.time else 1):
            for way in WAYS:
                if turn == 0 and expected(memory[way], images) > 0.8 * available():
                    print(f"{images} images, {way}: more than the memory that is free", flush=True)
                    continue
                if turn > 0 and images not in memory[way]:
                    continue
                found = once(args, binary, way, images)
                print(f"{images} images, {way}: {found['MB']:.0f} MB, {found['cpu-ms'] / 1000:.2f} s", flush=True)
                memory[way][images] = max(found["MB"], memory[way].get(images, 0))
                if images in args.time:
                    seconds[way].setdefault(images, []).append(found["cpu-ms"] / 1000)
    return memory, {way: {n: statistics.median(s) for n, s in found.items()} for way, found in seconds.items()}


def table(args, memory, seconds):
    lines = ["| images in a step | " + " | ".join(WAYS) + " |", "| --- |" + " --- |" * len(WAYS)]
    for images in args.sizes:
        lines.append(f"| {images} | " + " | ".join(f"{memory[w][images]:.0f} MB" if images in memory[w] else "" for w in WAYS) + " |")
    for images in args.time:
        whole = seconds["whole"].get(images)
        lines.append(f"| time of {images} | " + " | ".join(f"{seconds[w][images] / whole:.2f} ×" if whole and images in seconds[w] else "" for w in WAYS) + " |")
    return "\n".join(lines)


def chart(args, memory):
    """SVG: gigabytes against images, both by halves and doubles."""
    width, height, left, right, top, bottom = 720, 400, 60, 20, 40, 50
    most = max(mb for found in memory.values() for mb in found.values())
    least = min(mb for found in memory.values() for mb in found.values())
    low, high = math.floor(math.log2(least / 1000)), math.ceil(math.log2(most / 1000))
    first, last = math.log2(args.sizes[0]), math.log2(args.sizes[-1])

    def x(images):
        return left + (width - left - right) * (math.log2(images) - first) / (last - first or 1)

    def y(mb):
        return height - bottom - (height - top - bottom) * (math.log2(mb / 1000) - low) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#333">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>', f'<text x="{left}" y="20" font-size="14">most memory of a training step</text>']
    for k in range(low, high + 1):
        at = y(1000 * 2**k)
        out.append(f'<path d="M{left} {at:.1f}H{width - right}" stroke="#e4e3de"/><text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{2.0**k:g} GB</text>')
    for n in args.sizes:
        out.append(f'<text x="{x(n):.1f}" y="{height - bottom + 20}" text-anchor="middle">{n}</text>')
    out.append(f'<text x="{(left + width - right) / 2:.0f}" y="{height - 10}" text-anchor="middle">images in a step</text>')
    for i, (way, (colour, settings)) in enumerate(WAYS.items()):
        dashes = ' stroke-dasharray="5 4"' if settings is None else ""
        points = [(x(n), y(mb)) for n, mb in memory[way].items()]
        out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        at = top + 12 + 18 * i
        out.append(f'<path d="M{left + 16} {at}h24" stroke="{colour}" stroke-width="2"{dashes}/><text x="{left + 48}" y="{at + 4}">{way}</text>')
    args.chart.write_text("\n".join([*out, "</svg>"]) + "\n")


def main(args):
    with tempfile.TemporaryDirectory() as folder:
        binary = str(pathlib.Path(folder) / "train.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./train"], cwd=step.ROOT, check=True)
        memory, seconds = measure(args, binary)
    sizes = step.MODELS[MODEL][3]
    print(f"\n{step.MODELS[MODEL][2]}, {args.precision}, 2 × {sizes[0]} + 4 × {sizes[1]} px, 1 thread\n\n{table(args, memory, seconds)}")
    chart(args, memory)
    print(f"\nchart: {args.chart}")


def numbers(text):
    return sorted(int(n) for n in text.split(",") if n)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--sizes", type=numbers, default=[64, 128, 256, 512, 1024], help="of batches, between commas")
    p.add_argument("--time", type=numbers, default=[128], help="those of which the time counts")
    p.add_argument("--rounds", type=int, default=5, help="of those")
    p.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    p.add_argument("--chart", type=pathlib.Path, default=step.ROOT / "docs/memory.svg", help="file to write, SVG")
    main(p.parse_args())
