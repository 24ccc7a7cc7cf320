from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from adapters.base import AdapterConfig
from adapters.descent import warm_cosine
from adapters.fit import fit
from adapters.registry import ADAPTERS
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features


def _config(values: dict[str, Any]) -> AdapterConfig:
    model: type[AdapterConfig] = ADAPTERS.get(values["kind"]).config_model
    return model.model_validate(values)


def _with(dataset: Dataset, **tables: pd.DataFrame) -> Dataset:
    """The same dataset with other tables in memory."""
    changed = Dataset(dataset.path, dataset.header)
    changed.__dict__.update(tables)
    return changed


def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone(
    any_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    state = torch.random.get_rng_state()
    first = fit(_config(any_values), encoder, dataset, features)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    second = fit(_config(any_values), encoder, dataset, features)
    for name, weights in first.adapter.state_dict().items():
        assert torch.equal(weights, second.adapter.state_dict()[name]), name
    assert first.metrics == second.metrics


def test_the_test_split_is_never_read(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    labels = dataset.labels.copy()
    labels.loc[dataset.sample_ids("test")] = 1 - labels.loc[dataset.sample_ids("test")]
    honest = fit(_config(classification_values), encoder, dataset, features)
    altered = fit(_config(classification_values), encoder, _with(dataset, labels=labels), features)
    assert torch.equal(honest.adapter.heads.weight, altered.adapter.heads.weight)
    assert honest.adapter.thresholds == altered.adapter.thresholds


def test_live_and_cached_features_give_the_same_adapter(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    live = fit(_config(classification_values), encoder, dataset)
    cached = fit(_config(classification_values), encoder, dataset, features)
    torch.testing.assert_close(live.adapter.heads.weight, cached.adapter.heads.weight, rtol=1e-3, atol=1e-4)


def test_a_label_with_one_class_is_left_out_with_its_reason(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    labels = dataset.labels.copy()
    labels.loc[dataset.sample_ids("val"), "Nodule"] = 0.0
    fitted = fit(_config(classification_values), encoder, _with(dataset, labels=labels), features)
    assert "Nodule" not in fitted.adapter.labels
    assert fitted.metrics["left_out"]["Nodule"].startswith("left out: val holds 0 positive and")


def test_nothing_to_learn_is_one_line(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    labels = dataset.labels * np.nan
    with pytest.raises(UserError, match="no label has positive and negative films in both train and val"):
        fit(_config(classification_values), encoder, _with(dataset, labels=labels), features)


def test_a_dataset_without_reports_is_one_line(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    with pytest.raises(UserError, match="train split holds no reports"):
        fit(_config(report_values), encoder, _with(dataset, reports=dataset.reports.iloc[:0]), features)


def test_a_dataset_without_masks_is_one_line(
    segmentation_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> None:
    elsewhere = Dataset(tmp_path, dataset.header)  # its header names structures, its masks are gone
    elsewhere.__dict__["accepted"] = dataset.accepted
    with pytest.raises(UserError, match="no structure has masks in both train and val"):
        fit(_config(segmentation_values), encoder, elsewhere, features)


def test_patients_in_two_splits_are_refused(
    any_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    accepted = dataset.accepted.copy()
    accepted.loc[accepted.index[0], "split"] = "test"
    with pytest.raises(UserError, match="more than one split"):
        fit(_config(any_values), encoder, _with(dataset, accepted=accepted), features)


def test_a_loss_that_is_not_a_number_is_the_learning_rate(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    classification_values["recipe"] |= {"learning_rate": 1e38, "l2": [1.0]}
    with pytest.raises(UserError, match="lower learning_rate"):
        fit(_config(classification_values), encoder, dataset, features)


def test_the_schedule_warms_up_and_ends_near_zero() -> None:
    factors = [warm_cosine(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 1e-3
