"""Sinkhorn-Knopp against plain loops over rows and columns, and its limits."""

import math

import pytest
import torch

from raydino.ssl.sinkhorn import sinkhorn_knopp


def by_hand(scores: list[list[float]], temperature: float, n_iterations: int) -> list[list[float]]:
    """The paper's description, element by element."""
    n, k = len(scores), len(scores[0])
    q = [[math.exp(s / temperature) for s in row] for row in scores]
    for _ in range(n_iterations):
        columns = [sum(q[i][j] for i in range(n)) for j in range(k)]
        q = [[q[i][j] / columns[j] / k for j in range(k)] for i in range(n)]
        rows = [sum(row) for row in q]
        q = [[q[i][j] / rows[i] / n for j in range(k)] for i in range(n)]
    return [[value * n for value in row] for row in q]


def test_equals_loops():
    scores = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.tensor(by_hand(scores.tolist(), 0.3, 3), dtype=torch.float64)
    torch.testing.assert_close(sinkhorn_knopp(scores, 0.3), expected, atol=1e-12, rtol=0)


def test_many_iterations_share_the_batch_among_prototypes():
    scores = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    targets = sinkhorn_knopp(scores, 0.5, n_iterations=200)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(targets.sum(dim=0), torch.full((4,), 3.0, dtype=torch.float64))


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_large_scores_do_not_overflow(shift):
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0]]) + shift
    targets = sinkhorn_knopp(scores, 0.01)
    assert torch.isfinite(targets).all()
    torch.testing.assert_close(targets, torch.eye(2), atol=1e-6, rtol=0)


def test_rows_of_many_prototypes_sum_to_one_in_float32():
    scores = torch.randn(8, 65536, generator=torch.Generator().manual_seed(2)).clamp(-3, 3) / 3
    exact = sinkhorn_knopp(scores.double(), 0.04)
    targets = sinkhorn_knopp(scores, 0.04)
    torch.testing.assert_close(targets.double().sum(dim=1), torch.ones(8, dtype=torch.float64), atol=2e-6, rtol=0)
    torch.testing.assert_close(targets.double(), exact, atol=1e-7, rtol=1e-3)


def test_autocast_does_not_round_it():
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = sinkhorn_knopp(scores, 0.1)
    assert torch.equal(inside, sinkhorn_knopp(scores, 0.1))


def test_no_samples():
    assert sinkhorn_knopp(torch.empty(0, 4), 0.1).shape == (0, 4)
