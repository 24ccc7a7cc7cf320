"""Vectors from a features artifact, parquet and npy; faults in one line."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydino.curation.embeddings import Embeddings, open_embeddings
from raydino.curation.film_vectors import film_vectors
from raydino.errors import UserError
from raydino.features import embed, extract
from raydino.readout import readout
from raydino.testing.tiny import tiny_dataset, tiny_encoder

VECTORS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
IDS = list("abcde")


def test_npy(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS.astype(np.float16))
    (tmp_path / "v.ids.txt").write_text("\n".join(IDS) + "\n")
    found = open_embeddings(tmp_path / "v.npy", kind="cls", work=tmp_path / "work")
    assert found.ids == IDS
    assert isinstance(found.vectors, np.memmap)
    np.testing.assert_array_equal(found.vectors, VECTORS.astype(np.float16))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.list_(pa.float32(), 3)])
def test_parquet(tmp_path, kind):
    table = pa.table({"text": list("vwxyz"), "id": IDS, "embedding": pa.array(VECTORS.tolist(), kind)})
    pq.write_table(table, tmp_path / "v.parquet")
    found = open_embeddings(tmp_path / "v.parquet", kind="cls", work=tmp_path / "work")
    assert found.ids == IDS
    np.testing.assert_allclose(found.vectors, VECTORS)
    again = open_embeddings(tmp_path / "v.parquet", kind="cls", work=tmp_path / "work")
    assert again.inputs == found.inputs


def test_features_and_films_give_the_same_vectors(tmp_path):
    dataset = tiny_dataset(tmp_path / "dataset")
    encoder = tiny_encoder(tmp_path / "encoder")
    features = extract(encoder, dataset, dataset.sample_ids())
    embed(tmp_path / "features", encoder, dataset)
    for kind in ("cls_mean", "grid_2"):
        opened = open_embeddings(tmp_path / "features", kind=kind, work=tmp_path / "work")
        np.testing.assert_array_equal(opened.vectors, readout(features.output, kind).numpy())
        made = film_vectors(encoder, dataset, dataset.sample_ids(), kind=kind, work=tmp_path / "work")
        np.testing.assert_allclose(made.vectors, opened.vectors, atol=1e-5)
        assert made.ids == opened.ids
        assert made.inputs == opened.inputs


def test_encoding_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    dataset = tiny_dataset(tmp_path / "dataset")
    encoder = tiny_encoder(tmp_path / "encoder")
    ids, options = dataset.sample_ids(), {"kind": "cls", "batch_size": 4}
    whole = film_vectors(encoder, dataset, ids, work=tmp_path / "whole", **options)

    monkeypatch.setattr("raydino.curation.film_vectors._FLUSH_ROWS", 8)
    seen = []

    def dies(module, arguments):
        seen.append(len(arguments[0]))
        if len(seen) == 6:
            raise KeyboardInterrupt

    hook = encoder.register_forward_pre_hook(dies)
    with pytest.raises(KeyboardInterrupt):
        film_vectors(encoder, dataset, ids, work=tmp_path / "torn", **options)
    hook.remove()
    counted = []
    encoder.register_forward_pre_hook(lambda _, arguments: counted.append(len(arguments[0])))
    resumed = film_vectors(encoder, dataset, ids, work=tmp_path / "torn", **options)
    np.testing.assert_array_equal(resumed.vectors, whole.vectors)
    assert sum(counted) == len(ids) - 16  # two flushes of 8 rows stood


@pytest.mark.parametrize(
    ("ids", "vectors", "match"),
    [
        (["a", "b", "a"], VECTORS[:3], "the id 'a' stands twice"),
        (["a", "b"], np.array([[1, 2], [3, np.nan]], np.float32), "the vector of 'b' holds NaN or infinity"),
        (["a", "b"], np.array([[1, np.inf], [3, 4]], np.float32), "the vector of 'a' holds NaN or infinity"),
        (["a", "b"], np.ones((2, 4), np.float32), "all vectors are alike"),
        ([], np.empty((0, 4), np.float32), "no vector or film to curate"),
        (["a"], VECTORS, r"1 ids for vectors of shape \(5, 3\)"),
    ],
)
def test_unusable_vectors(ids, vectors, match):
    with pytest.raises(UserError, match=match):
        Embeddings(ids, vectors, {})


def test_unusable_files(tmp_path):
    def fault(name):
        with pytest.raises(UserError) as caught:
            open_embeddings(tmp_path / name, kind="cls", work=tmp_path / "work")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    np.save(tmp_path / "alone.npy", VECTORS)
    assert "alone.ids.txt" in fault("alone.npy")
    np.save(tmp_path / "ints.npy", VECTORS.astype(int))
    (tmp_path / "ints.ids.txt").write_text("\n".join(IDS))
    assert "holds int64 values" in fault("ints.npy")
    pd.DataFrame({"x": [1, 2]}).to_parquet(tmp_path / "none.parquet")
    assert "holds 0 columns of vectors" in fault("none.parquet")
    pq.write_table(pa.table({"id": ["a", "b"], "v": [[1.0], [1.0, 2.0]]}), tmp_path / "torn.parquet")
    assert "not all of one length" in fault("torn.parquet")
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    assert "cannot be read as parquet" in fault("x.parquet")
    assert "no such file or directory" in fault("nowhere")
    pickled = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "pickle.npy", pickled, allow_pickle=True)
    (tmp_path / "pickle.ids.txt").write_text("a")
    assert "cannot be read" in fault("pickle.npy")
