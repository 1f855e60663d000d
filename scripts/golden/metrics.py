"""Golden numbers of the measures of package eval: scikit-learn's, on scores with ties.

Writes eval/testdata/metrics.json.
"""

import numpy as np
from sklearn import metrics
from sklearn.preprocessing import label_binarize

from common import save, values

N, K = 90, 7


def rounded(seed, *shape):
    """Numbers of which many are equal."""
    return np.round(values(seed, *shape) * 4) / 4


def binary():
    scores, positive = rounded(1, N), values(2, N) > 0.6
    return {
        "scores": scores.tolist(), "positive": positive.tolist(),
        "auroc": metrics.roc_auc_score(positive, scores), "ap": metrics.average_precision_score(positive, scores),
    }


def classes():
    labels = np.array([[0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 0][i % 11] for i in range(N)])  # of different sizes
    logits = np.round(values(3, N, K)) + 1.5 * np.eye(K)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    predicted = scores.argmax(1)
    return {
        "scores": scores.flatten().tolist(), "labels": labels.tolist(), "classes": K,
        "top1": metrics.accuracy_score(labels, predicted), "top5": metrics.top_k_accuracy_score(labels, scores, k=5),
        "balanced": metrics.balanced_accuracy_score(labels, predicted), "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "auroc": metrics.roc_auc_score(labels, scores, multi_class="ovr"),
        "map": metrics.average_precision_score(label_binarize(labels, classes=range(K)), scores),
        "confusion": metrics.confusion_matrix(labels, predicted).tolist(),
    }


def labels():
    y = (values(4, N, 5) > np.array([0.2, 0.5, 0.8, 1.1, 1.4])).astype(int)
    p = 1 / (1 + np.exp(-(rounded(5, N, 5) + 2 * y - 1)))
    return {
        "probabilities": p.flatten().tolist(), "y": y.flatten().tolist(), "labels": 5,
        "ap": metrics.average_precision_score(y, p, average=None).tolist(), "auroc": metrics.roc_auc_score(y, p, average=None).tolist(),
        "f1": metrics.f1_score(y, p > 0.5, average=None).tolist(), "map": metrics.average_precision_score(y, p),
        "macro_auroc": metrics.roc_auc_score(y, p), "macro_f1": metrics.f1_score(y, p > 0.5, average="macro"),
        "micro_ap": metrics.average_precision_score(y, p, average="micro"), "micro_auroc": metrics.roc_auc_score(y, p, average="micro"),
        "micro_f1": metrics.f1_score(y, p > 0.5, average="micro"), "exact": metrics.accuracy_score(y, p > 0.5),
    }


def numbers():
    y = values(6, N, 2) * np.array([1, 30]) + np.array([0, 100])
    p = y + values(7, N, 2) * np.array([0.5, 40])
    return {
        "predicted": p.flatten().tolist(), "y": y.flatten().tolist(), "targets": 2, "mean_r2": metrics.r2_score(y, p),
        "r2": metrics.r2_score(y, p, multioutput="raw_values").tolist(),
        "mae": metrics.mean_absolute_error(y, p, multioutput="raw_values").tolist(),
        "rmse": metrics.root_mean_squared_error(y, p, multioutput="raw_values").tolist(),
    }


if __name__ == "__main__":
    save("eval/testdata/metrics.json", {"binary": binary(), "classes": classes(), "labels": labels(), "numbers": numbers()})
