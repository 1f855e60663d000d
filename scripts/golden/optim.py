"""Golden runs of published optimisers, for torch/optim: torch.optim.AdamW, timm.optim.Lars, torch.optim.Muon and
schedulefree.AdamWScheduleFree, and of timm.utils.ModelEmaV3. Writes torch/optim/testdata/*.json.

All train the parameters of SHAPES on one loss. Those of more than one dimension have weight decay, `kernel` has half the
learning rate, and `other` is not Muon's. The learning rate changes from step to step.
"""

import contextlib

import schedulefree
import timm.optim
import timm.utils
import torch

from common import save, values

SHAPES = {"weight": (3, 4), "bias": (3,), "kernel": (4, 2, 2, 3), "tall": (6, 4), "other": (2, 5), "unused": (2, 2)}
HALF = "kernel"


def loss(p):
    x = torch.tensor(values(30, 5, 4))
    total = torch.nn.functional.linear(x, p["weight"], p["bias"]).sin().sum()
    for seed, name in enumerate(("kernel", "tall", "other")):
        total = total + (p[name] * torch.tensor(values(31 + seed, *SHAPES[name]))).sin().sum()
    return total + 0.0 * p["unused"].sum()


def rate(lr, step):
    return lr * (1 + step % 3)


def run(make, steps, lr, wd, momentum=0.0, betas=(0.9, 0.999), eps=1e-8, **more):
    """make takes the groups and returns optimisers; each group has `names`, `params`, `weight_decay` and `scale`."""
    params = {name: torch.tensor(values(i + 1, *shape)).requires_grad_() for i, (name, shape) in enumerate(SHAPES.items())}
    groups = [{"names": [name], "params": [p], "weight_decay": wd if p.dim() > 1 else 0.0, "scale": 0.5 if name == HALF else 1.0}
              for name, p in params.items()]
    optimisers = make(groups)
    result = {"steps": steps, "lr": lr, "weightDecay": wd, "momentum": momentum, "beta1": betas[0], "beta2": betas[1], "eps": eps} | more
    for step in range(steps):
        for o in optimisers:
            o.zero_grad()
            if hasattr(o, "train"):
                o.train()
        loss(params).backward()
        for o in optimisers:
            for g in o.param_groups:
                g["lr"] = rate(lr, step) * g["scale"]
            o.step()
    result["params"] = {name: p.flatten().tolist() for name, p in params.items()}
    for o in optimisers:
        if hasattr(o, "eval"):
            o.eval()
            result["average"] = {name: p.flatten().tolist() for name, p in params.items()}
    return result


def adamw(steps, lr, wd, betas, eps):
    return run(lambda g: [torch.optim.AdamW(g, betas=betas, eps=eps, foreach=False)], steps, lr, wd, betas=betas, eps=eps)


def lars(steps, lr, wd, momentum, trust, eps):
    def make(groups):
        for g in groups:
            g["always_adapt"] = g["params"][0].dim() > 1
        return [timm.optim.Lars(groups, momentum=momentum, trust_coeff=trust, eps=eps, foreach=False)]

    return run(make, steps, lr, wd, momentum=momentum, eps=eps, trust=trust)


def schedule_free(steps, lr, wd, betas, eps):
    return run(lambda g: [schedulefree.AdamWScheduleFree(g, betas=betas, eps=eps)], steps, lr, wd, betas=betas, eps=eps)


@contextlib.contextmanager
def exact(on):
    """Has torch.optim.Muon, which makes matrices orthogonal in bfloat16, do so in float64."""
    published = torch.Tensor.bfloat16
    if on:
        torch.Tensor.bfloat16 = lambda t: t.clone()
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = published


class FlatMuon(torch.optim.Muon):
    """torch.optim.Muon takes matrices only: kernels are handed to it as the matrices that they are in memory."""

    def __init__(self, groups, **options):
        flat = []
        for g in groups:
            matrices = []
            for p in g["params"]:
                m = p.detach().flatten(1).requires_grad_()
                p.grad = torch.zeros_like(p)
                m.grad = p.grad.flatten(1)
                matrices.append(m)
            flat.append(g | {"params": matrices})
        super().__init__(flat, **options)

    def zero_grad(self):
        super().zero_grad(set_to_none=False)


def muon(steps, lr, wd, momentum, adjust, is_exact, betas=(0.9, 0.999), eps=1e-8):
    def make(groups):
        matrices = [g for g in groups if g["names"][0] not in ("bias", "other")]
        others = [g for g in groups if g not in matrices]
        return [FlatMuon(matrices, momentum=momentum, adjust_lr_fn=adjust),
                torch.optim.AdamW(others, betas=betas, eps=eps, foreach=False)]

    with exact(is_exact):
        return run(make, steps, lr, wd, momentum=momentum, betas=betas, eps=eps, original=adjust == "original", exact=is_exact)


def ema(steps, decay):
    """timm's average of a layer and of BatchNorm's statistics, which are set to other values before each update."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).double()
    average = timm.utils.ModelEmaV3(model, decay=decay)
    for step in range(1, steps + 1):
        for i, v in enumerate(model.state_dict().values()):
            v.copy_(torch.tensor(values(10 * step + i, *v.shape)) if v.is_floating_point() else torch.tensor(7 * step))
        average.update(model, step=step)
    return {"steps": steps, "decay": decay, "average": {k: v.flatten().tolist() for k, v in average.module.state_dict().items()}}


if __name__ == "__main__":
    folder = "torch/optim/testdata/"
    save(folder + "adamw.json", [
        adamw(1, 0.1, 0.05, (0.9, 0.999), 1e-8),
        adamw(20, 0.05, 0.5, (0.9, 0.95), 1e-6),
        adamw(7, 0.01, 0.0, (0.0, 0.5), 1e-3),
    ])
    save(folder + "lars.json", [
        lars(1, 0.1, 0.05, 0.9, 0.01, 1e-8),
        lars(20, 0.02, 0.1, 0.9, 0.5, 1e-3),
        lars(7, 0.05, 0.0, 0.0, 0.5, 1e-8),
    ])
    save(folder + "muon.json", [
        muon(1, 0.1, 0.05, 0.95, "match_rms_adamw", True),
        muon(20, 0.02, 0.5, 0.95, "match_rms_adamw", True),
        muon(20, 0.02, 0.0, 0.8, "original", True, betas=(0.8, 0.95)),
        muon(1, 0.1, 0.05, 0.95, "match_rms_adamw", False),
        muon(5, 0.02, 0.05, 0.95, "original", False),
    ])
    save(folder + "schedulefree.json", [
        schedule_free(1, 0.1, 0.05, (0.9, 0.999), 1e-8),
        schedule_free(20, 0.05, 0.5, (0.9, 0.95), 1e-6),
        schedule_free(7, 0.01, 0.0, (0.5, 0.5), 1e-3),
    ])
    save(folder + "ema.json", [ema(1, 0.9), ema(6, 0.9), ema(20, 0.999)])
