"""Golden values of the tests against N(0, 1): scipy's where it has them, the published formula in numpy otherwise.

Writes sigreg/univariate/testdata/golden.json. Needs scipy==1.17.1 besides scripts/python/requirements.txt.
"""

import warnings

import numpy as np
import scipy.special as sp
from scipy import integrate, stats

from common import save, values

warnings.simplefilter("ignore", FutureWarning)  # anderson's new default

X = [-1e30, -1e10, -1e4, -1e3, -100, -40, -14, -13, -10, -5, -3, -1, -0.5, 0, 0.5, 1, 3, 5, 8, 10, 12]


def samples(seed, n, m, loc, scale):
    """Not quite Gaussian, to about ±3: uniform numbers and their cubes."""
    u = values(seed, n, m)
    return loc + scale * (0.6 * u + 0.25 * u**3 / np.sqrt(3))


def epps_pulley(tmax, intervals, uniform):
    """The weighted distance of the characteristic functions on [−tmax, tmax], by scipy's trapezoidal rule."""
    t = np.linspace(-tmax, tmax, 2 * intervals + 1)

    def statistic(x):
        distance = np.abs(np.exp(1j * np.outer(t, x)).mean(1) - np.exp(-(t**2) / 2)) ** 2
        return len(x) * integrate.trapezoid(distance * (1 if uniform else np.exp(-(t**2) / 2)), t)

    return statistic


def anderson(x):
    """A² from the integral of its definition: between samples the empirical distribution function is constant, and the
    integral of (F − u)²/(u(1 − u)) has the antiderivative F² log u − (1−F)² log(1−u) − u."""
    n = len(x)
    lower, upper = sp.log_ndtr(np.sort(x)), sp.log_ndtr(-np.sort(x))
    total = 0.0
    for i in range(n + 1):
        f = i / n

        def antiderivative(j):
            if j < 0:  # u = 0, where f is 0
                return 0.0
            if j == n:  # u = 1, where f is 1
                return -1.0
            return f**2 * lower[j] - (1 - f) ** 2 * upper[j] - np.exp(lower[j])

        total += antiderivative(i) - antiderivative(i - 1)
    return n * total


def cramer(x):
    return stats.cramervonmises(x, "norm").statistic


def watson(x):
    return cramer(x) - len(x) * (stats.norm.cdf(x).mean() - 0.5) ** 2


def shapiro(positions, tridiagonal):
    def statistic(x):
        n = len(x)
        m = stats.norm.ppf(positions(np.arange(1, n + 1), n))
        a = m
        if tridiagonal:
            d = stats.norm.pdf(m)
            a = (np.diag(2 * d**2) - np.diag(d[1:] * d[:-1], 1) - np.diag(d[1:] * d[:-1], -1)) @ m
        return 1 - stats.pearsonr(a, np.sort(x)).statistic ** 2

    return statistic


def vcreg(x):
    """Student's t and the deviation of the variance."""
    return stats.ttest_1samp(x, 0).statistic ** 2 + (len(x) - 1) * (x.var(ddof=1) - 1) ** 2 / 2


def jarque_bera(x):
    return vcreg(x) + stats.jarque_bera(x).statistic


def moments(kmax):
    def statistic(x):
        k = np.arange(1, kmax + 1)
        off = np.abs([np.mean(x**j) - stats.norm.moment(int(j)) for j in k])
        return off @ np.where(k == 1, 1.0, np.exp(-k))

    return statistic


def shortfall(entropy):
    return lambda x: 0.5 * np.log(2 * np.pi * np.e) + np.log(x.std()) - entropy(x)


def vasicek(m):
    return shortfall(lambda x: stats.differential_entropy(
        x, window_length=m or min(int(np.floor(np.sqrt(len(x)) + 0.5)), (len(x) - 1) // 2), method="vasicek"))


def right(m):
    def entropy(x):
        y, n = np.sort(x), len(x)
        w = m or int(np.floor(np.sqrt(n) + 0.5))
        return np.log((n + 1) / w * (y[w:] - y[:-w])).mean()

    return shortfall(entropy)


def order_statistics(rank):
    """Φ of the k-th smallest is beta distributed."""
    def statistic(x):
        y, n = np.sort(x), len(x)
        k = np.arange(1, n + 1)
        loss = -stats.beta.logpdf(stats.norm.cdf(y), k, n + 1 - k) - stats.norm.logpdf(y)
        return loss[rank - 1] if rank else loss.mean()

    return statistic


def elfving(i, n):
    return (i - np.pi / 8) / (n + 1 - np.pi / 4)


def blom(i, n):
    return (i - 3 / 8) / (n + 1 / 4)


def rahman(i, n):
    return i / (n + 1)


TESTS = {
    "EppsPulley": epps_pulley(3, 16, False),
    "EppsPulley paper": epps_pulley(5, 8, False),
    "EppsPulley uniform": epps_pulley(2, 6, True),
    "AndersonDarling": anderson,
    "CramerVonMises": cramer,
    "Watson": watson,
    "ShapiroWilk elfving": shapiro(elfving, False),
    "ShapiroWilk blom": shapiro(blom, False),
    "ShapiroWilk rahman tridiagonal": shapiro(rahman, True),
    "VCReg": vcreg,
    "ExtendedJarqueBera": jarque_bera,
    "Moments 1": moments(1),
    "Moments 4": moments(4),
    "Moments 7": moments(7),
    "Entropy": vasicek(0),
    "Entropy 2": vasicek(2),
    "Entropy right": right(0),
    "Entropy right 1": right(1),
    "NLL": order_statistics(0),
    "NLL 3": order_statistics(3),
}


def cases():
    for i, (n, m, loc, scale) in enumerate([(5, 3, 0.0, 1.0), (8, 4, 0.3, 1.5), (64, 3, 0.0, 1.0), (200, 2, -1.0, 0.5), (33, 2, 2.0, 2.0)]):
        x = samples(300 + i, n, m, loc, scale)
        yield {"seed": 300 + i, "n": n, "m": m, "loc": loc, "scale": scale,
               "statistics": {name: [float(f(x[:, j])) for j in range(m)] for name, f in TESTS.items()}}


def log_cdf():
    x = np.array(X, dtype=np.float64)
    return {"x": X, "value": sp.log_ndtr(x).tolist(), "slope": (np.sqrt(2 / np.pi) / sp.erfcx(-x / np.sqrt(2))).tolist()}


if __name__ == "__main__":
    save("sigreg/univariate/testdata/golden.json", {"cases": list(cases()), "logCDF": log_cdf()})
