"""Golden numbers of retrieval by cosine similarity: scikit-learn's average precision of each query, recall by NumPy's sort.

Writes eval/testdata/retrieval.json.
"""

import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from common import save
from eval import PATTERNS, features

KS = [1, 3, 10]


def measure(gallery, queries, leave_one_out):
    similarity, precisions, ranks = cosine_similarity(queries[0], gallery[0]), [], []
    for i, row in enumerate(similarity):
        others = np.arange(len(row)) != i if leave_one_out else np.ones(len(row), bool)
        is_class, row = gallery[1][others] == queries[1][i], row[others]
        precisions.append(average_precision_score(is_class, row))
        ranks.append(is_class[np.argsort(-row, kind="stable")].argmax() + 1)
    return {"map": np.mean(precisions), "recall": [np.mean(np.array(ranks) <= k) for k in KS]}


def case(pattern):
    train, test = features(1, 220, 8, pattern), features(2, 70, 8, pattern)
    return {"ks": KS, "gallery": measure(train, test, False), "alone": measure(test, test, True)}


if __name__ == "__main__":
    save("eval/testdata/retrieval.json", {name: case(pattern) for name, pattern in PATTERNS.items()})
