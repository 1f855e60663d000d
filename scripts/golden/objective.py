"""Golden values and gradients of SIGReg and of LeJEPA's loss: autograd of the formulas, in float64.

Writes sigreg/testdata/golden.json and lejepa/testdata/golden.json.
"""

import torch

from common import save, values

torch.set_num_threads(1)


def knots(rule):
    n, tmax, symmetric = rule["knots"], rule["tmax"], rule["symmetric"]
    t = torch.linspace(-tmax if symmetric else 0, tmax, n, dtype=torch.float64)
    w = torch.full_like(t, (t[1] - t[0]).item())
    w[0] /= 2
    w[-1] /= 2
    return t, w if symmetric else 2 * w


def epps_pulley(p, rule):
    """[V, N, M] projections to [V, M] statistics."""
    t, w = knots(rule)
    phi = torch.exp(-(t**2) / 2)
    weight = 1 if rule.get("uniform") else phi
    angle = p.unsqueeze(-1) * t
    err = (angle.cos().mean(1) - phi) ** 2 + angle.sin().mean(1) ** 2
    return p.shape[1] * (err * weight * w).sum(-1)


DEFAULT = {"knots": 17, "tmax": 3.0, "symmetric": False}
PAPER = {"knots": 17, "tmax": 5.0, "symmetric": True}
EVEN = {"knots": 8, "tmax": 4.0, "symmetric": True}
UNIFORM = {"knots": 9, "tmax": 2.0, "symmetric": False, "uniform": True}
FEWEST = [{"knots": 2, "tmax": 2.0, "symmetric": True}, {"knots": 3, "tmax": 2.0, "symmetric": True},
          {"knots": 2, "tmax": 2.0, "symmetric": False}]
SOME = [*FEWEST, UNIFORM]  # of which there need not be many cases


def inputs(seed, v, n, k, m, scale, rank_deficient=False):
    z = torch.tensor(values(seed, v, n, k)) * scale
    if rank_deficient:
        z = z[..., :1].expand_as(z).clone()
    a = torch.tensor(values(seed + 1, k, m))
    return z.requires_grad_(), a / a.norm(dim=0)


def sigreg_cases():
    shapes = [(1, 1, 3, 5), (1, 2, 1, 1), (2, 7, 4, 6), (1, 64, 8, 16), (3, 32, 6, 12), (1, 300, 3, 9), (6, 16, 4, 64)]
    for i, (v, n, k, m) in enumerate(shapes):
        for rule in (DEFAULT, PAPER, EVEN, *FEWEST, UNIFORM):
            for scale in (1.0, 0.0, 3.0):
                if scale != 1.0 and (n > 100 or rule in SOME) or rule in SOME and n != 7:
                    continue
                z, a = inputs(100 + i, v, n, k, m, scale)
                stat = epps_pulley(z @ a, rule)
                stat.mean().backward()
                yield {
                    "rule": rule, "shape": [v, n, k, m], "seed": 100 + i, "scale": scale,
                    "statistics": stat.flatten().tolist(), "grad": z.grad.flatten().tolist(),
                }


def lejepa_cases():
    # Two numbers of global views, one view, one sample, both ends of lambda.
    table = [(4, 2, 9, 5, 7, 0.02), (3, 3, 16, 4, 8, 0.5), (1, 1, 6, 3, 4, 0.1), (2, 1, 1, 3, 4, 0.1), (2, 2, 8, 4, 4, 0.0),
             (2, 2, 8, 4, 4, 1.0)]
    for i, (v, g, n, k, m, lam) in enumerate(table):
        z, a = inputs(200 + i, v, n, k, m, 1.0)
        prediction = ((z[:g].mean(0) - z) ** 2).mean()
        sigreg = epps_pulley(z @ a, DEFAULT).mean()
        total = (1 - lam) * prediction + lam * sigreg
        total.backward()
        yield {
            "shape": [v, n, k, m], "globals": g, "seed": 200 + i, "lambda": lam, "total": total.item(),
            "prediction": prediction.item(), "sigreg": sigreg.item(), "grad": z.grad.flatten().tolist(),
        }


if __name__ == "__main__":
    save("sigreg/testdata/golden.json", list(sigreg_cases()))
    save("lejepa/testdata/golden.json", list(lejepa_cases()))
