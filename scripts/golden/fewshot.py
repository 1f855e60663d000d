"""Golden numbers of few-shot classification: scikit-learn's LogisticRegression on the draws that eval/testdata/draws.json has, which
`go test ./eval -run TestDraws -update` writes, and SciPy's t-intervals.

Writes eval/testdata/fewshot.json.
"""

import json

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from common import ROOT, save
from eval import PATTERNS, features, scores


def fit(train, test, rows, c):
    scaler = StandardScaler().fit(train[0][rows])
    model = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(scaler.transform(train[0][rows]), train[1][rows])
    return scores(model.predict(scaler.transform(test[0])), test[1])


def interval(values):
    return [np.mean(values), *(stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values)) if len(values) > 1 else (None, None))]


def case(name, shots):
    pattern = PATTERNS[name]
    train, test = features(1, 220, 8, pattern), features(2, 70, 8, pattern)
    out = []
    for n, draws in shots.items():
        for c in (1.0, 0.1):
            s = [fit(train, test, rows, c) for rows in draws]
            top1, balanced = [x["top1"] for x in s], [x["balanced"] for x in s]
            out.append({"shots": int(n), "c": c, "each": top1, "top1": interval(top1), "balanced": interval(balanced)})
    return out


if __name__ == "__main__":
    draws = json.loads((ROOT / "eval/testdata/draws.json").read_text())
    save("eval/testdata/fewshot.json", {name: case(name, shots) for name, shots in draws.items()})
