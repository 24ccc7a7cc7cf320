import numpy as np
import pytest

from raydino.curation.retrieval import retrieve_by_cluster, retrieve_by_sample
from raydino.errors import UserError


@pytest.fixture
def pool():
    return np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)


def test_by_sample_gives_the_union_of_each_querys_nearest(pool):
    queries = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, pool)]
    nearest = np.argsort(-(unit[0] @ unit[1].T), axis=1)[:, :4]
    assert retrieve_by_sample(pool, queries, k=4).tolist() == sorted(set(nearest.ravel().tolist()))


def test_a_cap_keeps_those_most_alike(pool):
    queries = pool[[5, 9, 17]]
    assert retrieve_by_sample(pool, queries, k=10, at_most=3).tolist() == [5, 9, 17]


def test_by_cluster_takes_from_clusters_with_more_queries_than_that():
    centroids = np.eye(3, dtype=np.float32) * 10
    assignment = np.array([0, 1, 2] * 20)
    queries = np.repeat(centroids, [4, 3, 5], axis=0)
    rows = retrieve_by_cluster(assignment, centroids, queries, more_than=3, of_each=6, seed=0)
    assert len(rows) == 12
    assert (np.diff(rows) > 0).all()
    assert np.bincount(assignment[rows]).tolist() == [6, 0, 6]
    small = retrieve_by_cluster(assignment, centroids, queries, more_than=3, of_each=99, seed=0)
    assert small.tolist() == np.flatnonzero(assignment != 1).tolist()


def test_by_cluster_is_a_function_of_its_seed():
    rng = np.random.default_rng(0)
    centroids, assignment = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(0, 5, 500)
    queries = rng.normal(size=(60, 4)).astype(np.float32)

    def take(seed):
        return retrieve_by_cluster(assignment, centroids, queries, more_than=1, of_each=30, at_most=50, seed=seed)

    assert len(take(1)) == 50
    assert take(1).tolist() == take(1).tolist() != take(2).tolist()


def test_no_cluster_is_asked_for_often_enough():
    rows = retrieve_by_cluster(
        np.zeros(5, int), np.zeros((1, 2), np.float32), np.ones((2, 2)), more_than=2, of_each=1, seed=0
    )
    assert rows.tolist() == []


def test_faulty_numbers(pool):
    with pytest.raises(UserError, match="201 neighbours among 200"):
        retrieve_by_sample(pool, pool[:1], k=201)
    with pytest.raises(UserError, match="at_most is 0"):
        retrieve_by_sample(pool, pool[:1], k=1, at_most=0)
    with pytest.raises(UserError, match="features of one encoder"):
        retrieve_by_cluster(np.zeros(3, int), np.zeros((1, 2), np.float32), pool, more_than=1, of_each=1, seed=0)
