"""Each loss against a loop written from its paper, in float64, on logits that overflow a naive formula too."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from adapters.classification.losses import Loss

UNKNOWN = math.nan
LOSS: TypeAdapter[Any] = TypeAdapter(Loss)


def _p(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def bce(z: float, y: float, prevalence: float) -> float:
    return -math.log(_p(z) if y else 1 - _p(z))


def weighted(z: float, y: float, prevalence: float) -> float:
    return bce(z, y, prevalence) * ((1 - prevalence) / prevalence if y else 1)


def focal(z: float, y: float, prevalence: float) -> float:
    p_t, alpha_t = (_p(z), 0.25) if y else (1 - _p(z), 0.75)
    return -alpha_t * (1 - p_t) ** 2 * math.log(p_t)


def asymmetric(z: float, y: float, prevalence: float) -> float:
    if y:
        return -((1 - _p(z)) ** 1.0) * math.log(_p(z))
    q = max(_p(z) - 0.05, 0)
    return -(q**4) * math.log(1 - q)


CASES = [
    ({"kind": "bce"}, bce),
    ({"kind": "weighted_bce"}, weighted),
    ({"kind": "focal"}, focal),
    ({"kind": "asymmetric", "gamma_positive": 1.0}, asymmetric),
]


@pytest.mark.parametrize(("values", "reference"), CASES, ids=lambda v: v["kind"] if isinstance(v, dict) else "")
def test_a_loss_equals_its_formula_and_leaves_unknown_out(values: dict[str, Any], reference: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 2, 3, generator=generator, dtype=torch.float64) * 3
    target = torch.randint(0, 2, (6, 3), generator=generator).double()
    target[0], target[1, 2] = UNKNOWN, UNKNOWN
    prevalence = torch.tensor([0.5, 0.1, 0.02], dtype=torch.float64)
    found = LOSS.validate_python(values)(logits, target, prevalence)
    for film in range(6):
        for head in range(2):
            for label in range(3):
                z, y = float(logits[film, head, label]), float(target[film, label])
                expected = 0.0 if math.isnan(y) else reference(z, y, float(prevalence[label]))
                assert float(found[film, head, label]) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    "values",
    [
        *(case[0] for case in CASES),
        {"kind": "focal", "gamma": 0.5},
        {"kind": "asymmetric", "margin": 0.0, "gamma_negative": 0.5},
    ],
)
def test_far_logits_give_finite_losses_and_slopes(values: dict[str, Any]) -> None:
    logits = torch.tensor([-300.0, -90.0, 0.0, 90.0, 300.0]).repeat(2, 1).view(2, 5, 1).requires_grad_()
    target = torch.tensor([[1.0], [0.0]])
    found = LOSS.validate_python(values)(logits, target, torch.tensor([0.1]))
    found.sum().backward()
    assert found.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_loss_that_is_not_there_or_has_a_foreign_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="bce"):
        LOSS.validate_python({"kind": "hinge"})
    with pytest.raises(ValidationError):
        LOSS.validate_python({"kind": "bce", "gamma": 2.0})
