"""Golden numbers of the selection of runs: SciPy's Spearman correlations, of lists with and without equal values.

Writes train/selection/testdata/spearman.json. Needs scipy==1.17.1 beside scripts/python/requirements.txt.
"""

import math

import numpy as np
from scipy.stats import spearmanr

from common import save, values


def case(x, y):
    rho = spearmanr(x, y).statistic
    return {"x": list(map(float, x)), "y": list(map(float, y)), "rho": None if math.isnan(rho) else float(rho)}


def main():
    cases = [
        case([1, 2], [1, 2]),
        case([1, 2], [2, 1]),
        case([1, 2, 3], [1, 1, 2]),
        case([0.1, 0.1, 0.1], [1, 2, 3]),
        case([3, 1, 2, 2, 5], [-1, 4, 4, 4, 0]),
        case([1e-300, 1e300, 0, -1e300], [1, 2, 3, 4]),
    ]
    for seed, n in ((1, 5), (2, 12), (3, 30), (4, 101)):
        x = values(seed, n)
        y = x + values(seed + 100, n)
        cases.append(case(x, y))
        cases.append(case(np.round(2 * x), np.round(2 * y)))  # many ties
        cases.append(case(np.round(2 * x), -y))
    save("train/selection/testdata/spearman.json", cases)


if __name__ == "__main__":
    main()
