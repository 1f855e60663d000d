#!/usr/bin/env python3
"""Tokenization beside the Python package tokenizers, which is Rust: MB of text in a second of one core's time, as a Markdown table.

Captions are made of words of the golden tests' captions, and numbers, so that there is always something new; the tokenizers are trained on
some of them by cmd/tokenize. Both sides take one caption at a time, on one thread, in a process of their own, and count the time that
the processor worked for them, since others may be at work. Each reads all captions twice, and the second time counts. "memory" is the most
that the process had. Version: tokenizers==0.23.3.

    make bench-tokenize
    make bench-tokenize BENCH_FLAGS="--megabytes 1"
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = ["wordpiece", "bpe", "bytelevel"]


def python(tokenizer, texts):
    """Runs in a process of its own."""
    import time

    from tokenizers import Tokenizer

    t = Tokenizer.from_file(tokenizer)
    lines = pathlib.Path(texts).read_text().splitlines()
    for _ in range(2):
        start = time.process_time()
        n = sum(len(t.encode(x).ids) for x in lines)
        seconds = time.process_time() - start
    report(seconds, n)


def report(seconds, n):
    hwm = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "tokens": n, "memory": int(hwm.split()[1]) / 1024}))


def captions(size):
    source = json.loads((ROOT / "text/tokenize/testdata/golden.json").read_text())["captions"]
    words = [c.split() for c in source]
    r = random.Random(1)
    out, total = [], 0
    while total < size:
        sentence = []
        for _ in range(r.randint(1, 3)):
            w = list(r.choice(words))
            if r.random() < 0.3:
                w.insert(r.randrange(len(w)), f"{r.randrange(10**6)}")
            sentence += w
        out.append(" ".join(sentence))
        total += len(out[-1].encode()) + 1
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--megabytes", type=float, default=16)
    p.add_argument("--python", nargs=2, help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.python:
        return python(*o.python)
    env = {**os.environ, "GOMAXPROCS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        texts = d / "captions.txt"
        texts.write_text("\n".join(captions(o.megabytes * 1e6)) + "\n")
        size = texts.stat().st_size / 1e6
        subprocess.run(["go", "build", "-o", d / "tokenize", "./cmd/tokenize"], cwd=ROOT, check=True)
        subprocess.run(["go", "test", "-c", "-o", d / "bench", "./text/tokenize"], cwd=ROOT, check=True)
        print(f"{size:.0f} MB of captions, one core.\n\n| tokenizer | gojepa, MB/s | memory, MB | Python package, MB/s | memory, MB | tokens |\n|---|---:|---:|---:|---:|---:|")
        for kind in KINDS:
            file = d / f"{kind}.json"
            subprocess.run([d / "tokenize", "train", "--kind", kind, "--size", "4096", file, texts], check=True, capture_output=True)
            go = subprocess.run([d / "bench", "-test.run", "^TestThroughput$", "-test.v"], check=True, capture_output=True, text=True, cwd=ROOT / "text/tokenize",
                                env={**env, "GOJEPA_TOKENIZER": str(file), "GOJEPA_TEXTS": str(texts)})
            ours = json.loads(next(x for x in go.stdout.splitlines() if x.startswith("{")))
            theirs = json.loads(subprocess.run([sys.executable, __file__, "--python", file, texts], check=True, capture_output=True, text=True, env=env).stdout)
            if ours["tokens"] != theirs["tokens"]:
                sys.exit(f"{kind}: {ours['tokens']} tokens, and {theirs['tokens']} of the Python package")
            print(f"| {kind} | {size / ours['seconds']:.1f} | {ours['memory']:.0f} | {size / theirs['seconds']:.1f} | {theirs['memory']:.0f} | {ours['tokens']} |", flush=True)


if __name__ == "__main__":
    main()
