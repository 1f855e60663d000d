#!/usr/bin/env python3
"""The whole training step beside PyTorch: images per second and memory, as a Markdown table.

The step is LeJEPA's on 64 images: 2 views of 64 px and 4 of 32 px, encoder, projector 2048-2048-16, prediction loss,
SIGReg on 1024 slices, backward, AdamW; and the time that a program takes to its first one. The opponents are torch==2.11.0 with timm==1.0.31, as people write it and as an
expert tunes it: attention by plain matrix products where sequences are short, channels last, AdamW fused. All are measured
in turn, several times over, in this one run and on as many threads; the least time of each counts, since whatever else the
machine does only ever adds to it. Memory is the most that a process had, libraries included.

With --device cuda they run one after another, so that each has the GPU to itself, and memory is what each adds to what the
GPU holds, its context included. Nothing else should use that GPU. The ViTs of patches of 16 have views of 224 and 96 px.

    make bench-step
    make bench-step BENCH_FLAGS="--rounds 5 --models resnet18 --precisions fp32"
"""

import argparse
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# As in train's BenchmarkStep: name in timm, options, what the table says, and sizes of views.
MODELS = {
    "vit_tiny_8": ("vit_tiny_patch16_224", {"patch_size": 8}, "ViT-Ti/8", (64, 32)),
    "vit_128_6": ("vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 2}, "ViT, 128 wide, 6 deep, patches of 8", (64, 32)),
    "vit_128_6_small": ("vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 2}, "ViT, 128 wide, 6 deep, patches of 8", (32, 16)),
    "resnet18": ("resnet18", {}, "ResNet-18", (64, 32)),
    "vit_small_16": ("vit_small_patch16_224", {}, "ViT-S/16", (224, 96)),
    "vit_base_16": ("vit_base_patch16_224", {}, "ViT-B/16", (224, 96)),
}
LAMBDA, SLICES = 0.02, 1024


def sigreg(torch, z):
    """LeJEPA's SIGReg of projections [V, N, K], with directions drawn anew."""
    a = torch.nn.functional.normalize(torch.randn(z.shape[2], SLICES, device=z.device), dim=0)
    t = torch.linspace(0, 3, 17, device=z.device)
    phi = torch.exp(-t.square() / 2)
    weight = torch.full((17,), 2 * 3 / 16, device=z.device)
    weight[[0, -1]] /= 2
    angle = (z @ a).unsqueeze(-1) * t
    err = (angle.cos().mean(1) - phi).square() + angle.sin().mean(1).square()
    return (err @ (weight * phi)).mean() * z.shape[1]


def worker(kind, name, precision, threads, device, images):
    """Does as many steps as each line of standard input says, and answers with the least milliseconds, by the clock and of the
    processor, and the most megabytes."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import timm
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    timm_name, options, _, sizes = MODELS[name]
    tuned, fused = kind == "tuned", kind == "tuned" or device == "cuda" and kind == "compiled"
    if "vit" in name:
        timm.layers.set_fused_attn(not tuned)
        options = options | {"img_size": sizes[0], "dynamic_img_size": True}
    encoder = timm.create_model(timm_name, num_classes=0, drop_path_rate=0.0, **options)
    if tuned and "vit" not in name:
        encoder = encoder.to(memory_format=torch.channels_last)
    if kind == "compiled":
        encoder = torch.compile(encoder, dynamic=False)  # a graph for each size
    projector = torchvision.ops.MLP(encoder.num_features, [2048, 2048, 16], norm_layer=torch.nn.BatchNorm1d)
    model = torch.nn.ModuleList([encoder, projector]).train().to(device)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decay, "weight_decay": 5e-2}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=5e-4, fused=True if fused else None)
    mean, std = torch.full((3, 1, 1), 0.45, device=device), torch.full((3, 1, 1), 0.23, device=device)
    pixels = [torch.randint(0, 256, (v * images, 3, size, size), dtype=torch.uint8) for v, size in zip((2, 4), sizes)]
    if device == "cuda":
        pixels = [p.pin_memory() for p in pixels]

    def step():
        views = [(p.to(device, non_blocking=True).float() / 255 - mean) / std for p in pixels]
        if tuned:
            views = [v.contiguous(memory_format=torch.channels_last) for v in views]
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
            z = projector(torch.cat([encoder(v) for v in views]))
        z = z.float().unflatten(0, (6, images))
        prediction = (z[:2].mean(0) - z).square().mean()
        loss = (1 - LAMBDA) * prediction + LAMBDA * sigreg(torch, z)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        least = cpu = float("inf")
        for _ in range(int(line)):
            start, before = time.perf_counter(), time.process_time()
            step()
            least, cpu = min(least, time.perf_counter() - start), min(cpu, time.process_time() - before)
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text()).group(1)) / 1024
        print(json.dumps({"ms": 1000 * least, "cpu-ms": 1000 * cpu, "MB": peak}), flush=True)


class Python:
    """A worker process."""

    def __init__(self, kind, name, precision, o):
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", kind, "--models", name, "--precisions", precision,
             "--threads", str(o.threads), "--device", o.device, "--images", str(o.images)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()
        self.start = time.perf_counter() - began  # to the first step

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"step.py: a worker stopped: exit status {self.process.wait()}")
        return json.loads(line)

    def measure(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.read()

    def warm(self):
        """Has it do what it does once."""
        self.measure(2)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Go:
    """The benchmark of package train, a process for each measurement."""

    def __init__(self, binary, name, precision, o, **settings):
        self.command = [binary, "-test.run", "^$", "-test.bench", f"^BenchmarkStep$/^{name}$/^{precision}$"]
        settings |= {"threads": o.threads, "images": o.images, "device": o.device if o.device == "cpu" else "cuda:0"}
        self.environment = os.environ | {f"STEP_{key.upper()}": str(value) for key, value in settings.items()}

    def measure(self, steps):
        out = subprocess.run([*self.command, "-test.benchtime", f"{steps}x"], cwd=ROOT / "train", env=self.environment,
                             capture_output=True, text=True, check=True).stdout
        found = {unit: float(value) for value, unit in re.findall(r"([\d.e+]+) (ms|cpu-ms|MB-peak)(?!\S)", out)}
        if len(found) != 3:
            sys.exit(f"step.py: {self.command} did not print time and memory:\n{out}")
        return {"ms": found["ms"], "cpu-ms": found["cpu-ms"], "MB": found["MB-peak"]}

    def warm(self):
        """Each measurement is another process, and takes a step before those that count."""

    def close(self):
        pass


def contest(rivals, rounds, steps):
    """The least milliseconds of each rival, and the most megabytes."""
    least, most = [float("inf")] * len(rivals), [0.0] * len(rivals)
    for rival in rivals:
        rival.warm()
    for _ in range(rounds):
        for i, rival in enumerate(rivals):
            found = rival.measure(steps)
            least[i], most[i] = min(least[i], found["ms"]), max(most[i], found["MB"])
    for rival in rivals:
        rival.close()
    return least, most


class Used:
    """What others add to the memory of the GPU while this is entered: the most of many looks, in megabytes."""

    def __enter__(self):
        self.before, self.most, self.over = self.now(), 0, threading.Event()
        self.watch = threading.Thread(target=self.look)
        self.watch.start()
        return self

    @staticmethod
    def now():
        import torch

        free, total = torch.cuda.mem_get_info()  # of the device, whoever uses it
        return (total - free) / 2**20

    def look(self):
        while not self.over.wait(0.02):
            self.most = max(self.most, self.now() - self.before)

    def __exit__(self, *_):
        self.over.set()
        self.watch.join()


def alone(makers, rounds, steps):
    """contest, of rivals that are on the GPU one after another, and their memory there. One that fails is NaN, as the others have
    come far to be measured."""
    least, most, starts = [], [], []
    for make in makers:
        began, ms = float("nan"), float("nan")
        with Used() as used:
            try:
                rival = make()
                began = getattr(rival, "start", began)
                rival.warm()
                ms = min(rival.measure(steps)["ms"] for _ in range(rounds))
                rival.close()
            except (SystemExit, OSError, subprocess.CalledProcessError) as why:
                print(why, file=sys.stderr)
        least.append(ms)
        most.append(used.most)
        starts.append(began)
    return least, most, starts


def start(binary, folder, device):
    """Seconds from the start of cmd/train to the first step on the digits that come with it."""
    began = time.perf_counter()
    process = subprocess.Popen([binary, "--demo", "--device", device if device == "cpu" else "cuda:0", "--out", str(pathlib.Path(folder) / "run")], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "parameters" in line:
                return time.perf_counter() - began
        sys.exit(f"step.py: cmd/train stopped before its first step: exit status {process.wait()}")
    finally:
        process.kill()
        process.wait()


def main(args):
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(pathlib.Path(tempfile.gettempdir()) / "gojepa-inductor"))
    kinds = {"written": "PyTorch as written"} | ({"tuned": "PyTorch tuned"} if args.device == "cpu" else {}) | ({"compiled": "PyTorch compiled"} if args.compiled else {})
    with tempfile.TemporaryDirectory() as folder:
        binary = str(pathlib.Path(folder) / "train.test")
        if args.binaries:
            binary = str(args.binaries / "train.test")
        else:
            subprocess.run(["go", "test", "-c", "-o", binary, "./train"], cwd=ROOT, check=True)
        print(f"{args.threads} threads; the least of {args.rounds} rounds of {args.steps} steps\n")
        print(f"| step of {args.images} images, 2 + 4 views | gojepa | " + " | ".join(kinds.values()) + " |")
        print("| --- |" + " --- |" * (len(kinds) + 1))
        starts, rows = [], []
        for name in args.models.split(","):
            for precision in args.precisions.split(","):
                makers = [functools.partial(Go, binary, name, precision, args)]
                makers += [functools.partial(Python, k, name, precision, args) for k in kinds]
                if args.device == "cpu":
                    rivals = [make() for make in makers]
                    starts.append(rivals[1].start)
                    ms, mb = contest(rivals, args.rounds, args.steps)
                else:
                    ms, mb, began = alone(makers, args.rounds, args.steps)
                    starts.append(began[1])
                rows += [{"model": MODELS[name][2], "precision": precision, "rival": rival, "images/s": 1000 * args.images / t, "MB": m}
                         for rival, t, m in zip(["gojepa", *kinds.values()], ms, mb)]
                cells = [f"{1000 * args.images / ms[0]:.1f} images/s, {mb[0]:.0f} MB"]
                cells += [f"{1000 * args.images / t:.1f} ({t / ms[0]:.2f} ×), {m:.0f} MB" for t, m in zip(ms[1:], mb[1:])]
                print(f"| {MODELS[name][2]}, {precision} | " + " | ".join(cells) + " |", flush=True)
        command = str(pathlib.Path(folder) / "train")
        if args.binaries:
            command = str(args.binaries / "train")
        else:
            subprocess.run(["go", "build", "-o", command, "./cmd/train"], cwd=ROOT, check=True)
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            least = min(start(command, one, args.device), start(command, two, args.device))
        print(f"\nfrom the start of the program to the first step: gojepa {least:.2f} s, PyTorch {min(starts):.1f} s")
    if args.json:
        args.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=3, help="of each measurement in a round")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--models", default="vit_tiny_8,vit_128_6,resnet18", help="of " + ", ".join(MODELS) + ", between commas")
    p.add_argument("--precisions", default="fp32,bf16")
    p.add_argument("--compiled", action="store_true", help="also the encoder by torch.compile")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--images", type=int, default=64, help="of a step")
    p.add_argument("--binaries", type=pathlib.Path, help="a folder with train.test and train, where they are not to be built")
    p.add_argument("--json", type=pathlib.Path, help="write the figures to this file too")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.worker:
        worker(o.worker, o.models, o.precisions, o.threads, o.device, o.images)
    else:
        main(o)
