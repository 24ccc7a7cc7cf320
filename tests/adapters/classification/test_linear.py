from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from adapters.batches import FilmFeatures
from adapters.classification.linear import LinearClassifier, LinearConfig
from adapters.fit import fit
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder, EncoderOutput
from raydino.features import Features
from raydino.readout import readout, readout_width


def test_readouts() -> None:
    patches = torch.arange(2 * 6 * 6 * 3.0).view(2, 6, 6, 3)
    output = EncoderOutput(torch.full((2, 3), -1.0), torch.zeros(2, 0, 3), patches)
    assert readout(output, "cls").tolist() == [[-1.0] * 3] * 2
    torch.testing.assert_close(readout(output, "cls_mean")[:, 3:], patches.mean((1, 2)))
    grid = readout(output, "grid_3").view(2, 3, 3, 3)  # [B, D, row, column]
    torch.testing.assert_close(grid[1, :, 0, 2], patches[1, :2, 4:].mean((0, 1)))
    assert [readout_width(kind, 3) for kind in ("cls", "cls_mean", "grid_3", "grid_12")] == [3, 6, 27, 432]


def test_the_objective_is_penalised_logistic_regression(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    """Against scikit-learn, whose objective Σ loss + ‖w‖² / 2C is ours times the number of films."""
    l2 = 0.3
    classification_values["recipe"] |= {"l2": [l2], "readout": "cls_mean"}
    config = LinearConfig.model_validate(classification_values)
    adapter = LinearClassifier(config, encoder.spec, ["Cardiomegaly"])
    target = dataset.labels["Cardiomegaly"].dropna()
    films = FilmFeatures(features, list(target.index))
    output, truth = films.read(torch.arange(len(films))), torch.from_numpy(target.to_numpy(np.float32))[:, None]
    adapter.observe(films, truth)
    optimiser = torch.optim.LBFGS(
        adapter.parameters(), max_iter=500, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def objective() -> torch.Tensor:
        optimiser.zero_grad()
        value = (adapter.loss(output, truth).sum(2).mean(0) + adapter.penalty()).sum()
        value.backward()
        return value

    optimiser.step(objective)
    rows = adapter.heads.standardise(readout(output, "cls_mean")).numpy()
    reference = LogisticRegression(C=1 / (l2 * len(target)), tol=1e-8, max_iter=5000).fit(rows, target.to_numpy())
    expected = torch.from_numpy(reference.decision_function(rows)).float()
    torch.testing.assert_close(adapter(output).detach()[:, 0], expected, atol=5e-3, rtol=0)


def test_unknown_labels_add_no_loss_and_no_gradient(classification_values: dict[str, Any], encoder: Encoder) -> None:
    adapter = LinearClassifier(LinearConfig.model_validate(classification_values), encoder.spec, ["a", "b"])
    output = encoder(torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    target = torch.tensor([[1.0, float("nan")], [0.0, float("nan")], [float("nan"), float("nan")]])
    loss = adapter.loss(output, target)
    assert loss.shape == (3, 2, 2)  # films, penalties, labels
    torch.testing.assert_close(loss.sum(2), torch.tensor([[1.0], [1.0], [0.0]]).expand(3, 2) * np.log(2))
    loss.sum().backward()
    assert adapter.heads.weight.grad is not None
    assert bool((adapter.heads.weight.grad[:, :, 1] == 0).all())
    assert bool((adapter.heads.weight.grad[:, :, 0] != 0).any())


def test_heads_trained_together_equal_heads_trained_alone(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    def fitted(l2: list[float]) -> Any:
        values = {**classification_values, "recipe": classification_values["recipe"] | {"l2": l2, "patience": 99}}
        return fit(LinearConfig.model_validate(values), encoder, dataset, features)

    alone, together = fitted([0.03]), fitted([0.03, 1e6])
    assert together.metrics["head"] == 0
    torch.testing.assert_close(together.adapter.heads.weight, alone.adapter.heads.weight, rtol=1e-4, atol=1e-6)


def test_probability_logits_and_decision_agree(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    fitted = fit(LinearConfig.model_validate(classification_values), encoder, dataset, features)
    findings = fitted.adapter.predict(FilmFeatures(features, dataset.sample_ids("test")).read(torch.arange(8)))
    assert findings.logits.shape == (8, len(fitted.adapter.labels))
    torch.testing.assert_close(findings.probability, 1 / (1 + torch.exp(-findings.logits)))
    for column, label in enumerate(fitted.adapter.labels):
        point = fitted.adapter.thresholds[label]
        expected = findings.probability[:, column] >= (torch.inf if point is None else point)
        assert findings.decision[:, column].tolist() == expected.tolist()
    assert any(point is not None for point in fitted.adapter.thresholds.values())
    assert fitted.metrics["overall"]["auroc"] > 0.8
    assert fitted.metrics["headline"] == pytest.approx(fitted.metrics["overall"]["auroc"])
