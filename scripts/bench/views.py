"""Views per second of one core in torchvision.transforms.v2, for BenchmarkViews in vision/views.

    python scripts/bench/views.py

Versions: torch 2.11.0, torchvision 0.26.0, Pillow 13.0.0, numpy 2.4.6. Images are those that the Go benchmark takes, from
../shared/data. Times are processor time of one thread. "tensor" decodes by Pillow and transforms uint8 tensors, "pil"
transforms Pillow's images.
"""

import pathlib
import sys
import time

import torch
from PIL import Image
from torchvision.transforms import v2

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared/data"


def recipe(size, scale, jitter, solarize):
    return v2.Compose([
        v2.RandomResizedCrop(size, scale=scale, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(*jitter)], p=0.8),
        v2.RandomGrayscale(0.2),
        v2.RandomApply([v2.GaussianBlur(7, (0.1, 2.0))], p=0.5),
        v2.RandomSolarize(128, p=solarize),
    ])


def rate(f, seconds=8.0):
    f(0)
    n, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        f(n)
        n += 1
    return n / (time.process_time() - start)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    paper = [recipe(224, (0.3, 1.0), (0.4, 0.4, 0.2, 0.1), 0.2)] * 2 + [recipe(98, (0.05, 0.3), (0.4, 0.4, 0.2, 0.1), 0.2)] * 6
    tiles = [recipe(64, (0.08, 1.0), (0.8, 0.8, 0.8, 0.2), 0.1)] * 4
    for name, folder, views in (("paper", "clothing_native", paper), ("tiles", "eurosat/validation", tiles)):
        files = sorted((DATA / folder).rglob("*.jpg"))
        if not files:
            print(f"{name}: ../shared/data/{folder} is absent", file=sys.stderr)
            continue
        files = [files[i * len(files) // 100] for i in range(100)]

        def decode(i):
            return Image.open(files[i % 100]).convert("RGB")

        pils = [decode(i) for i in range(100)]
        tensors = [v2.functional.pil_to_tensor(p) for p in pils]
        print(f"{name}/decode          {rate(decode):8.1f} images/cpu-s")
        print(f"{name}/views  (tensor) {rate(lambda i: [v(tensors[i % 100]) for v in views]):8.1f} images/cpu-s")
        print(f"{name}/views  (pil)    {rate(lambda i: [v(pils[i % 100]) for v in views]):8.1f} images/cpu-s")


if __name__ == "__main__":
    main()
