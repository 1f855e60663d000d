"""Golden numbers of the measures of package eval that need no labels, by NumPy, of features whose spectrum falls as a power.

Writes eval/testdata/labelfree.json. The formulas are the papers': see eval/multiview.go and eval/powerlaw.go.
"""

import numpy as np

from common import save, values


def features(seed, n, d):
    return (values(seed, n, d) * np.arange(1, d + 1) ** -0.5).astype(np.float32).astype(np.float64)


def spectrum(n, d):
    """α-ReQ by NumPy's weighted polynomial fit, whose weights apply to residuals before they are squared."""
    x = features(11, n, d)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    to = min(100, int((eigenvalues > 1e-12 * eigenvalues[0]).sum()))
    first = 11 if to >= 22 else 1
    j = np.arange(first, to + 1)
    return {"n": n, "d": d, "from": first, "to": to, "alpha": -np.polyfit(np.log(j), np.log(eigenvalues[j - 1]), 1, w=j**-0.5)[0]}


def agreement(n, v, d):
    noise = values(13, n, v, d) * 0.3
    x = (features(12, n, d)[:, None] + noise + 0.1).astype(np.float32).astype(np.float64)
    means = x.mean(1)
    between = np.cov(means.T, bias=True)
    within = np.einsum("nvi,nvj->ij", x - means[:, None], x - means[:, None]) / (n * v) + 1e-4 * np.eye(d)
    eigenvalues = np.linalg.eigvals(np.linalg.solve(within, between)).real.clip(0)  # those of the symmetric form
    p = eigenvalues / eigenvalues.sum() + 1e-7
    u = x / np.linalg.norm(x, axis=2, keepdims=True)
    pairs = [((u[:, a] - u[:, b]) ** 2).sum(1).mean() for a in range(v) for b in range(a)]
    i, j = np.triu_indices(n, 1)
    uniform = [np.log(np.exp(-2 * ((u[i, a] - u[j, a]) ** 2).sum(1)).mean()) for a in range(v)]
    return {
        "n": n, "v": v, "d": d, "lidar": np.exp(-(p * np.log(p)).sum()), "alignment": np.mean(pairs), "uniformity": np.mean(uniform),
    }


if __name__ == "__main__":
    save("eval/testdata/labelfree.json", {
        "spectra": [spectrum(400, 120), spectrum(60, 40), spectrum(50, 8)],
        "agreement": [agreement(60, 4, 12), agreement(9, 2, 20)],
    })
