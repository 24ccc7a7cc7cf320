"""What is clustered again, and when nothing is; subsets that are too large for memory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from raydino.curation import resampling
from raydino.curation.kmeans import Clusters
from raydino.curation.resampling import LevelRecipe, Task, gathered, resampled_kmeans


def task(seed: int = 0, work: Path | None = None) -> Task:
    return Task("level_1", (seed,), work, lambda rounds: None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, int, object]]:
    """The vectors, K and seed of each k-means that is asked for."""
    calls: list[tuple[np.ndarray, int, object]] = []
    kmeans = resampling.kmeans

    def spied(vectors: np.ndarray, n_clusters: int, *, seed: object, **others: object) -> Clusters:
        calls.append((np.array(vectors), n_clusters, seed))
        return kmeans(vectors, n_clusters, seed=seed, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(resampling, "kmeans", spied)
    return calls


def rows_of(subset: np.ndarray, vectors: np.ndarray) -> list[int]:
    return [int((vectors == row).all(1).argmax()) for row in subset]


@pytest.mark.parametrize("sample", ["closest", "random"])
def test_each_round_clusters_equally_many_of_each_cluster(
    sample: Literal["closest", "random"], asked: list[tuple[np.ndarray, int, object]]
) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    recipe = LevelRecipe(n_clusters=12, n_resamplings=1, sample_size=7, sample=sample, n_iterations=3)
    before = resampled_kmeans(vectors, 12, recipe.model_copy(update={"n_resamplings": 0}), task())
    resampled_kmeans(vectors, 12, recipe, task())
    subset, n_clusters, _ = asked[-1]
    assert n_clusters == len(before.centroids)

    rows = rows_of(subset, vectors)
    assert rows == sorted(set(rows))
    order = np.argsort(before.squared_distances, kind="stable")
    agreeing = 0
    for cluster in range(n_clusters):
        members = order[before.assignment[order] == cluster]
        taken = [row for row in rows if before.assignment[row] == cluster]
        assert len(taken) == min(7, len(members))
        agreeing += set(taken) == set(members[:7].tolist())
    assert (agreeing == n_clusters) == (sample == "closest")


def test_without_a_size_half_of_the_mean_cluster_is_taken(asked: list[tuple[np.ndarray, int, object]]) -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    resampled_kmeans(vectors, 20, LevelRecipe(n_clusters=20, n_resamplings=3, n_iterations=2), task())
    assert len(asked[0][0]) == 400
    assert all(20 * 10 * 0.7 < len(subset) <= 20 * 10 for subset, *_ in asked[1:])
    assert len({repr(seed) for *_, seed in asked}) == len(asked) == 4


def test_one_vector_a_cluster_leaves_nothing_to_cluster_again(asked: list[tuple[np.ndarray, int, object]]) -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    advanced: list[int] = []
    recipe = LevelRecipe(n_clusters=25, n_resamplings=9, n_iterations=2)
    resampled_kmeans(vectors, 25, recipe, Task("level_1", (0,), None, advanced.append))
    assert len(asked) == 1
    assert sum(advanced) == 10  # the bar is full all the same


def test_resampling_moves_centroids_away_from_what_is_common() -> None:
    """A dense and a sparse heap of equal extent, 19 to 1. In the plane the density of centroids goes with the root of
    that of vectors (Zador), which gives the sparse one 0.187 of them; resampling is to bring it towards the half."""
    rng = np.random.default_rng(1)
    common = rng.uniform(0, 1, size=(3800, 2))
    rare = rng.uniform(0, 1, size=(200, 2)) + np.array([5, 0])
    vectors = np.concatenate([common, rare]).astype(np.float32)
    in_rare = []
    for n_resamplings in (0, 6):
        recipe = LevelRecipe(n_clusters=60, n_resamplings=n_resamplings, sample_size=8, n_iterations=15)
        in_rare.append(float((resampled_kmeans(vectors, 60, recipe, task()).centroids[:, 0] > 3).mean()))
    assert in_rare[0] == pytest.approx(0.187, abs=0.09)
    assert in_rare[1] == pytest.approx(0.5, abs=0.12)


def test_a_large_subset_lies_in_a_file_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float16)
    rows = np.sort(np.random.default_rng(1).choice(20_000, 9000, replace=False))
    assert not isinstance(gathered(vectors, rows, tmp_path), np.memmap)
    monkeypatch.setattr(resampling, "_IN_MEMORY_BYTES", 1000)
    subset = gathered(vectors, rows, tmp_path)
    assert isinstance(subset, np.memmap)
    assert subset.dtype == np.float16
    assert (subset == vectors[rows]).all()
    assert not list(tmp_path.iterdir())
