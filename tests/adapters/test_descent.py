import pytest
import torch

from adapters.descent import NEGLIGIBLE, without_negligible_gradients


def test_gradients_that_the_optimiser_does_not_see_become_zero_and_no_other() -> None:
    gradient = torch.tensor([0.0, 1e-40, -1e-40, NEGLIGIBLE / 2, 2 * NEGLIGIBLE, -0.3, float("nan")])
    logits = torch.zeros(7, requires_grad=True)
    passed = without_negligible_gradients(2 * logits)
    passed.backward(gradient)
    expected = 2 * torch.tensor([0.0, 0.0, 0.0, 0.0, 2 * NEGLIGIBLE, -0.3, float("nan")])
    torch.testing.assert_close(logits.grad, expected, rtol=1e-6, atol=0, equal_nan=True)
    assert not without_negligible_gradients(torch.zeros(2)).requires_grad


@pytest.mark.parametrize("passes", [True, False])
def test_a_head_that_separates_its_films_has_no_subnormal_gradient_nor_square_of_one(passes: bool) -> None:
    features = -torch.arange(30.0, 110.0)  # weight 1: residuals from 1e-13 down to 0
    weight = torch.ones(1, 80, requires_grad=True)
    optimiser = torch.optim.AdamW([weight], lr=1e-3)
    logits = features * weight
    passed = without_negligible_gradients(logits) if passes else logits
    torch.nn.functional.binary_cross_entropy_with_logits(passed, torch.zeros(1, 80)).backward()
    optimiser.step()
    tiny = torch.finfo(torch.float32).tiny
    normal = [((n == 0) | (n.abs() >= tiny)).all() for n in (weight.grad, optimiser.state[weight]["exp_avg_sq"])]
    assert all(normal) == passes
