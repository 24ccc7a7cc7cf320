import pytest
import torch
from pydantic import ValidationError

from adapters.segmentation.losses import MaskLoss, mask_losses


def _terms(logits: torch.Tensor, truth: torch.Tensor, gamma: float) -> dict[str, torch.Tensor]:
    """Each loss by its formula in float64, mask by mask."""
    p, t = logits.double().sigmoid(), truth.double()
    likelihood = torch.where(t == 1, p, 1 - p)
    sums = (p * t).sum((1, 2)), p.sum((1, 2)) + t.sum((1, 2))
    return {
        "dice": 1 - (2 * sums[0] + 1e-5) / (sums[1] + 1e-5),
        "cross_entropy": -likelihood.log().mean((1, 2)),
        "focal": -((1 - likelihood) ** gamma * likelihood.log()).mean((1, 2)),
    }


@pytest.mark.parametrize("fill", ["random", "empty", "full", "pixel"])
def test_each_term_is_its_formula_and_terms_add_up(fill: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 9, 7, generator=generator)
    truth = (torch.rand(4, 9, 7, generator=generator) < 0.3).float()
    if fill != "random":
        truth[:] = float(fill == "full")
    if fill == "pixel":
        truth[:, 4, 3] = 1
    expected = _terms(logits, truth, gamma=1.5)
    for name, value in expected.items():
        alone = MaskLoss(**{"dice": 0, "cross_entropy": 0, "focal": 0, "focal_gamma": 1.5, name: 2})
        torch.testing.assert_close(mask_losses(logits, truth, alone).double(), 2 * value, rtol=1e-4, atol=1e-6)
    weights = MaskLoss(dice=1, cross_entropy=0.5, focal=3, focal_gamma=1.5)
    total = expected["dice"] + 0.5 * expected["cross_entropy"] + 3 * expected["focal"]
    torch.testing.assert_close(mask_losses(logits, truth, weights).double(), total, rtol=1e-4, atol=1e-5)


def test_a_loss_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one of dice, cross_entropy and focal"):
        MaskLoss(dice=0, cross_entropy=0)
