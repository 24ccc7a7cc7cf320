from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from adapters.batches import FilmFeatures
from adapters.fit import fit
from adapters.groups import group_of
from adapters.readouts import gather
from adapters.targets import films_of
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.features import Features


def test_each_label_is_scikit_learns_regression_at_its_best_c(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    grid = [1e-4, 1e-2, 1.0]
    fitted = fit(config_of("classification_logistic", C=grid, max_iterations=2000), encoder, dataset, both_blocks)
    assert fitted.metrics["n_unfinished"] == 0
    ids = {split: films_of(dataset, split, ["PA", "AP", "UNKNOWN"]) for split in ("train", "val")}
    found = {split: gather(FilmFeatures(both_blocks, ids[split]), "cls_mean") for split in ids}
    rows = {split: fitted.adapter.standardise(found[split]).double().numpy() for split in ids}
    for column, label in enumerate(fitted.adapter.labels):
        truth = {split: dataset.labels.loc[ids[split], label].to_numpy(float) for split in ids}
        known = {split: np.isfinite(truth[split]) for split in ids}
        losses, models = [], []
        for C in grid:
            model = LogisticRegression(C=C, max_iter=5000, tol=1e-8)
            models.append(model.fit(rows["train"][known["train"]], truth["train"][known["train"]]))
            p = model.predict_proba(rows["val"][known["val"]])[:, 1]
            losses.append(log_loss(truth["val"][known["val"]], p))
        best = int(np.argmin(losses))
        assert fitted.metrics["C"][label] == grid[best]
        logits = fitted.adapter.logits_of(FilmFeatures(both_blocks, ids["val"]))[:, column]
        expected = models[best].decision_function(rows["val"])
        assert logits == pytest.approx(expected, rel=1e-2, abs=1e-2)


def test_reweighed_regression_is_scikit_learns_with_sample_weights(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    objective = {"kind": "reweighing", "by": ["age>=50"], "min_patients": 1, "weights": "independent"}
    config = config_of("classification_logistic", C=[0.01], max_iterations=2000, objective=objective)
    fitted = fit(config, encoder, dataset, both_blocks)
    ids = films_of(dataset, "train", ["PA", "AP", "UNKNOWN"])
    rows = fitted.adapter.standardise(gather(FilmFeatures(both_blocks, ids), "cls_mean")).double().numpy()
    for column, label in enumerate(fitted.adapter.labels):
        truth = dataset.labels.loc[ids, label].to_numpy(float)
        known = np.isfinite(truth)
        group, y = group_of(["age>=50"], dataset, ids)[known], truth[known]
        p_cell = np.array([np.mean((group == g) & (y == t)) for g, t in zip(group, y, strict=True)])
        weight = np.array([np.mean(group == g) * np.mean(y == t) for g, t in zip(group, y, strict=True)]) / p_cell
        assert weight.std() > 0
        model = LogisticRegression(C=0.01, max_iter=5000, tol=1e-8).fit(rows[known], y, weight)
        logits = fitted.adapter.logits_of(FilmFeatures(both_blocks, ids))[:, column]
        assert logits == pytest.approx(model.decision_function(rows), rel=1e-2, abs=1e-2)
        assert set(fitted.metrics["groups"][label]) == set(group)


def test_a_solver_that_is_cut_short_says_so(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    fitted = fit(config_of("classification_logistic", C=[1e4], max_iterations=1), encoder, dataset, both_blocks)
    assert fitted.metrics["n_unfinished"] == len(fitted.adapter.labels)
