import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from monai.data.utils import compute_importance_map

from adapters.fit import fit
from adapters.predict import predict
from adapters.registry import ADAPTERS
from adapters.segmentation.dense import Windows, windowed_probability
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, Predictions
from raydino.cli import run
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features


@pytest.fixture
def adapter(segmentation_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features) -> Any:
    config = ADAPTERS.get(segmentation_values["kind"]).config_model.model_validate(segmentation_values)
    return fit(config, encoder, dataset, features).adapter


def test_windows_are_blended_as_a_plain_loop_does(adapter: Any, encoder: Encoder) -> None:
    """A film of two windows a side, half overlapping: 9 windows, each weighted by a Gaussian of its own."""
    square = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    weight = compute_importance_map((32, 32), mode="gaussian", sigma_scale=0.125)[None, None]
    total, weights = torch.zeros(1, 2, 64, 64), torch.zeros(1, 1, 64, 64)
    for top in (0, 16, 32):
        for left in (0, 16, 32):
            place = np.s_[:, :, top : top + 32, left : left + 32]
            probability = adapter.predict(encoder(square[place])).probability
            fine = torch.nn.functional.interpolate(probability, (32, 32), mode="bilinear")
            total[place] += weight * fine
            weights[place] += weight
    found = windowed_probability(adapter, encoder, [square], overlap=0.5)
    torch.testing.assert_close(found, total / weights, rtol=1e-4, atol=1e-5)
    small = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    alone = windowed_probability(adapter, encoder, [small], overlap=0.5)
    enlarged = torch.nn.functional.interpolate(alone, (64, 64), mode="bilinear")
    both = windowed_probability(adapter, encoder, [small, square], overlap=0.5)
    torch.testing.assert_close(both, (enlarged + found) / 2, rtol=1e-4, atol=1e-5)


def test_one_scale_of_one_window_is_the_whole_film(
    adapter: Any, encoder: Encoder, dataset: Dataset, tmp_path: Path
) -> None:
    tables = {}
    for name, windows in (("whole", None), ("window", Windows((1.0,))), ("scales", Windows((1.0, 1.5), 0.25))):
        with creating(tmp_path / name, PREDICTIONS, config={"task": "segmentation"}) as directory:
            predict(adapter, encoder, dataset, "test", directory, windows=windows)
        tables[name] = Predictions.open(tmp_path / name).table
    # the head's map is enlarged to the window before the film's size, so masks may differ by pixels of their edge
    assert (tables["whole"]["dice"] - tables["window"]["dice"]).abs().max() < 0.03
    assert list(tables["scales"]["sample_id"]) == list(tables["whole"]["sample_id"])
    for sample_id in tables["scales"]["sample_id"]:
        mask = cv2.imread(str(tmp_path / "scales" / "masks" / "lungs" / f"{sample_id}.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert mask.shape == dataset.film(sample_id).shape


@pytest.mark.parametrize("scales", [(), (0.5, 1.0)])
def test_scales_below_one_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="scales"):
        Windows(scales)


def test_the_command_says_what_it_did_and_refuses_what_makes_no_sense(
    segmentation_values: dict[str, Any],
    classification_values: dict[str, Any],
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path)]
    for name, values in (("masks", segmentation_values), ("findings", classification_values)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
        assert run(["adapt", "fit", str(tmp_path / f"{name}.yaml"), *shared, "--out", str(tmp_path / name)]) == 0
    predict_ = ["adapt", "predict", str(tmp_path / "masks"), *shared, "--out", str(tmp_path / "out")]
    assert run([*predict_, "--scales", "1,1.5", "--overlap", "0.25"]) == 0
    header = json.loads((tmp_path / "out" / "artifact.json").read_text())
    assert (header["config"]["scales"], header["config"]["overlap"]) == ([1.0, 1.5], 0.25)
    other = ["adapt", "predict", str(tmp_path / "findings"), *shared, "--out", str(tmp_path / "no"), "--scales", "1"]
    for arguments, message in (
        (other, "windows are for masks; this adapter is for classification"),
        ([*predict_, "--overwrite", "--scales", "one"], "--scales 'one'"),
        ([*predict_, "--overwrite", "--scales", "1", "--overlap", "1"], "an overlap of 1.0"),
        ([*predict_, "--overwrite", "--scales", "1", "--features", "f"], "leave one of them out"),
    ):
        capfd.readouterr()
        assert run(arguments) == 2
        assert message in capfd.readouterr().err
