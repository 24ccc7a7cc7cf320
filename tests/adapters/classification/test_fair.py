"""The head of the reductions against fairlearn called directly."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from fairlearn.reductions import EqualizedOdds, ErrorRate, ExponentiatedGradient, TruePositiveRateParity
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from adapters.batches import FilmFeatures
from adapters.classification.fair import FairRecipe, linear_of, mixed_logit, reduced
from adapters.classification.logistic import TOLERANCE, Films
from adapters.fit import fit
from adapters.groups import group_of
from adapters.readouts import gather
from adapters.targets import films_of
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.features import Features


def _probability(model: ExponentiatedGradient, rows: np.ndarray) -> np.ndarray:
    drawn = model.weights_[model.weights_ > 0]
    return sum(share * model.predictors_[k].predict_proba(rows)[:, 1] for k, share in drawn.items())


def test_the_head_equals_a_direct_call_of_fairlearn(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    fitted = fit(
        config_of("classification_fair", C=[0.01], min_patients=1, labels=["Cardiomegaly", "No Finding"]),
        encoder,
        dataset,
        both_blocks,
    )
    adapter = fitted.adapter
    ids = {split: films_of(dataset, split, ["PA", "AP", "UNKNOWN"]) for split in ("train", "test")}
    found = {split: gather(FilmFeatures(both_blocks, ids[split]), "cls_mean") for split in ids}
    rows = {split: adapter.standardise(found[split]).double().numpy() for split in ids}
    logits = adapter.logits_of(FilmFeatures(both_blocks, ids["test"]))
    sex = group_of(["sex"], dataset, ids["train"]).astype(str)
    compared = 0
    for column, label in enumerate(adapter.labels):
        truth = dataset.labels.loc[ids["train"], label].to_numpy(float)
        known = np.isfinite(truth)
        if set(fitted.metrics["groups"][label]) != set(sex[known]):
            continue  # a sex that has one class only was pooled
        pi = truth[known].mean()
        model = ExponentiatedGradient(
            LogisticRegression(C=0.01, max_iter=200, tol=TOLERANCE),
            EqualizedOdds(difference_bound=0.05),
            objective=ErrorRate(costs={"fp": pi, "fn": 1 - pi}),
            max_iter=6,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows["train"][known], truth[known].astype(int), sensitive_features=sex[known])
        expected = _probability(model, rows["test"])
        assert 1 / (1 + np.exp(-logits[:, column])) == pytest.approx(expected, abs=1e-4)
        compared += 1
    assert compared > 0


def _biased(n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A group whose positives lie where the other's negatives lie."""
    rng = np.random.default_rng(0)
    group, truth = rng.integers(0, 2, n), rng.integers(0, 2, n).astype(float)
    shifted = truth * 2 - 1.5 * group
    return np.stack([shifted, group], axis=1) + rng.normal(size=(n, 2)) * [1, 0.5], truth, group


def _films(rows: np.ndarray, truth: np.ndarray) -> Films:
    return Films(rows, truth, np.ones(len(truth)))


def _recipe(**changed: Any) -> FairRecipe:
    values = {"seed": 0, "views": ["PA"], "labels": "all", "readout": "cls", "C": [1.0], "max_iterations": 500}
    values |= {"by": ["sex"], "min_patients": 1, "constraint": "true_positive_rate_parity", "difference": 0.02}
    return FairRecipe.model_validate(values | {"rounds": 30} | changed)


def test_drawn_calls_meet_the_constraint_that_plain_regression_breaks() -> None:
    rows, truth, group = _biased()
    rows = rows[:, :1]  # the group is not to be seen
    weight, bias, share = reduced(_films(rows, truth), group, 1.0, _recipe())
    calls = (rows @ weight.T + bias > 0) @ share  # chance that a film is called

    def sensitivities(called: np.ndarray) -> list[float]:
        return [float(called[(truth == 1) & (group == g)].mean()) for g in (0, 1)]

    plain = sensitivities(LogisticRegression().fit(rows, truth).predict(rows))
    fair = sensitivities(calls)
    assert plain[0] - plain[1] > 0.3
    assert abs(fair[0] - fair[1]) < 0.06
    assert share.sum() == pytest.approx(1.0)


def test_order_changes_nothing_and_calls_are_fairlearns_own() -> None:
    rows, truth, group = _biased()
    model = ExponentiatedGradient(
        LogisticRegression(C=1.0, max_iter=500, tol=TOLERANCE),
        TruePositiveRateParity(difference_bound=0.02),
        objective=ErrorRate(costs={"fp": truth.mean(), "fn": 1 - truth.mean()}),
        max_iter=30,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, truth.astype(int), sensitive_features=group)
    order = np.random.default_rng(1).permutation(len(rows))
    for index in (np.arange(len(rows)), order):
        weight, bias, share = reduced(_films(rows[index], truth[index]), group[index], 1.0, _recipe())
        calls = (rows @ weight.T + bias > 0) @ share
        assert calls == pytest.approx(model._pmf_predict(rows)[:, 1], abs=1e-3)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_member_that_says_the_same_of_every_film_is_a_bias(constant: int) -> None:
    model = DummyClassifier(strategy="constant", constant=constant).fit(np.zeros((2, 3)), [0, 1])
    weight, bias = linear_of(model, 3)
    assert weight.tolist() == [0.0] * 3
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(constant, abs=1e-9)


def test_the_mixture_is_a_mean_of_probabilities_without_overflow() -> None:
    logits = torch.tensor([[[0.3], [-2.0], [9.0]], [[-400.0], [-300.0], [500.0]]], dtype=torch.float64)
    share = torch.tensor([[0.25], [0.75], [0.0]], dtype=torch.float64)
    expected = 0.25 * torch.sigmoid(logits[0, 0]) + 0.75 * torch.sigmoid(logits[0, 1])
    torch.testing.assert_close(torch.sigmoid(mixed_logit(logits, share))[0], expected)
    assert float(mixed_logit(logits, share)[1]) == pytest.approx(-300 + np.log(0.75))
