"""The k-NN probe against a loop, and its unknown labels."""

import numpy as np
import pytest

from raydino.train.probe import knn_scores, macro_auroc


def test_equals_a_loop():
    rng = np.random.default_rng(0)
    train, query = rng.normal(size=(30, 5)), rng.normal(size=(7, 5))
    labels = rng.integers(0, 2, (30, 3)).astype(float)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    got = knn_scores(train, labels, query, k=6)
    for row, q in enumerate(query):
        similarity = [float(q @ t / np.linalg.norm(q) / np.linalg.norm(t)) for t in train]
        nearest = sorted(range(30), key=lambda i: -similarity[i])[:6]
        for column in range(3):
            votes = [(np.exp(similarity[i] / 0.07), labels[i, column]) for i in nearest]
            known = [(w, y) for w, y in votes if not np.isnan(y)]
            expected = sum(w * y for w, y in known) / sum(w for w, _ in known) if known else 0.5
            assert got[row, column] == pytest.approx(expected)


def test_macro_auroc_leaves_out_labels_of_one_class():
    labels = np.array([[0, 1, np.nan], [1, 1, 0], [1, 1, np.nan], [0, 1, 1]], float)
    scores = np.array([[0.1, 0.5, 0.9], [0.8, 0.5, 0.2], [0.05, 0.5, 0.9], [0.06, 0.5, 0.8]])
    assert macro_auroc(labels, scores) == pytest.approx((0.5 + 1.0) / 2)
    assert np.isnan(macro_auroc(labels[:, 1:2], scores[:, 1:2]))
