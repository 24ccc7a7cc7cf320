"""A selection says which films are read and how often, and only of its own dataset."""

import numpy as np
import pandas as pd
import pytest

from raydino.artifacts.header import creating
from raydino.artifacts.selection import ROWS, SELECTION
from raydino.data.pool import Pool
from raydino.errors import UserError
from raydino.testing.tiny import tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("pool") / "dataset")


def write(path, dataset, weights, fingerprint=None):
    """A selection of the films with a weight."""
    ids = [*weights, *[s for s in dataset.sample_ids("train") if s not in weights]]
    frame = pd.DataFrame({"sample_id": ids, "weight": [weights.get(s, 0.0) for s in ids]})
    frame["selected"] = frame["weight"] > 0
    frame["reason"] = [None if kept else "not_sampled" for kept in frame["selected"]]
    frame[["duplicate_of", "distance"]] = None, 1.0
    with creating(path, SELECTION, inputs={"dataset": fingerprint or dataset.header.fingerprint}) as directory:
        ROWS.write(frame, directory / "selection.parquet")
    return path


def test_without_a_selection_all_training_films(dataset):
    pool = Pool.of(dataset)
    assert pool.sample_ids == dataset.sample_ids("train")
    n = len(pool.sample_ids)
    assert sorted(pool.order(0).film_at(i) for i in range(n)) == list(range(n))


def test_a_subset(dataset, tmp_path):
    chosen = dataset.sample_ids("train")[3:8]
    pool = Pool.of(dataset, write(tmp_path / "s", dataset, dict.fromkeys(reversed(chosen), 0.2)))
    assert pool.sample_ids == chosen
    assert sorted(pool.order(0).film_at(i) for i in range(5)) == list(range(5))
    assert pool.inputs.keys() == {"selection"}


def test_weights(dataset, tmp_path):
    first, second, *_ = dataset.sample_ids("train")
    pool = Pool.of(dataset, write(tmp_path / "s", dataset, {second: 0.25, first: 0.75}))
    drawn = np.bincount([pool.order(1).film_at(i) for i in range(400)])
    np.testing.assert_allclose(drawn / 400, [0.75, 0.25], atol=0.05)


def test_a_selection_of_another_dataset(dataset, tmp_path):
    path = write(tmp_path / "s", dataset, {dataset.sample_ids("train")[0]: 1.0}, fingerprint="other")
    with pytest.raises(UserError, match="of another dataset; run raydino curate again"):
        Pool.of(dataset, path)


def test_a_film_that_is_not_for_training(dataset, tmp_path):
    path = write(tmp_path / "s", dataset, {dataset.sample_ids("test")[0]: 1.0})
    with pytest.raises(UserError, match="which is no training film"):
        Pool.of(dataset, path)


def test_a_selection_of_nothing(dataset, tmp_path):
    with pytest.raises(UserError, match="selects no film"):
        Pool.of(dataset, write(tmp_path / "s", dataset, {}))
