"""Entropy and use of prototypes against loops in float64, and what Sinkhorn does to them."""

import math

import pytest
import torch

from raydino.ssl.assignments import prototypes_used, target_entropy
from raydino.ssl.sinkhorn import sinkhorn_knopp


def test_equal_loops():
    scores = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = (scores / 0.3).softmax(dim=1)
    entropies = [-sum(float(p) * math.log(float(p)) for p in row) for row in targets]
    assert float(target_entropy(targets)) == pytest.approx(sum(entropies) / 9, rel=1e-12)
    mean = [sum(float(row[k]) for row in targets) / 9 for k in range(5)]
    perplexity = math.exp(-sum(p * math.log(p) for p in mean))
    assert float(prototypes_used(scores, 0.3)) == pytest.approx(perplexity / 5, rel=1e-12)


def test_extremes():
    one = torch.zeros(6, 8).index_fill(1, torch.tensor([3]), 1.0)
    assert float(target_entropy(one)) == 0
    assert float(prototypes_used(one, 0.001)) == pytest.approx(1 / 8)
    assert float(prototypes_used(torch.zeros(6, 8), 0.1)) == pytest.approx(1)
    assert float(target_entropy(torch.full((6, 8), 1 / 8))) == pytest.approx(math.log(8))


def test_sinkhorn_hides_a_point_and_bounds_the_entropy():
    """Identical scores become uniform targets; N rows over K > N prototypes keep an entropy of about ln(K / N)."""
    row = torch.randn(1, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert float(target_entropy(sinkhorn_knopp(row.expand(16, 64), 0.05))) == pytest.approx(math.log(64))
    sharp = torch.rand(16, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    targets = sinkhorn_knopp(sharp, 0.01, n_iterations=500)
    assert float(target_entropy(sharp.div(0.01).softmax(dim=1))) < math.log(64 / 16)
    assert float(target_entropy(targets)) > math.log(64 / 16) - 0.01
