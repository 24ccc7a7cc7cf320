"""The hierarchy against brute force, its seeds, its errors, and a run that is killed anywhere and goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raydino.config import parse_config
from raydino.curation import hierarchy as module
from raydino.curation import resampling
from raydino.curation.hierarchy import Hierarchy, Level, LevelRecipe, build, cluster_counts
from raydino.errors import UserError


def vectors_of(seed: int, n: int = 400, dimensions: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (3 * rng.normal(size=(12, dimensions))[rng.integers(0, 12, n)] + rng.normal(size=(n, dimensions))).astype(
        "f4"
    )


def recipes(*counts: int | float, **fields: object) -> list[LevelRecipe]:
    given = {"n_resamplings": 2, "n_iterations": 4, **fields}
    return [LevelRecipe.model_validate({"n_clusters": count, **given}) for count in counts]


def assert_same(one: Hierarchy, other: Hierarchy) -> None:
    for a, b in zip(one.levels, other.levels, strict=True):
        assert a.centroids.tobytes() == b.centroids.tobytes()
        assert a.parents.tobytes() == b.parents.tobytes()
    assert one.squared_distances.tobytes() == other.squared_distances.tobytes()


def test_paths_lead_from_a_vector_to_the_top() -> None:
    points = np.zeros((3, 2), np.float32)
    levels = (Level(points, np.array([2, 0, 1, 2])), Level(points[:2], np.array([1, 1, 0])))
    assert Hierarchy(levels, np.zeros(4, np.float32)).paths().tolist() == [[2, 0], [0, 1], [1, 1], [2, 0]]


def test_every_level_holds_the_nearest_centroids_of_the_one_below() -> None:
    vectors = vectors_of(0)
    built = build(vectors, recipes(40, 10, 3), seed=0)
    below = vectors.astype(np.float64)
    for number, (level, count) in enumerate(zip(built.levels, (40, 10, 3), strict=True)):
        squared = ((below[:, None] - level.centroids[None].astype(np.float64)) ** 2).sum(-1)
        reached = squared[np.arange(len(below)), level.parents]
        np.testing.assert_allclose(reached, squared.min(1), rtol=1e-4, atol=1e-4)
        if number == 0:
            np.testing.assert_allclose(built.squared_distances, reached, rtol=1e-3, atol=1e-3)
        assert set(level.parents.tolist()) == set(range(len(level.centroids)))
        assert len(level.centroids) <= count
        assert level.centroids.dtype == np.float32
        assert level.parents.dtype == np.int64
        below = level.centroids.astype(np.float64)


@pytest.mark.parametrize("n_parts", [1, 4])
def test_one_seed_gives_one_hierarchy_and_another_seed_another(n_parts: int) -> None:
    vectors, levels = vectors_of(1), [*recipes(40, n_parts=n_parts), *recipes(8)]
    first = build(vectors, levels, seed=1)
    assert_same(first, build(vectors, levels, seed=1))
    assert (first.levels[0].centroids[:5] != build(vectors, levels, seed=2).levels[0].centroids[:5]).any()


def test_a_memory_map_gives_what_the_array_gives(tmp_path: Path) -> None:
    vectors = vectors_of(2).astype(np.float16)
    np.save(tmp_path / "v.npy", vectors)
    levels = [*recipes(40, n_parts=3), *recipes(8)]
    assert_same(build(np.load(tmp_path / "v.npy", mmap_mode="r"), levels, seed=0), build(vectors, levels, seed=0))


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize("n_parts", [1, 3])
def test_a_run_that_is_killed_anywhere_goes_on_to_the_same_bytes(
    n_parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, levels = vectors_of(3), [*recipes(30, n_parts=n_parts), *recipes(6)]
    kmeans, calls, last = resampling.kmeans, 0, 10**9

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls > last:
            raise Killed
        return kmeans(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(resampling, "kmeans", counted)
    whole = build(vectors, levels, seed=4)
    total, calls, last = calls, 0, 0
    work = tmp_path / "work"
    for attempt in range(total):  # each gets one clustering further
        calls, last = 0, 1
        if attempt < total - 1:
            with pytest.raises(Killed):
                build(vectors, levels, seed=4, work=work)
        else:
            assert_same(whole, build(vectors, levels, seed=4, work=work))
    calls, last = 0, 0
    assert_same(whole, build(vectors, levels, seed=4, work=work))  # nothing is left to cluster
    assert not list(work.glob(".*"))


def test_what_another_run_left_is_not_taken(tmp_path: Path) -> None:
    vectors, levels = vectors_of(5), recipes(20, 5)
    changed = vectors.copy()
    changed[7, 1] += 1
    build(vectors, levels, seed=0, work=tmp_path)
    for others in (
        (changed, levels, 0),
        (vectors, levels, 1),
        (vectors, recipes(20, 5, n_iterations=5), 0),
        (vectors, recipes(20, 5, sample_size=3), 0),
        (vectors, recipes(21, 5), 0),
    ):
        assert_same(build(*others[:2], seed=others[2], work=tmp_path), build(*others[:2], seed=others[2]))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive at all"])
def test_a_damaged_file_is_made_again(content: bytes, tmp_path: Path) -> None:
    vectors, levels = vectors_of(6), recipes(20, 5)
    (tmp_path / "level_1.npz").write_bytes(content)
    assert_same(build(vectors, levels, seed=0, work=tmp_path), build(vectors, levels, seed=0))


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ((401, 5), "level 1: 401 clusters of 400 vectors; fewer clusters"),
        ((50, 50), "level 2: 50 clusters of the 50 of the level below; each level needs fewer than the one below it"),
        ((50, 10, 20), "level 3: 20 clusters of the 10 of the level below"),
        ((0.1, 0.2), "level 2: 80 clusters of the 40 of the level below"),
        ((), "a hierarchy of no levels"),
    ],
)
def test_a_level_that_cannot_be_is_named(counts: tuple[int, ...], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resampled_kmeans", None)  # before any work
    with pytest.raises(UserError) as caught:
        build(vectors_of(0), recipes(*counts), seed=0)
    assert str(caught.value).startswith(line)


def test_an_error_of_a_clustering_names_its_level() -> None:
    with pytest.raises(UserError, match="^level 1: 3 clusters in 5 parts"):
        build(vectors_of(0), recipes(3, n_parts=5), seed=0)


def test_shares_are_of_the_vectors_at_the_bottom() -> None:
    assert cluster_counts(recipes(0.05, 0.005, 0.00001), 20_000) == [1000, 100, 1]
    assert cluster_counts(recipes(100.0, 1), 20_000) == [100, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_clusters", 0),
        ("n_clusters", 1.5),
        ("n_clusters", -0.1),
        ("n_clusters", float("inf")),
        ("sample_size", 0),
        ("sample", "nearest"),
    ],
)
def test_a_recipe_with_a_wrong_value_names_the_field(field: str, value: object) -> None:
    with pytest.raises(UserError, match=field):
        parse_config({"n_clusters": 10, field: value}, LevelRecipe)
