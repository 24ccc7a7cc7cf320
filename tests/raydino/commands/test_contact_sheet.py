from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from raydino.artifacts.dataset import MANIFEST, Dataset
from raydino.commands.contact_sheet import PREVIEWS, bars_of, write_pictures
from raydino.commands.dataset_counts import Distribution
from raydino.errors import UserError
from raydino.testing.tiny import tiny_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A tiny dataset with rejected rows: a duplicate, one with a preview and several without."""
    made = tiny_dataset(tmp_path / "dataset", n_patients=5)
    extra = [{"sample_id": f"r{i}", "source": "tiny", "status": "rejected", "reason": "burned_in"} for i in range(7)]
    extra[0] |= {"reason": "duplicate", "duplicate_of": made.sample_ids()[0]}
    extra[1] |= {"reason": "not_chest", "detail": "the body part is another part of the body"}
    rows = pd.concat([made.manifest.reset_index(drop=True), pd.DataFrame(extra)], ignore_index=True)
    MANIFEST.write(rows[[column.name for column in MANIFEST.columns]], made.path / "manifest.parquet")
    (made.path / PREVIEWS).mkdir()
    cv2.imwrite(str(made.path / PREVIEWS / "r1.png"), np.tile(np.arange(64, dtype=np.uint8) * 4, (80, 1)))
    return Dataset.open(made.path)


def test_three_pictures(dataset: Dataset, tmp_path: Path) -> None:
    paths = write_pictures(dataset, tmp_path / "pictures")
    assert [path.name for path in paths] == ["distributions.png", "accepted.png", "rejected.png"]
    pictures = [cv2.imread(str(path)) for path in paths]
    for picture in pictures:
        assert picture is not None
        assert picture.shape[1] > 1200
    distributions, accepted, rejected = pictures
    assert distributions[0, 0].min() == 255  # type: ignore[index]
    assert (accepted > 200).any()  # type: ignore[operator]
    tiles = (rejected == np.array([0x36, 0x30, 0x2B], np.uint8)).all(axis=2)  # type: ignore[union-attr]
    assert tiles.any()  # of those without a picture: burned_in, and the tiny dataset's own
    n_tiles, _ = cv2.connectedComponents(cv2.morphologyEx(tiles.astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9))))
    assert n_tiles - 1 >= 2


def test_the_same_bytes_twice(dataset: Dataset, tmp_path: Path) -> None:
    first, second = (write_pictures(dataset, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_without_rejected_rows_there_is_no_third_picture(dataset: Dataset, tmp_path: Path) -> None:
    MANIFEST.write(dataset.accepted.reset_index(drop=True), dataset.path / "manifest.parquet")
    paths = write_pictures(Dataset.open(dataset.path), tmp_path / "pictures")
    assert [path.name for path in paths] == ["distributions.png", "accepted.png"]


def test_a_folder_that_cannot_be(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_pictures(dataset, tmp_path / "file" / "pictures")


def test_bars_of_text() -> None:
    rows = list(bars_of(Distribution("view", {"PA": 80, "AP": 40, "LATERAL": 1, "unknown": 0}), width=10))
    assert rows == [
        ("PA", "██████████ 80 (66%)"),
        ("AP", "█████ 40 (33%)"),
        ("LATERAL", "▏ 1 (1%)"),
        ("unknown", " 0 (0%)"),
    ]
