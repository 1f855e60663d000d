"""Checks TorchScript modules both ways: Python runs what cmd/export traces, and gojepa what torch.jit writes.

    python scripts/python/check_torchscript.py

timm's models with random weights go through cmd/export, and torch.jit.load's module is compared with timm's at batches of
several sizes, after state_dict and in training; the other way, timm's models, traced and scripted, go through cmd/embed.
No module of this project is imported. Exits with 1 if anything differs by more than 1e-5 of the largest value (1e-4 for
models of random weights that are over 20 layers deep).
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import timm
import torch

warnings.filterwarnings("ignore")

ROOT = pathlib.Path(__file__).resolve().parents[2]
# name, side of the images, a side that it was not traced for (None: fixed by position embeddings), arguments of timm
MODELS = [
    ("vit_tiny_patch16_224", 64, None, {"img_size": 64, "depth": 4}),
    ("resnet18", 64, 96, {}),
    ("convnext_atto", 64, 96, {}),
    ("mobilenetv3_small_100", 64, 96, {}),
]


def go(*args):
    subprocess.run(["go", "run", *args], cwd=ROOT, check=True)


def differ(what, got, want, tol=1e-5):
    diff, scale = (got - want).abs().max().item(), want.abs().max().item()
    ok = diff <= tol * max(scale, 1)
    print(f"{'ok  ' if ok else 'FAIL'} {what}: {diff:.1e} of {scale:.2g}")
    return not ok


def settle(model):
    """Gives batch norms statistics of their own, so that features are of a scale."""
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(16, 3, 64, 64))
    return model.eval()


def main():
    torch.manual_seed(0)
    bad = 0
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for name, size, other, kwargs in MODELS:
            model = settle(timm.create_model(name, num_classes=0, **kwargs))
            torch.save(model.state_dict(), tmp / "timm.pt")
            flags = ["--depth", str(kwargs["depth"])] if "depth" in kwargs else []
            go("./cmd/export", "--weights", str(tmp / "timm.pt"), "--model", name, "--image-size", str(size), *flags,
               "--out", str(tmp / "go.torchscript"))
            extra = {"gojepa.json": ""}
            module = torch.jit.load(str(tmp / "go.torchscript"), _extra_files=extra)
            said = json.loads(extra["gojepa.json"])
            if said["gojepa.model"] != name or json.loads(said["gojepa.image_size"]) != size:
                print(f"FAIL {name}: the module says {said}")
                bad += 1
            with torch.no_grad():
                for n, side in [(1, size), (5, size)] + ([(2, other)] if other else []):
                    x = torch.randn(n, 3, side, side)
                    bad += differ(f"{name}, batch {n} of {side} px", module(x), model(x), 1e-4)
            ours, theirs = module.state_dict(), model.state_dict()
            if sorted(ours) != sorted(theirs) or any(not torch.equal(ours[k], theirs[k]) for k in theirs):
                print(f"FAIL {name}: the module's state dict is not timm's")
                bad += 1
            x = torch.randn(3, 3, size, size)
            for m in (module, model):
                m.zero_grad()
                m(x).sin().sum().backward()
            grads = dict(module.named_parameters())
            bad += any(differ(f"{name}, gradient of {k}", grads[k].grad, p.grad, 1e-3) for k, p in list(model.named_parameters())[:2])

            images = torch.randn(5, 3, size, size)
            np.save(tmp / "x.npy", images.numpy())
            modules = {"traced": torch.jit.trace(model, images[:2])}
            if "depth" in kwargs or name == "resnet18":
                modules["scripted"] = torch.jit.script(model)
            for how, m in modules.items():
                torch.jit.save(m, str(tmp / "py.pt"))
                go("./cmd/embed", "--weights", str(tmp / "py.pt"), "--image-size", str(size), "--data", str(tmp / "x.npy"),
                   "--out", str(tmp / "y.npy"))
                with torch.no_grad():
                    bad += differ(f"{name} {how} by torch.jit, in gojepa", torch.from_numpy(np.load(tmp / "y.npy")), model(images), 1e-4)
    print("check_torchscript:", f"{bad} differ" if bad else "all equal")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
