import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

import adapters.batches
from adapters.fit import fit
from adapters.predict import predict
from adapters.registry import ADAPTERS
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, Predictions
from raydino.encoder import Encoder
from raydino.features import Features


@pytest.fixture
def adapter(any_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features) -> Any:
    config = ADAPTERS.get(any_values["kind"]).config_model.model_validate(any_values)
    return fit(config, encoder, dataset, features).adapter


def _predicted(adapter: Any, encoder: Encoder, dataset: Dataset, out: Path, features: Features | None) -> Predictions:
    with creating(out, PREDICTIONS, config={"task": adapter.task}) as directory:
        predict(adapter, encoder, dataset, "test", directory, features)
    return Predictions.open(out)


def test_every_film_of_the_split_is_predicted_known_or_not(
    adapter: Any, encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> None:
    predictions = _predicted(adapter, encoder, dataset, tmp_path / "out", features)
    frontal = dataset.accepted[(dataset.accepted["split"] == "test") & (dataset.accepted["view"] != "LATERAL")]
    rows_a_film = 1 if adapter.task == "report" else len(adapter.labels)
    counts = predictions.table["sample_id"].value_counts()
    assert sorted(counts.index) == sorted(frontal.index)
    assert set(counts) == {rows_a_film}
    assert set(predictions.table["split"]) == {"test"}
    assert predictions.task == adapter.task
    expected = frontal["patient_id"].loc[predictions.table["sample_id"]].to_list()
    assert predictions.table["patient_id"].to_list() == expected


def test_live_or_cached_order_and_batch_size_change_nothing(
    adapter: Any, encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path, monkeypatch: Any
) -> None:
    cached = _predicted(adapter, encoder, dataset, tmp_path / "cached", features).table
    live = _predicted(adapter, encoder, dataset, tmp_path / "live", None).table
    monkeypatch.setattr(adapters.batches.FilmFeatures.batches, "__defaults__", (3,))
    small = _predicted(adapter, encoder, dataset, tmp_path / "small", features.select(features.sample_ids[::-1])).table
    for other in (live, small):
        pd.testing.assert_frame_equal(cached, other, rtol=1e-4, atol=1e-5)


def test_metrics_can_be_computed_again_from_the_table(
    adapter: Any, encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> None:
    table = _predicted(adapter, encoder, dataset, tmp_path / "out", features).table
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["split"] == "test"
    expected = {}
    for label in adapter.labels:
        if adapter.task == "classification":
            rows = table[(table["label"] == label) & table["target"].notna()]
            expected[label] = roc_auc_score(rows["target"], rows["score"])
            assert metrics["per_label"][label]["auroc"] == pytest.approx(expected[label])
        elif adapter.task == "segmentation":
            expected[label] = table.loc[table["label"] == label, "dice"].mean()
            assert metrics["per_label"][label]["dice"] == pytest.approx(expected[label])
        else:
            rows = table[table[f"target_{label}"].notna()]
            expected[label] = f1_score(rows[f"target_{label}"], rows[f"mention_{label}"], zero_division=0)
            assert metrics["per_label"][label]["f1"] == pytest.approx(expected[label])
            assert metrics["per_label"][label]["f1_of_reference"] == pytest.approx(1.0)
    assert metrics["headline"] == pytest.approx(np.mean(list(expected.values())))
