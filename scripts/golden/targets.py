"""Golden numbers of probes for several labels and for numbers: scikit-learn's OneVsRestClassifier, Ridge and RidgeCV.

Writes eval/testdata/targets.json.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from common import save, values
from eval import PATTERNS, features

L2 = [10.0, 1.0, 0.1, 0.01, 1e-3]


def data():
    train, test = features(1, 220, 8, PATTERNS["four"])[0], features(2, 70, 8, PATTERNS["four"])[0]
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def labels(x, seed):
    """Of each sample, by two of its features and noise."""
    return (x[:, :3] - x[:, 3:6] + values(seed, len(x), 3) > np.array([0.0, 0.7, 1.4])).astype(int)


def numbers(x, seed):
    return x[:, :2] @ np.array([[1.0, 20.0], [-0.5, 4.0]]) + values(seed, len(x), 2) * np.array([0.8, 30.0]) + np.array([5.0, -100.0])


def main():
    train, test = data()
    y, y_test = labels(train, 21), labels(test, 22)
    multi = []
    for l2 in (0.1, 1e-2, 1e-3):
        model = OneVsRestClassifier(LogisticRegression(C=1 / (l2 * len(train)), tol=1e-10, max_iter=10_000)).fit(train, y)
        multi.append({"l2": l2, "probabilities": model.predict_proba(test).flatten().tolist()})
    z, z_test = numbers(train, 23), numbers(test, 24)
    ridge = [{"l2": l2, "predicted": Ridge(alpha=l2 * len(train)).fit(train, z).predict(test).flatten().tolist()} for l2 in L2]
    chosen = RidgeCV(alphas=[l2 * len(train) for l2 in L2]).fit(train, z)
    save("eval/testdata/targets.json", {
        "labels": {"train": y.flatten().tolist(), "test": y_test.flatten().tolist(), "fits": multi},
        "numbers": {
            "train": z.flatten().tolist(), "test": z_test.flatten().tolist(), "l2": L2, "chosen": chosen.alpha_ / len(train), "fits": ridge,
        },
    })


if __name__ == "__main__":
    main()
