import builtins

import numpy as np
import pytest

from raydino.curation.neighbours import nearest_neighbours
from raydino.errors import UserError


def cosines(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a.astype(np.float64), b.astype(np.float64)))
    return a @ b.T


@pytest.fixture
def vectors():
    return (np.random.default_rng(0).normal(size=(300, 16)) * np.linspace(0.1, 9, 300)[:, None]).astype(np.float16)


def test_the_exact_index_finds_what_brute_force_finds(vectors):
    found = nearest_neighbours(vectors, k=7)
    table = cosines(vectors, vectors)
    np.fill_diagonal(table, -2)
    expected = np.argsort(-table, axis=1)[:, :7]
    assert (found.rows == expected).all()
    np.testing.assert_allclose(found.similarities, np.take_along_axis(table, expected, 1), atol=1e-5)


def test_among_others_nothing_is_left_out(vectors):
    found = nearest_neighbours(vectors[:5], vectors, k=1)
    assert found.rows[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_no_film_is_its_own_neighbour_where_many_are_equal():
    same = np.ones((50, 4), np.float32)
    found = nearest_neighbours(same, k=3)
    assert (found.rows != np.arange(50)[:, None]).all()
    assert (found.rows >= 0).all()


def test_cells_find_nearly_all_and_the_same_twice():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, 8))
    vectors = (np.repeat(centres, 60, axis=0) + 0.1 * rng.normal(size=(2400, 8))).astype(np.float32)
    exact = nearest_neighbours(vectors, k=5)
    cells, again = (nearest_neighbours(vectors, k=5, exact_rows=100, seed=3) for _ in range(2))
    assert (cells.rows == again.rows).all()
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact.rows, cells.rows, strict=True)]) > 0.98


def test_a_memory_mapped_array_is_read(tmp_path, vectors):
    np.save(tmp_path / "x.npy", vectors)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert (nearest_neighbours(mapped, k=4).rows == nearest_neighbours(vectors, k=4).rows).all()


@pytest.mark.parametrize("k", [0, -1, 300])
def test_more_neighbours_than_there_are(vectors, k):
    with pytest.raises(UserError, match=f"{k} neighbours among 300 vectors"):
        nearest_neighbours(vectors, k=k)


def test_without_faiss_the_extra_is_named(vectors, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "faiss":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'raydino\[curation\]'"):
        nearest_neighbours(vectors, k=2)
