"""Golden numbers of the evaluation: k-NN and linear probes of scikit-learn, the AdamW probe of PyTorch, ranks by NumPy's SVD.

Writes eval/testdata/golden.json.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from common import save, values

torch.set_num_threads(1)

PATTERNS = {"four": [0, 1, 1, 2, 3, 3, 3, 0, 2, 1, 3], "two": [0, 1, 1, 0, 1]}


def features(seed: int, n: int, d: int, pattern: list[int]):
    """Classes around centres, features of different sizes and offsets, the last one constant."""
    labels = np.array([pattern[i % len(pattern)] for i in range(n)])
    centres = 0.8 * values(7, max(pattern) + 1, d)
    size = np.array([(0.1, 1.0, 10.0)[j % 3] for j in range(d)])
    x = (values(seed, n, d) + centres[labels]) * size + np.arange(d)
    x[:, -1] = 3
    return x.astype(np.float32).astype(np.float64), labels


def scores(predicted, labels):
    return {
        "predicted": predicted.tolist(),
        "top1": accuracy_score(labels, predicted),
        "balanced": balanced_accuracy_score(labels, predicted),
    }


def knn(train, test, k, temperature):
    x, y = train
    model = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / temperature))
    model.fit(x, y)
    _, near = model.kneighbors(test[0][:5])
    p, is_class = model.predict_proba(test[0]), np.eye(y.max() + 1)[test[1]]  # indicators, of two classes too
    return {"k": k, "temperature": temperature, "neighbours": near.tolist(), "auroc": roc_auc_score(is_class, p), "map": average_precision_score(is_class, p), **scores(model.predict(test[0]), test[1])}


def linear(train, test, l2, balanced=False):
    x, y = train
    scaler = StandardScaler().fit(x)
    two = 2 if y.max() == 1 else 1  # scikit-learn has one vector of weights for two classes
    model = LogisticRegression(C=two / (l2 * len(x)), tol=1e-10, max_iter=10_000, class_weight="balanced" if balanced else None)
    model.fit(scaler.transform(x), y)
    return {
        "l2": l2, "weighted": balanced, "log_probability": model.predict_log_proba(scaler.transform(test[0])).flatten().tolist(),
        **scores(model.predict(scaler.transform(test[0])), test[1]),
    }


def adamw(train, test, steps, lr, decay):
    def scaled(x):
        return torch.nn.functional.layer_norm(torch.tensor(x), x.shape[1:])

    x, y = scaled(train[0]), torch.tensor(train[1])
    layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    groups = [{"params": [layer.weight], "weight_decay": decay}, {"params": [layer.bias], "weight_decay": 0.0}]
    opt = torch.optim.AdamW(groups, lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: (1 + np.cos(np.pi * i / steps)) / 2)
    for _ in range(steps):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(layer(x), y).backward()
        opt.step()
        schedule.step()
    with torch.no_grad():
        predicted = layer(scaled(test[0])).argmax(1).numpy()
        loss = torch.nn.functional.cross_entropy(layer(x), y).item()
    return {
        "steps": steps, "lr": lr, "decay": decay, "loss": loss, "weight": layer.weight.detach().flatten().tolist(),
        "bias": layer.bias.detach().tolist(), **scores(predicted, test[1]),
    }


def rank(x):
    """RankMe as in arXiv 2210.02885, and the participation ratio of the covariance."""
    singular = np.linalg.svd(x, compute_uv=False)
    p = singular / singular.sum() + 1e-7
    variance = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    return {"samples": len(x), "rankme": np.exp(-(p * np.log(p)).sum()), "participation": variance.sum() ** 2 / (variance**2).sum()}


def case(name, pattern):
    n, m, d = 220, 70, 8
    train, test = features(1, n, d, pattern), features(2, m, d, pattern)
    return {
        "name": name, "pattern": pattern, "train": n, "test": m, "features": d,
        "knn": [knn(train, test, k, t) for k, t in [(1, 0.07), (5, 0.07), (20, 0.07), (20, 0.002), (220, 1.0)]],
        "linear": [linear(train, test, l2, balanced) for balanced in (False, True) for l2 in (1.0, 1e-1, 1e-2, 1e-3)],
        "rank": [rank(train[0]), rank(test[0][:5])],
        "adamw": [adamw(train, test, 40, 1e-2, decay) for decay in (1e-6, 0.5)],
    }


if __name__ == "__main__":
    save("eval/testdata/golden.json", [case(*p) for p in PATTERNS.items()])
