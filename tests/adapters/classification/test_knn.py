import math
from typing import Any

import numpy as np
import torch

from adapters.batches import FilmFeatures
from adapters.classification.knn import NearestNeighbours
from adapters.fit import fit
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.features import Features
from raydino.readout import readout


def _vote(row: np.ndarray, rows: np.ndarray, truth: np.ndarray, k: int, temperature: float) -> float:
    """The rule of the docstring, film by film."""
    known = [i for i in range(len(rows)) if not math.isnan(truth[i])]
    cosine = {i: row @ rows[i] / np.linalg.norm(row) / np.linalg.norm(rows[i]) for i in known}
    nearest = sorted(known, key=lambda i: -cosine[i])[:k]
    weights = [math.exp(cosine[i] / temperature) for i in nearest]
    prior = float(np.mean([truth[i] for i in known]))
    yes = sum(w * truth[i] for w, i in zip(weights, nearest, strict=True)) + weights[-1] * prior
    return yes / (sum(weights) + weights[-1])


def test_votes_equal_a_loop_and_unknown_films_do_not_vote(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    config = config_of("classification_knn", k=[3, 7, 1000])
    adapter = NearestNeighbours(config, encoder.spec, dataset.label_names)
    ids = dataset.sample_ids("train")
    output = FilmFeatures(both_blocks, ids).read(torch.arange(len(ids)))
    rows = readout(output, "cls_mean")
    adapter.rows, adapter.truth = torch.nn.functional.normalize(rows, dim=1), adapter.targets(dataset, ids)
    asked = FilmFeatures(both_blocks, dataset.sample_ids("test")).read(torch.arange(4))
    found = adapter.logits_BHL(asked).double().sigmoid().numpy()
    for film, row in enumerate(readout(asked, "cls_mean").double().numpy()):
        for place, k in enumerate(config.recipe.k):
            for label in range(len(dataset.label_names)):
                truth = adapter.truth[:, label].double().numpy()
                expected = _vote(row, rows.double().numpy(), truth, k, config.recipe.temperature)
                assert abs(found[film, place, label] - expected) < 1e-4


def test_k_is_chosen_on_validation_and_no_probability_is_0_or_1(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    fitted = fit(config_of("classification_knn", k=[1, 10]), encoder, dataset, both_blocks)
    assert fitted.metrics["k"] == 10
    assert fitted.adapter.config.recipe.k == (10,)
    one = fit(config_of("classification_knn", k=[1]), encoder, dataset, both_blocks)
    assert one.metrics["loss"] > fitted.metrics["loss"]
    assert np.isfinite(one.metrics["loss"])
