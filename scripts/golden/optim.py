"""Golden runs of torch.optim.AdamW, for torch/optim. Writes torch/optim/testdata/adamw.json."""

import torch

from common import save, values


def run(steps, lr, wd, betas, eps):
    w = torch.tensor(values(1, 3, 4)).requires_grad_()
    b = torch.tensor(values(2, 3)).requires_grad_()
    x = torch.tensor(values(3, 5, 4))
    opt = torch.optim.AdamW([{"params": [w], "weight_decay": wd}, {"params": [b], "weight_decay": 0.0}], betas=betas, eps=eps, foreach=False)
    for step in range(steps):
        opt.zero_grad()
        torch.nn.functional.linear(x, w, b).sin().sum().backward()
        for g in opt.param_groups:
            g["lr"] = lr * (1 + step % 3)
        opt.step()
    return {"steps": steps, "lr": lr, "weightDecay": wd, "beta1": betas[0], "beta2": betas[1], "eps": eps,
            "weight": w.flatten().tolist(), "bias": b.tolist()}


if __name__ == "__main__":
    save("torch/optim/testdata/adamw.json", [
        run(1, 0.1, 0.05, (0.9, 0.999), 1e-8),
        run(20, 0.05, 0.5, (0.9, 0.95), 1e-6),
        run(7, 0.01, 0.0, (0.0, 0.5), 1e-3),
    ])
