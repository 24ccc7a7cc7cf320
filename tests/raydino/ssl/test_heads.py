"""The projection head scores unit vectors against unit prototypes."""

import torch

from raydino.ssl.heads import ProjectionHead


def head() -> ProjectionHead:
    made = ProjectionHead(8, hidden_dim=16, bottleneck_dim=4, n_prototypes=10)
    return made.initialise(torch.Generator().manual_seed(0)).double()


def test_scores_are_cosines():
    x = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    made = head()
    hidden = torch.nn.functional.gelu(made.mlp[0](x))
    hidden = torch.nn.functional.gelu(made.mlp[2](hidden))
    bottleneck = made.mlp[4](hidden)
    expected = torch.empty(5, 10, dtype=torch.float64)
    for row in range(5):
        for column in range(10):
            prototype = made.prototypes.weight[column]
            expected[row, column] = bottleneck[row] @ prototype / bottleneck[row].norm() / prototype.norm()
    torch.testing.assert_close(made(x), expected, atol=1e-12, rtol=0)


def test_the_length_of_a_prototype_changes_nothing():
    x = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    made = head()
    before = made(x)
    with torch.no_grad():
        made.prototypes.weight *= 7.0
    torch.testing.assert_close(made(x), before)


def test_same_seed_same_weights():
    for one, other in zip(head().parameters(), head().parameters(), strict=True):
        assert torch.equal(one, other)
