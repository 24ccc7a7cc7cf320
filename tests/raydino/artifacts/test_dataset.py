from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raydino.artifacts.dataset import DATASET, LABELS, MANIFEST, Dataset
from raydino.artifacts.header import Schema, creating
from raydino.errors import UserError
from raydino.testing.tiny import tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("artifacts") / "dataset")


def test_tables_fit_together(dataset: Dataset) -> None:
    assert len(dataset.manifest) > len(dataset.accepted)
    assert list(dataset.accepted.index) == sorted(dataset.accepted.index)
    assert set(dataset.demographics.index) == set(dataset.accepted.index)
    assert list(dataset.labels.columns) == list(dataset.label_names)
    assert list(dataset.labels.index) == list(dataset.accepted.index)
    assert set(dataset.reports.index) <= set(dataset.accepted.index)
    dataset.require_disjoint_patients()


def test_splits_are_parts_of_the_whole(dataset: Dataset) -> None:
    parts = [dataset.sample_ids(split) for split in ("train", "val", "test")]
    assert sorted(sample_id for part in parts for sample_id in part) == dataset.sample_ids()
    assert dataset.sample_ids("train", "val") == sorted(parts[0] + parts[1])
    with pytest.raises(UserError, match="no split is called 'dev'; one of train, val, test"):
        dataset.sample_ids("dev")


def test_films_and_masks(dataset: Dataset) -> None:
    known = 0
    for sample_id in dataset.sample_ids():
        film = dataset.film(sample_id)
        row = dataset.accepted.loc[sample_id]
        assert film.shape == (row["rows"], row["cols"])
        mask = dataset.mask("lungs", sample_id)
        if mask is not None:
            known += 1
            assert mask.shape == film.shape
            assert mask.dtype == bool
    assert 0 < known < len(dataset.sample_ids())
    rejected = dataset.manifest.index[dataset.manifest["status"] == "rejected"][0]
    with pytest.raises(UserError, match="holds no accepted film"):
        dataset.film(rejected)


def test_a_broken_mask_is_named(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "d", n_patients=5)
    path = next((tmp_path / "d" / "masks" / "lungs").glob("*.png"))
    path.write_bytes(b"no PNG")
    with pytest.raises(UserError, match="holds a broken mask"):
        dataset.mask("lungs", path.stem)


def test_labels_are_one_zero_or_unknown(dataset: Dataset) -> None:
    values = dataset.labels.to_numpy()
    assert set(np.unique(values[~np.isnan(values)])) <= {0.0, 1.0}
    assert np.isnan(values).any()


def test_a_torn_patient_is_found(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "d", n_patients=5)
    path = tmp_path / "d" / "manifest.parquet"
    manifest = MANIFEST.read(path)
    first = manifest.index[manifest["status"] == "accepted"][0]
    manifest.loc[first, "split"] = "test" if manifest.loc[first, "split"] == "train" else "train"
    MANIFEST.write(manifest, path)
    with pytest.raises(UserError, match="1 patients stand in more than one split"):
        Dataset.open(tmp_path / "d").require_disjoint_patients()


def test_labels_that_lost_their_key_are_refused(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "d", n_patients=5)
    path = tmp_path / "d" / "labels.parquet"
    LABELS.read(path).rename(columns={"sample_id": "name"}).to_parquet(path)
    with pytest.raises(UserError, match="lacks the column 'sample_id'"):
        _ = Dataset.open(tmp_path / "d").labels


def test_only_a_dataset_of_this_version_opens(tmp_path: Path) -> None:
    with creating(tmp_path / "next", Schema("dataset", DATASET.version + 1)):
        pass
    with pytest.raises(UserError, match=r"dataset of schema version \d; this raydino reads version \d"):
        Dataset.open(tmp_path / "next")
