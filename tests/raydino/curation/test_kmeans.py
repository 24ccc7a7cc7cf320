"""k-means against Lloyd written out in float64, and against itself in two processes, which run ``main``."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, kmeans_plusplus

from raydino.curation import blocks, kernels, products, tiles
from raydino.curation.kmeans import kmeans, nearest
from raydino.errors import UserError
from raydino.train.distributed import process_group, rank


def mixture(n=3000, dim=24, components=200, seed=0):
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, components + 1)
    centres = rng.standard_normal((components, dim))
    drawn = centres[rng.choice(components, n, p=weights / weights.sum())]
    return (drawn + 0.3 * rng.standard_normal((n, dim))).astype(np.float32)


def lloyd(vectors, centroids, n_iterations):
    """[K, D] and [N] in float64, where no cluster becomes empty."""
    vectors, centroids = vectors.astype(np.float64), centroids.astype(np.float64)

    def assign():
        return ((vectors[:, None] - centroids) ** 2).sum(2).argmin(1)

    for _ in range(n_iterations):
        assignment = assign()
        centroids = np.stack([vectors[assignment == c].mean(0) for c in range(len(centroids))])
    return centroids, assign()


def same(one, other):
    pairs = ((one.centroids, other.centroids), (one.assignment, other.assignment))
    return all(a.tobytes() == b.tobytes() for a, b in (*pairs, (one.squared_distances, other.squared_distances)))


def test_is_lloyd():
    vectors = mixture(800)
    start = vectors[np.random.default_rng(1).choice(800, 25, replace=False)]
    found = kmeans(vectors, 25, seed=0, n_iterations=6, start=start)
    centroids, assignment = lloyd(vectors, start, 6)
    np.testing.assert_allclose(found.centroids, centroids, atol=1e-6)
    assert np.array_equal(found.assignment, assignment)
    index, squared = nearest(vectors, found.centroids)
    assert np.array_equal(found.assignment, index)
    assert np.array_equal(found.squared_distances, squared)
    assert found.inertia == pytest.approx(((vectors - centroids[assignment]) ** 2).sum())
    assert found.sizes.tolist() == np.bincount(assignment).tolist()


def test_as_good_as_scikit_learn():
    """Seeded by the same rule: the best of four draws."""
    vectors = mixture()
    ours = np.mean([kmeans(vectors, 150, seed=s, n_iterations=10).inertia for s in range(6)])
    peer = [kmeans_plusplus(vectors, 150, n_local_trials=4, random_state=s)[0] for s in range(6)]
    theirs = np.mean([KMeans(150, init=c, n_init=1, max_iter=10, tol=0).fit(vectors).inertia_ for c in peer])
    assert ours < 1.03 * theirs


def test_more_iterations_than_are_needed_end_at_a_fixed_point():
    vectors = mixture(500)
    found = kmeans(vectors, 20, seed=3, n_iterations=1000)
    assert same(found, kmeans(vectors, 20, seed=3, n_iterations=2000))
    means = np.stack([vectors[found.assignment == c].mean(0, dtype=np.float64) for c in range(20)])
    np.testing.assert_allclose(found.centroids, means, atol=1e-6)


def test_one_seed_one_result_for_any_threads_blocks_and_precision(monkeypatch, tmp_path):
    vectors = mixture().astype(np.float16)
    np.save(tmp_path / "vectors.npy", vectors)
    found = kmeans(vectors, 150, seed=(1, 2), n_iterations=4)
    assert same(found, kmeans(vectors, 150, seed=(1, 2), n_iterations=4))
    assert not same(found, kmeans(vectors, 150, seed=(1, 3), n_iterations=4))
    torch.set_num_threads(2)
    try:
        assert same(found, kmeans(vectors, 150, seed=(1, 2), n_iterations=4))
    finally:
        torch.set_num_threads(1)
    monkeypatch.setattr(blocks, "_BLOCK", 300 * 24)
    monkeypatch.setattr(tiles, "_PANEL_NUMBERS", 1)
    assert same(found, kmeans(np.load(tmp_path / "vectors.npy", mmap_mode="r"), 150, seed=(1, 2), n_iterations=4))


def test_the_same_lloyd_without_a_matrix_unit_and_without_bf16(monkeypatch):
    vectors = mixture()
    found = kmeans(vectors, 150, seed=0, n_iterations=4, start=vectors[:150])
    monkeypatch.setattr(kernels.amx, "available", lambda: False)
    for available in (True, False):
        monkeypatch.setattr(kernels, "has_bf16", lambda _, available=available: available)
        monkeypatch.setattr(products, "_PRODUCT_ROWS", (100, 111))
        assert same(found, kmeans(vectors, 150, seed=0, n_iterations=4, start=vectors[:150]))


def test_the_same_lloyd_by_the_operations_that_a_gpu_does(monkeypatch):
    vectors = mixture()
    compiled = kmeans(vectors, 150, seed=0, n_iterations=4, start=vectors[:150])
    monkeypatch.setattr(kernels, "_on_cpu", lambda _: False)
    found = kmeans(vectors, 150, seed=0, n_iterations=4, start=vectors[:150])
    assert found.centroids.tobytes() == compiled.centroids.tobytes()
    assert np.array_equal(found.assignment, compiled.assignment)
    np.testing.assert_allclose(found.squared_distances, compiled.squared_distances, rtol=1e-5)


def test_no_cluster_is_empty():
    """Eleven of the centroids to start from lie where no vector is."""
    vectors = mixture(400, components=30)
    start = np.concatenate([vectors[:9], 1e3 + np.zeros((11, 24), np.float32)])
    for n_iterations in (0, 1, 5):
        found = kmeans(vectors, 20, seed=0, n_iterations=n_iterations, start=start)
        assert found.sizes.min() > 0
        assert np.array_equal(found.assignment, nearest(vectors, found.centroids)[0])


@pytest.mark.parametrize("start", [False, True])
def test_as_many_clusters_as_distinct_vectors(start):
    rng = np.random.default_rng(0)
    distinct = rng.standard_normal((12, 4)).astype(np.float32)
    vectors = distinct[rng.permutation(np.repeat(np.arange(12), 7))]
    given = {"start": np.zeros((12, 4), np.float32)} if start else {}
    found = kmeans(vectors, 12, seed=0, n_iterations=20, **given)
    assert found.sizes.tolist() == [7] * 12
    assert found.inertia < 1e-12
    given = {"start": np.zeros((13, 4), np.float32)} if start else {}
    with pytest.raises(UserError, match="13 clusters were asked for, and there are 12 distinct vectors"):
        kmeans(vectors, 13, seed=0, **given)


def test_one_cluster_and_as_many_as_vectors():
    vectors = mixture(70)
    one = kmeans(vectors, 1, seed=0)
    np.testing.assert_allclose(one.centroids[0], vectors.mean(0, dtype=np.float64), atol=1e-6)
    assert kmeans(vectors, 70, seed=0).sizes.tolist() == [1] * 70


def test_faults():
    vectors = mixture(30)
    with pytest.raises(UserError, match="31 clusters of 30 vectors"):
        kmeans(vectors, 31, seed=0)
    with pytest.raises(UserError, match="0 clusters of 30 vectors"):
        kmeans(vectors, 0, seed=0)
    with pytest.raises(UserError, match=r"start of shape \(3, 24\); \(4, 24\)"):
        kmeans(vectors, 4, seed=0, start=vectors[:3])
    with pytest.raises(UserError, match="vectors of shape"):
        kmeans(vectors[0], 4, seed=0)
    for wrong in (np.nan, np.inf, -np.inf, 1e18, 1e30):
        spoilt = vectors.copy()
        spoilt[7, 3] = wrong
        with pytest.raises(UserError, match="NaN, infinity or a huge value"):
            kmeans(spoilt, 4, seed=0)


def found_by(folder: Path):
    """Seeded, and from centroids most of which are empty at first."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    start = np.concatenate([vectors[:60], 1e3 + np.zeros((20, 24), np.float32)])
    return kmeans(vectors, 150, seed=7, n_iterations=3), kmeans(vectors, 80, seed=7, n_iterations=2, start=start)


def main(folder: Path) -> None:
    with process_group():
        for name, found in zip(("seeded", "started"), found_by(folder), strict=True):
            np.savez(folder / f"{name}-{rank()}.npz", **vars(found))


def test_two_processes_find_what_one_finds(tmp_path):
    np.save(tmp_path / "vectors.npy", mixture(2001))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        env = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    pair = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | env | {"RANK": r},
        )
        for r in ("0", "1")
    ]
    for process in pair:
        assert process.wait(timeout=200) == 0, process.stderr.read() if process.stderr else ""
    for name, alone in zip(("seeded", "started"), found_by(tmp_path), strict=True):
        for r in (0, 1):
            with np.load(tmp_path / f"{name}-{r}.npz") as theirs:
                for part, value in vars(alone).items():
                    assert theirs[part].tobytes() == value.tobytes(), (name, r, part)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
