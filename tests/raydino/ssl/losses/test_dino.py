"""The DINO loss against a loop over pairs of crops, in float64."""

import torch

from raydino.ssl.losses.dino import cross_entropy, dino_loss


def distributions(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).softmax(dim=-1)


def test_cross_entropy_of_one_pair():
    target, scores = torch.tensor([0.25, 0.75]).double(), torch.tensor([0.1, 0.2]).double()
    z = torch.exp(torch.tensor(1.0)).double() + torch.exp(torch.tensor(2.0)).double()
    expected = -(0.25 * (1.0 - z.log()) + 0.75 * (2.0 - z.log()))
    torch.testing.assert_close(cross_entropy(target, scores), expected)


def test_weights_of_dinov2s_code():
    """G = 2 globals and L = 8 locals: 18 terms; global pairs only A→B and B→A, counted as papers.md 1.1 says."""
    n_locals, n_films, k = 8, 3, 5
    targets = distributions(2, n_films, k, seed=0)
    globals_ = torch.randn(2, n_films, k, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    locals_ = torch.randn(n_locals, n_films, k, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def pair(target, scores):
        return -(target * (scores / 0.1).log_softmax(-1)).sum(-1).mean()

    expected_local = sum(pair(targets[t], locals_[s]) for t in range(2) for s in range(n_locals)) / 18
    expected_global = (pair(targets[0], globals_[1]) + pair(targets[1], globals_[0])) / 2 * 2 / 18
    got_global, got_local = dino_loss(targets, globals_, locals_)
    torch.testing.assert_close(got_local, expected_local)
    torch.testing.assert_close(got_global, expected_global)


def test_no_local_crops():
    targets = distributions(2, 3, 5, seed=0)
    scores = torch.zeros(2, 3, 5, dtype=torch.float64)
    got_global, got_local = dino_loss(targets, scores, scores[:0])
    assert got_local == 0
    torch.testing.assert_close(got_global, torch.tensor(5.0).double().log())  # uniform student: ln K
