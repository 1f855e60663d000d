"""Golden run for `make parity`: 50 AdamW steps of LeJEPA on fixed views, weights and slices, with timm's ViT and
torchvision's MLP in PyTorch.

The bound of float32 is how far two runs on the CPU are from each other, with 1 thread and with 2. scripts/gpu-check has goldens
of its own made on the device that it checks (--device), whose roundings are others: there it is BRANCHES, twice, or more if
the device is further from the CPU. NVIDIA_TF32_OVERRIDE=0 keeps float32 what it is.

Writes train/testdata/parity.json (losses) and train/testdata/parity.safetensors (first gradients, final weights).
Everything that goes in comes from common.values, so that Go makes the same.
"""

import argparse

import numpy as np
import timm
import torch
import torchvision
from safetensors.numpy import save as serialise

from common import ROOT, save, values
from objective import DEFAULT, epps_pulley

STEPS, N, GLOBALS, LOCALS, SLICES, LAMBDA = 50, 32, 2, 2, 64, 0.05
LR, WEIGHT_DECAY, WARMUP, FINAL = 1e-3, 5e-2, 5, 1e-3
ENCODER = dict(img_size=16, patch_size=4, in_chans=3, embed_dim=32, depth=2, num_heads=2, num_classes=0)
HIDDEN, DIM = [48, 48], 16
# The most that float32 runs on the CPU differed, of 8 from weights that were a rounding apart. They take one of a few ways in the
# 17th step, which a rounding decides, and keep to it.
BRANCHES = {"weights": 6.2e-4, "losses": 8.4e-4}


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = timm.create_model("vit_tiny_patch16_224", dynamic_img_size=True, **ENCODER)
        self.projector = torchvision.ops.MLP(32, [*HIDDEN, DIM], norm_layer=torch.nn.BatchNorm1d)

    def forward(self, views):
        emb = torch.cat([self.encoder(v.flatten(0, 1)) for v in views])
        return self.projector(emb).unflatten(0, (GLOBALS + LOCALS, N))


def initial(model):
    """Weights that differ from step to step and from layer to layer: 0.1 noise, around one for norms."""
    for i, (name, p) in enumerate(model.named_parameters()):
        v = torch.tensor(values(1000 + i, *p.shape)) * 0.1
        if name.endswith("weight") and p.ndim == 1:
            v += 1
        p.data.copy_(v)


def lr_at(step):
    if step < WARMUP:
        return LR * (step + 1) / WARMUP
    floor = LR * FINAL
    return floor + (LR - floor) * 0.5 * (1 + np.cos(np.pi * (step - WARMUP) / (STEPS - 1 - WARMUP)))


def run(dtype, threads, device="cpu"):
    torch.set_num_threads(threads)
    model = Model().to(dtype).train()
    initial(model)
    model.to(device)
    decay = [p for n, p in model.named_parameters() if p.ndim > 1 and n not in ("encoder.pos_embed", "encoder.cls_token")]
    rest = [p for p in model.parameters() if all(p is not q for q in decay)]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}], foreach=False)
    views = [
        torch.tensor(values(1, GLOBALS, N, 3, 16, 16)).to(device, dtype),
        torch.tensor(values(2, LOCALS, N, 3, 8, 8)).to(device, dtype),
    ]
    losses, grads = [], None
    for step in range(STEPS):
        a = torch.tensor(values(5000 + step, DIM, SLICES))
        a = (a / a.norm(dim=0)).to(device, dtype)
        z = model(views)
        prediction = ((z[:GLOBALS].mean(0) - z) ** 2).mean()
        sigreg = statistic(z @ a).mean()
        total = (1 - LAMBDA) * prediction + LAMBDA * sigreg
        opt.zero_grad()
        total.backward()
        if grads is None:
            grads = {n: p.grad.cpu().numpy().copy() for n, p in model.named_parameters()}
        for g in opt.param_groups:
            g["lr"] = lr_at(step)
        opt.step()
        losses.append([total.item(), prediction.item(), sigreg.item()])
    return losses, grads, {n: p.detach().cpu().numpy().copy() for n, p in model.named_parameters()}


def statistic(p):
    # The knots are made in float64 and rounded, as a float32 linspace differs between versions of PyTorch.
    t = torch.linspace(0, 3, 17, dtype=torch.float64)
    w = torch.full_like(t, 2 * 3 / 16)
    w[0] /= 2
    w[-1] /= 2
    phi = torch.exp(-(t**2) / 2)
    w, t, phi = (x.to(p.device, p.dtype) for x in (w * phi, t, phi))
    angle = p.unsqueeze(-1) * t
    err = (angle.cos().mean(1) - phi) ** 2 + angle.sin().mean(1) ** 2
    return p.shape[1] * (err * w).sum(-1)


def zero_in_theory(grads):
    """Elements whose gradient is zero but for rounding: biases before a BatchNorm, and the keys' part of qkv.bias."""
    return {n: np.abs(v) < 1e-12 for n, v in grads.items()}


def distance(a, b, exempt):
    """Relative distance of two sets of weights, and the largest relative difference of total losses.

    Parameters whose gradient is zero in theory are exempt: AdamW scales their rounding errors up to full steps.
    """
    num = sum(float(((a[2][n].astype(np.float64) - b[2][n])[~m] ** 2).sum()) for n, m in exempt.items())
    den = sum(float((a[2][n].astype(np.float64)[~m] ** 2).sum()) for n, m in exempt.items())
    return {
        "weights": (num / den) ** 0.5,
        "losses": max(abs(x[0] - y[0]) / abs(x[0]) for x, y in zip(a[0], b[0])),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], help="have goldens for this device")
    device = parser.parse_args().device
    double = run(torch.float64, 1, device or "cpu")
    one = run(torch.float32, 1, device or "cpu")
    two = run(torch.float32, 2)
    exempt = zero_in_theory(double[1])
    between, apart = "1 thread from 2", distance(one, two, exempt)
    print(between, apart, "float64", distance(double, one, exempt))
    if device:
        between, apart = "weights a rounding apart", {key: 2 * max(BRANCHES[key], apart[key]) for key in apart}
    assert torch.allclose(epps_pulley(torch.ones(1, 3, 2, dtype=torch.float64), DEFAULT), statistic(torch.ones(1, 3, 2, dtype=torch.float64)))
    save("train/testdata/parity.json", {
        "steps": STEPS, "samples": N, "globals": GLOBALS, "locals": LOCALS, "slices": SLICES, "lambda": LAMBDA,
        "lr": LR, "weight_decay": WEIGHT_DECAY, "warmup": WARMUP, "final": FINAL, "hidden": HIDDEN, "dim": DIM,
        "versions": {"torch": torch.__version__, "timm": timm.__version__, "torchvision": torchvision.__version__},
        "float64": double[0], "float32": one[0],
        "between": between,
        "apart": apart,
    })
    tensors = {f"final64.{n}": v for n, v in double[2].items()}
    tensors |= {f"final32.{n}": v for n, v in one[2].items()}
    tensors |= {f"grad.{n}": v.astype(np.float32) for n, v in double[1].items()}
    (ROOT / "train/testdata/parity.safetensors").write_bytes(serialise(tensors))
    print("parameters:", sum(v.size for v in double[2].values()))
    print("exempt, as their gradient is zero in theory:", {n: int(m.sum()) for n, m in exempt.items() if m.any()})
