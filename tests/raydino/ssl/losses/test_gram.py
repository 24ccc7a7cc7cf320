"""Gram anchoring against loops over pairs of patches, and when its teacher is taken."""

import pytest
import torch

from raydino.ssl.losses.gram import GramConfig, gram_loss


def patches(seed: int, dim: int = 5) -> torch.Tensor:
    return torch.randn(2, 2, 3, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_equals_loops_over_pairs():
    student, teacher = patches(0), patches(1, dim=7)  # widths may differ: only similarities are compared
    expected = 0.0
    for one, other in zip(student.flatten(1, 2), teacher.flatten(1, 2), strict=True):
        for i in range(6):
            for j in range(6):
                ours = float(one[i] @ one[j] / one[i].norm() / one[j].norm())
                theirs = float(other[i] @ other[j] / other[i].norm() / other[j].norm())
                expected += (ours - theirs) ** 2 / 36 / 2
    assert float(gram_loss(student, teacher)) == pytest.approx(expected, abs=1e-14)


def test_rotations_and_lengths_of_features_cost_nothing():
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))[0]
    assert float(gram_loss(3.0 * patches(0) @ rotation, patches(0))) == pytest.approx(0.0, abs=1e-28)


def test_no_gradient_to_the_gram_teacher():
    student, teacher = patches(0).requires_grad_(), patches(1).requires_grad_()
    gram_loss(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_autocast_does_not_round_it():
    student, teacher = patches(0).float(), patches(1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gram_loss(student, teacher)
    assert torch.equal(inside, gram_loss(student, teacher))


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        (GramConfig(), [0]),
        (GramConfig(start_step=3), [3]),
        (GramConfig(path="runs/early"), []),
        (GramConfig(start_step=3, refresh_every_steps=4), [3, 7, 11, 15, 19]),
        (GramConfig(start_step=3, refresh_every_steps=4, max_refreshes=2), [3, 7, 11]),
        (GramConfig(path="runs/early", start_step=3, refresh_every_steps=4, max_refreshes=1), [7]),
    ],
)
def test_when_the_teacher_is_taken(config, steps):
    assert [step for step in range(20) if config.takes_teacher_at(step)] == steps
