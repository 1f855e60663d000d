#!/usr/bin/env python3
"""The opponent of BenchmarkTinyOp (torch/bench_test.go): the same addition in Python PyTorch.

Two float32 tensors of four elements are added and the result is dropped. Prints the nanoseconds of one addition, the
least over several runs, since whatever else the machine does only ever adds to it.

    pip install torch==2.11.0
    python scripts/bench/tiny_op.py
    go test -run '^$' -bench TinyOp -count 5 ./torch
"""

import argparse
import timeit

import torch

RUNS = 10
OPS = 200_000


def measure(runs: int, ops: int) -> float:
    """Nanoseconds of one addition."""
    x, y = torch.ones(4), torch.ones(4)
    timer = timeit.Timer("x + y", globals={"x": x, "y": y})
    timer.timeit(ops)  # warm up: allocator, dispatcher, branch predictor
    return min(timer.repeat(repeat=runs, number=ops)) / ops * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="runs, of which the fastest counts")
    parser.add_argument("--ops", type=int, default=OPS, help="additions in a run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}: {measure(args.runs, args.ops):.0f} ns/op")


if __name__ == "__main__":
    main()
