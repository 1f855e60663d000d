"""Golden values of the tests against N(0, I): sums over pairs as published, and in one and two dimensions the integrals
that they stand for, of the empirical characteristic and moment generating functions.

Writes sigreg/multivariate/testdata/golden.json. Needs scipy==1.17.1 besides scripts/python/requirements.txt.
"""

import numpy as np
import scipy.linalg
from scipy import integrate
from scipy.spatial.distance import cdist

from common import save, values


def samples(seed, n, k, loc, scale):
    """Not quite Gaussian, to about ±3: uniform numbers and their cubes."""
    u = values(seed, n, k)
    return loc + scale * (0.6 * u + 0.25 * u**3 / np.sqrt(3))


def standardise(x):
    """Residuals by the symmetric root of the inverse covariance, with divisor N."""
    d = x - x.mean(0)
    return d @ np.linalg.inv(scipy.linalg.sqrtm(d.T @ d / len(x)).real)


def bhep(beta):
    def statistic(x):
        n, k = x.shape
        b = beta(n, k)
        pairs = np.exp(-(b**2) / 2 * cdist(x, x, "sqeuclidean")).sum() / n**2
        one = (1 + b**2) ** (-k / 2) * np.exp(-(b**2) * (x**2).sum(1) / (2 * (1 + b**2))).mean()
        return n * (pairs - 2 * one + (1 + 2 * b**2) ** (-k / 2))

    return statistic


def henze_visagie(gamma):
    def statistic(x):
        n, k = x.shape
        g = gamma(n, k)
        product, plus = x @ x.T, cdist(x, -x, "sqeuclidean")
        return (np.exp(plus / (4 * g)) * (product - plus / (2 * g) + k / (2 * g) + plus / (4 * g**2))).sum() / n

    return statistic


def comb(gamma):
    def statistic(x):
        n, k = x.shape
        g = gamma(n, k)
        squares = (x**2).sum(1)
        kernel = np.exp((squares[:, None] - squares) / (4 * g)) * np.cos(x @ x.T / (2 * g))
        return np.sqrt(n) * (kernel.mean() - 1)

    return statistic


def integral(f, k, reach):
    """The integral of f(t) over the reals or the plane, out to where its weight has gone."""
    if k == 1:
        return integrate.quad(lambda t: f(np.array([t])), -reach, reach, epsabs=1e-13, epsrel=1e-13, limit=400)[0]
    return integrate.dblquad(lambda s, t: f(np.array([t, s])), -reach, reach, -reach, reach, epsabs=1e-10, epsrel=1e-10)[0]


def bhep_integral(beta):
    """N times the squared distance of characteristic functions, weighted by the density of N(0, β² I)."""
    def statistic(x):
        n, k = x.shape
        b = beta(n, k)

        def f(t):
            distance = np.exp(1j * (x @ t)).mean() - np.exp(-t @ t / 2)
            return abs(distance) ** 2 * np.exp(-t @ t / (2 * b**2)) / (2 * np.pi * b**2) ** (k / 2)

        return n * integral(f, k, 9 * b)

    return statistic


def henze_visagie_integral(gamma):
    """N times the integral of |∇M − t·M|² for the moment generating function M, by (γ/π)^{K/2}·e^{−γ|t|²}."""
    def statistic(x):
        n, k = x.shape
        g = gamma(n, k)

        def f(t):
            exp = np.exp(x @ t)
            misfit = (x * exp[:, None]).mean(0) - t * exp.mean()
            return misfit @ misfit * np.exp(-g * t @ t) * (g / np.pi) ** (k / 2)

        return n * integral(f, k, 9 / np.sqrt(2 * g) + abs(x).max() / g)

    return statistic


def comb_integral(gamma):
    """√N times the integral of R·M − 1, R the real part of the characteristic function, by the same weight."""
    def statistic(x):
        n, k = x.shape
        g = gamma(n, k)

        def f(t):
            return (np.cos(x @ t).mean() * np.exp(x @ t).mean() - 1) * np.exp(-g * t @ t) * (g / np.pi) ** (k / 2)

        return np.sqrt(n) * integral(f, k, 9 / np.sqrt(2 * g) + abs(x).max() / (2 * g))

    return statistic


def fixed(v):
    return lambda n, k: v


def by_dimension(n, k):
    return 2 / np.sqrt(k)


def zirkler(n, k):
    return ((2 * k + 1) * n / 4) ** (1 / (k + 4)) / np.sqrt(2)


def spread(n, k):
    return k + 4


def root_spread(n, k):
    return 1.5 * np.sqrt(k)


def after(f, g):
    return lambda x: f(g(x))


def log(v):
    return np.log(v)


def square(v):
    return v**2


# Each test by its sum and by its integral; what is left is done to the samples and to the value.
TESTS = {
    "BHEP": (bhep, bhep_integral, by_dimension, None, None),
    "BHEP 0.1": (bhep, bhep_integral, fixed(0.1), None, None),
    "BHEP 2": (bhep, bhep_integral, fixed(2.0), None, None),
    "BHEP 1 standardised": (bhep, bhep_integral, fixed(1.0), standardise, None),
    "HenzeZirkler": (bhep, bhep_integral, zirkler, None, None),
    "HenzeZirkler standardised": (bhep, bhep_integral, zirkler, standardise, None),
    "HenzeVisagie": (henze_visagie, henze_visagie_integral, spread, None, None),
    "HenzeVisagie 3": (henze_visagie, henze_visagie_integral, fixed(3.0), None, None),
    "HenzeVisagie log": (henze_visagie, henze_visagie_integral, spread, None, log),
    "HenzeVisagie standardised": (henze_visagie, henze_visagie_integral, spread, standardise, None),
    "COMB": (comb, comb_integral, root_spread, None, square),
    "COMB 1 signed": (comb, comb_integral, fixed(1.0), None, None),
    "COMB standardised": (comb, comb_integral, root_spread, standardise, square),
}


def evaluate(x, integrals):
    out = {}
    for name, (sums, integral_of, bandwidth, before, then) in TESTS.items():
        f = (integral_of if integrals else sums)(bandwidth)
        v = f(before(x) if before else x)
        out[name] = float(then(v) if then else v)
    return out


def cases():
    for i, (n, k, loc, scale) in enumerate(
        [(6, 1, 0.0, 1.0), (9, 1, 0.4, 1.3), (7, 2, 0.0, 1.0), (20, 2, -0.5, 0.8), (12, 3, 0.2, 1.5), (40, 8, 0.0, 1.0), (70, 5, 1.0, 0.5), (9, 8, 0, 1)]
    ):
        x = samples(400 + i, n, k, loc, scale)
        case = {"seed": 400 + i, "n": n, "k": k, "loc": loc, "scale": scale, "statistics": evaluate(x, False)}
        if k <= 2:
            case["integrals"] = evaluate(x, True)
            for name, v in case["integrals"].items():
                assert abs(v - case["statistics"][name]) < 1e-9 * max(1, abs(v)), (i, name, v, case["statistics"][name])
        yield case


if __name__ == "__main__":
    save("sigreg/multivariate/testdata/golden.json", {"cases": list(cases())})
