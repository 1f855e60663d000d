"""Golden values and gradients of LeJEPA's loss over views of several encoders, with samples that lack some: loops in place of masks.

Writes lejepa/testdata/joint.json.
"""

import torch

from common import save, values
from objective import DEFAULT, epps_pulley

torch.set_num_threads(1)

# For each case: samples, K, slices, lambda; then for each kind views, globals and the samples that have them (None: all).
CASES = [
    (8, 5, 7, 0.1, [(3, 2, None), (1, 0, [1, 2, 5])]),
    (8, 5, 7, 0.5, [(3, 2, None), (2, 0, None)]),
    (8, 4, 6, 0.3, [(2, 1, None), (1, 1, [7, 0, 3])]),
    (6, 4, 6, 0.02, [(2, 1, None), (2, 1, [4, 3, 2, 1, 0, 5]), (1, 0, [2, 3])]),
    (6, 4, 6, 0.3, [(2, 2, None), (1, 0, [3])]),
    (7, 3, 5, 0.3, [(2, 1, [0, 2, 3, 6]), (1, 1, [1, 2, 6])]),
    (7, 3, 5, 0.3, [(2, 1, [0, 2, 3, 6]), (1, 0, [1, 2, 5, 6])]),
    (5, 3, 5, 1.0, [(2, 1, None), (1, 0, [0, 4])]),
    (5, 3, 5, 0.0, [(2, 1, None), (1, 0, [0, 4])]),
]


def case(i, n, k, m, lam, kinds):
    a = torch.tensor(values(900 + i, k, m))
    a = a / a.norm(dim=0)
    z = [torch.tensor(values(300 + 10 * i + j, v, len(s or range(n)), k)).requires_grad_() for j, (v, _, s) in enumerate(kinds)]
    views = [[] for _ in range(n)]  # of each sample
    globals_ = [[] for _ in range(n)]
    for (v, g, s), p in zip(kinds, z):
        for row, sample in enumerate(s or range(n)):
            views[sample] += [p[x, row] for x in range(v)]
            globals_[sample] += [p[x, row] for x in range(g)]
    errors = []
    for of, g in zip(views, globals_):
        if g:
            centre = torch.stack(g).mean(0)
            errors += [(centre - x) ** 2 for x in of]
    prediction = torch.cat(errors).mean()
    stats = [epps_pulley(p @ a, DEFAULT) for p in z if p.shape[1] > 1]
    sigreg = torch.cat(stats).mean()
    total = (1 - lam) * prediction + lam * sigreg
    total.backward()
    return {
        "n": n, "k": k, "m": m, "lambda": lam, "kinds": [{"views": v, "globals": g, "samples": s} for v, g, s in kinds],
        "total": total.item(), "prediction": prediction.item(), "sigreg": sigreg.item(), "grads": [p.grad.flatten().tolist() for p in z],
    }


if __name__ == "__main__":
    save("lejepa/testdata/joint.json", [case(i, *c) for i, c in enumerate(CASES)])
