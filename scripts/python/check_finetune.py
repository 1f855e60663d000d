"""Checks that timm and PyTorch serve what cmd/evaluate has fine-tuned.

    python scripts/python/check_finetune.py

Makes a small ViT in timm, and images of two classes; has cmd/evaluate fine-tune the one on the others and save the classifier
as .pt and as .safetensors; loads both into timm, strictly, and counts how many test images are right: as many as cmd/evaluate
says, and most of them. Exits with 1 if anything differs.
"""

import json
import pathlib
import subprocess
import tempfile

import numpy
import safetensors.torch
import timm
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE, OPTIONS = 32, {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}


def write(folder, n, rng):
    """Stripes that lie or stand, somewhere, under noise. Returns the images in the order of classes."""
    found = []
    for label, name in enumerate(("lying", "standing")):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            at = (numpy.arange(SIZE) + i) // 4 % 2
            image = 90 + 80 * (at[:, None, None] if label == 0 else at[None, :, None]) + rng.integers(0, 60, (SIZE, SIZE, 3))
            Image.fromarray(image.astype(numpy.uint8)).save(folder / name / f"{i:02}.png")
            found.append((image.astype(numpy.uint8), label))
    return found


def main():
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        rng = numpy.random.default_rng(0)
        write(tmp / "train", 16, rng)
        test = write(tmp / "test", 8, rng)
        torch.manual_seed(0)
        torch.save(timm.create_model("vit_tiny_patch16_224", num_classes=0, **OPTIONS).state_dict(), tmp / "w.pt")
        for file in ("tuned.pt", "tuned.safetensors"):
            run = subprocess.run(
                ["go", "run", "./cmd/evaluate", "--weights", tmp / "w.pt", "--model", "vit_tiny_patch16_224", "--width", "24", "--depth", "2",
                 "--heads", "2", "--image-size", str(SIZE), "--train", tmp / "train", "--test", tmp / "test", "--device", "cpu", "--fine-tune",
                 "--tune-steps", "200", "--tune-layer-decay", "1", "--tune-lr", "3e-3", "--save", tmp / file, "--json"],
                cwd=ROOT, check=True, capture_output=True)
            tuned = json.loads(run.stdout)["fine_tuned"]
            state = torch.load(tmp / file, weights_only=True) if file.endswith(".pt") else safetensors.torch.load_file(tmp / file)
            model = timm.create_model("vit_tiny_patch16_224", num_classes=2, **OPTIONS).eval()
            model.load_state_dict(state)
            mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
            x = torch.stack([(torch.tensor(image).permute(2, 0, 1) / 255 - mean) / std for image, _ in test])
            with torch.no_grad():
                right = int((model(x).argmax(1) == torch.tensor([label for _, label in test])).sum())
            assert right == tuned["correct"] and len(test) == tuned["n"], (right, tuned)
            assert right >= 0.8 * len(test), f"{right} of {len(test)} are right"
            print(f"{file}: {right} of {len(test)} test images are right, as cmd/evaluate says")


if __name__ == "__main__":
    main()
