from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from adapters.base import Adapter
from adapters.batches import FilmFeatures
from adapters.fit import Fitted, fit
from adapters.registry import ADAPTERS
from adapters.targets import UNKNOWN
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder, EncoderOutput
from raydino.features import Features


@pytest.fixture(params=["segmentation_linear", "segmentation_conv"])
def values(request: pytest.FixtureRequest, segmentation_values: dict[str, Any]) -> dict[str, Any]:
    segmentation_values["kind"] = request.param
    if request.param == "segmentation_linear":
        del segmentation_values["recipe"]["width"], segmentation_values["recipe"]["detail"]
    return segmentation_values


def _begin(values: dict[str, Any], encoder: Encoder, dataset: Dataset) -> Adapter:
    cls = ADAPTERS.get(values["kind"])
    return cls.begin(cls.config_model.model_validate(values), encoder.spec, dataset)


def _fitted(values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features) -> Fitted:
    return fit(ADAPTERS.get(values["kind"]).config_model.model_validate(values), encoder, dataset, features)


def test_one_probability_a_pixel_and_structure(values: dict[str, Any], encoder: Encoder, dataset: Dataset) -> None:
    adapter = _begin(values, encoder, dataset)
    adapter.thresholds = {"heart": 0.5, "lungs": 0.9}
    masks = adapter.predict(encoder(torch.rand(3, 1, 32, 32)))
    assert masks.logits.shape == masks.decision.shape == (3, 2, 24, 24)
    torch.testing.assert_close(masks.probability, masks.logits.sigmoid())
    assert torch.equal(masks.decision[:, 1], masks.probability[:, 1] >= 0.9)


def test_unknown_structures_add_nothing(values: dict[str, Any], encoder: Encoder, dataset: Dataset) -> None:
    adapter = _begin(values, encoder, dataset).eval()
    output = encoder(torch.rand(2, 1, 32, 32))
    target = torch.zeros(2, 2, 24, 24, dtype=torch.uint8)
    target[:, :, 4:9, 5:20] = 1
    both = adapter.loss(output, target)
    one = target.clone()
    one[:, 1] = UNKNOWN
    logits = adapter(output).detach()[:, 0]
    truth = one[:, 0].float()
    probability = logits.sigmoid()
    overlap = (probability * truth).sum((1, 2))
    dice = 1 - (2 * overlap + 1e-5) / (probability.sum((1, 2)) + truth.sum((1, 2)) + 1e-5)
    entropy = -(truth * probability.log() + (1 - truth) * (1 - probability).log()).mean((1, 2))
    torch.testing.assert_close(adapter.loss(output, one)[:, 0], dice + entropy, rtol=1e-4, atol=1e-5)
    none = torch.full_like(target, UNKNOWN)
    assert adapter.loss(output, none).tolist() == [[0.0], [0.0]]
    assert adapter.known(torch.stack([one[0], none[0]])).tolist() == [True, False]
    assert both.shape == (2, 1)


def test_masks_lie_at_the_stored_films_size(
    values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> None:
    adapter = _fitted(values, encoder, dataset, features).adapter
    ids = dataset.sample_ids("test")
    evaluation = adapter.evaluate(dataset, FilmFeatures(features, ids), tmp_path / "masks")
    for structure in ("heart", "lungs"):
        table = evaluation.table[evaluation.table["label"] == structure].set_index("sample_id")
        assert list(table.index) == ids
        for sample_id in ids:
            mask = cv2.imread(str(tmp_path / "masks" / structure / f"{sample_id}.png"), cv2.IMREAD_UNCHANGED)
            assert mask is not None
            assert mask.shape == dataset.film(sample_id).shape
            assert set(np.unique(mask)) <= {0, 255}
            reference = dataset.mask(structure, sample_id)
            if reference is None:
                assert np.isnan(table.loc[sample_id, "dice"])
            else:
                overlap = 2 * ((mask > 0) & reference).sum() / ((mask > 0).sum() + reference.sum())
                assert table.loc[sample_id, "dice"] == pytest.approx(overlap)


def test_overlapping_structures_and_asymmetric_places_are_kept(
    segmentation_values: dict[str, Any], encoder: Encoder, dataset: Dataset
) -> None:
    """With tokens that say where they are, the mask comes back where it belongs: rows stay rows."""
    segmentation_values["recipe"] |= {"epochs": 150, "patience": 150}
    adapter = _begin(segmentation_values, encoder, dataset)
    target = torch.zeros(1, 2, 24, 24, dtype=torch.uint8)
    target[:, 0, 0:6, 6:24] = 1  # upper right
    target[:, 1, 0:12, 12:18] = 1  # overlaps it
    patches = torch.randn(1, 4, 4, 32, generator=torch.Generator().manual_seed(0))
    output = EncoderOutput(torch.zeros(1, 32), torch.zeros(1, 1, 32), patches)
    optimiser = torch.optim.Adam(adapter.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        adapter.loss(output, target).sum().backward()
        optimiser.step()
    adapter.train()
    agreement = ((adapter(output) > 0) == (target == 1)).float().mean((0, 2, 3))
    assert float(agreement.min()) > 0.93


def test_films_without_distances_are_told(
    segmentation_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    """Every eighth film of the tiny dataset has no spacing; means of millimetres are over the others."""
    adapter = _begin(segmentation_values, encoder, dataset)
    adapter.thresholds = {"heart": 0.0, "lungs": 2.0}  # everywhere and nowhere
    evaluation = adapter.evaluate(dataset, FilmFeatures(features, dataset.sample_ids("test")))
    rows = evaluation.table[evaluation.table["dice"].notna()]
    for structure in ("heart", "lungs"):
        n_without = int(rows.loc[rows["label"] == structure, "hd95_mm"].isna().sum())
        n_reference = evaluation.per_label[structure]["n_reference"]
        assert evaluation.notes[structure].startswith(f"no distances on {n_without} of {n_reference} films")
    assert evaluation.per_label["lungs"]["hd95_mm"] is None
    assert evaluation.per_label["lungs"]["dice"] == 0.0
