"""The ratio of predicted masks, from the outside: fit, predict, cardiothoracic."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from adapters.regression.from_masks import ratios_of_masks
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.predictions import Predictions
from raydino.cli import run
from raydino.errors import UserError


@pytest.fixture
def masks_path(segmentation_values: dict[str, Any], encoder_path: Path, dataset: Dataset, tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(segmentation_values))
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path)]
    assert run(["adapt", "fit", str(tmp_path / "config.yaml"), *shared, "--out", str(tmp_path / "adapter")]) == 0
    predict = ["adapt", "predict", str(tmp_path / "adapter"), *shared, "--out", str(tmp_path / "masks")]
    assert run(predict) == 0
    return tmp_path / "masks"


def test_the_command_writes_a_regression(masks_path: Path, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "ratios"
    arguments = ["adapt", "cardiothoracic", str(masks_path), "--data", str(dataset.path), "--out", str(out)]
    assert run(arguments) == 0
    ratios = Predictions.open(out)
    assert (ratios.task, ratios.header.config["split"]) == ("regression", "test")
    table = ratios.table.set_index("sample_id")
    assert set(table["label"]) == {"cardiothoracic_ratio"}
    for sample_id, row in table.iterrows():
        heart, lungs = (
            np.flatnonzero(cv2.imread(str(masks_path / "masks" / name / f"{sample_id}.png"), 0).any(axis=0))
            for name in ("heart", "lungs")
        )
        assert row["prediction"] == pytest.approx(np.ptp(heart) / np.ptp(lungs), abs=0.1)  # specks aside
        truth = dataset.measurements.loc[sample_id, "cardiothoracic_ratio"]
        assert row["target"] == pytest.approx(truth, nan_ok=True)
    known = table.dropna()
    metrics = json.loads((out / "metrics.json").read_text())
    expected = (known["prediction"] - known["target"]).abs().mean()
    assert metrics["per_label"]["cardiothoracic_ratio"]["mae"] == pytest.approx(expected)

    empty = next(iter(table.index))
    cv2.imwrite(str(masks_path / "masks" / "heart" / f"{empty}.png"), np.zeros((56, 48), np.uint8))
    evaluation = ratios_of_masks(Predictions.open(masks_path), dataset)
    assert empty not in set(evaluation.table["sample_id"])
    assert "no mask of the heart (1)" in evaluation.notes["cardiothoracic_ratio"]


def test_faults_are_one_line(masks_path: Path, dataset: Dataset, tmp_path: Path) -> None:
    masks = Predictions.open(masks_path)
    with pytest.raises(UserError, match="holds no masks of 'hart'"):
        ratios_of_masks(masks, dataset, heart="hart")
    (tmp_path / "other").mkdir()
    for path in dataset.path.iterdir():
        if path.name != "artifact.json":
            (tmp_path / "other" / path.name).symlink_to(path)
    header = json.loads((dataset.path / "artifact.json").read_text()) | {"fingerprint": "f" * 64}
    (tmp_path / "other" / "artifact.json").write_text(json.dumps(header))
    with pytest.raises(UserError, match="was made with another dataset"):
        ratios_of_masks(masks, Dataset.open(tmp_path / "other"))
