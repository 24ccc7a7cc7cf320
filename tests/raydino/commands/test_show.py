from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from raydino.artifacts.dataset import Dataset
from raydino.cli import run
from raydino.testing.tiny import tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("show") / "dataset", n_patients=5)


def test_a_film_with_outlines(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "film.png"
    assert run(["show", str(dataset.path), dataset.sample_ids()[0], "--out", str(out)]) == 0
    picture = cv2.imread(str(out))
    assert picture is not None
    assert min(picture.shape[:2]) > 500
    coloured = np.ptp(picture.astype(int), axis=2) > 60  # only outlines have colour
    assert coloured.any()
    assert picture[-150:].max() > 200  # the caption


def test_a_sheet(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert run(["show", str(dataset.path), "--sheet", "9", "--out", str(out)]) == 0
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] > picture.shape[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of SAMPLE_ID and --sheet N is needed"),
        (["s0", "--sheet", "3"], "one of SAMPLE_ID and --sheet N is needed"),
        (["zzz"], "holds no film 'zzz'; films begin with s0000"),
        (["s000"], "films begin with 's000'; add more digits"),
        (["s0000", "--out", "film.jpg"], "the picture is a PNG"),
    ],
)
def test_faults(dataset: Dataset, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", str(dataset.path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_rejected_film_says_why(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    rejected = dataset.manifest[dataset.manifest["status"] == "rejected"].index[0]
    assert run(["show", str(dataset.path), rejected]) == 2
    assert "the film was rejected" in capsys.readouterr().err
