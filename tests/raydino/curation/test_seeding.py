"""Seeding against greedy and plain k-means++ written out one draw at a time."""

import numpy as np
import pytest
import torch

from raydino.curation import seeding
from raydino.curation.blocks import Queries, origin_of
from raydino.curation.seeding import plus_plus
from raydino.curation.shares import Share
from raydino.errors import UserError

CPU = torch.device("cpu")


def seeds_of(vectors, k, seed):
    rng = np.random.default_rng(seed)
    share = Share.mine(len(vectors))
    queries = Queries(vectors, share.rows, origin_of(vectors, CPU))
    return plus_plus(vectors, k, rng=rng, share=share, queries=queries)


def one_by_one(vectors, k, seed, trials=1):
    """k-means++ as the paper has it; with ``trials`` draws a seed, of which the one that lowers D² most."""
    rng = np.random.default_rng(seed)
    vectors = vectors.astype(np.float64)
    rows = [rng.integers(len(vectors))]
    squared = ((vectors - vectors[rows[0]]) ** 2).sum(1)
    while len(rows) < k:
        drawn = rng.choice(len(vectors), trials, p=squared / squared.sum())
        after = [np.minimum(squared, ((vectors - vectors[row]) ** 2).sum(1)) for row in drawn]
        best = int(np.argmin([a.sum() for a in after]))
        rows.append(drawn[best])
        squared = after[best]
    return np.asarray(rows)


def potential(vectors, rows):
    distances = ((vectors.astype(np.float64)[:, None] - vectors[rows].astype(np.float64)) ** 2).sum(2)
    return distances.min(1).sum()


def mixture(rng, n=1500, dim=8, components=150):
    weights = 1 / np.arange(1, components + 1)
    centres = rng.standard_normal((components, dim))
    drawn = centres[rng.choice(components, n, p=weights / weights.sum())]
    return (drawn + 0.15 * rng.standard_normal((n, dim))).astype(np.float32)


def test_as_good_as_greedy_and_better_than_plain(monkeypatch):
    vectors = mixture(np.random.default_rng(0))
    ours = np.mean([potential(vectors, seeds_of(vectors, 100, s).rows) for s in range(12)])
    plain = np.mean([potential(vectors, one_by_one(vectors, 100, s)) for s in range(12)])
    greedy = np.mean([potential(vectors, one_by_one(vectors, 100, s, trials=4)) for s in range(12)])
    assert ours < 1.04 * greedy
    monkeypatch.setattr(seeding, "_JURY", 600)
    sampled = np.mean([potential(vectors, seeds_of(vectors, 100, s).rows) for s in range(12)])
    assert sampled < 0.9 * plain


def test_the_draws_of_a_round_are_those_of_k_means_plus_plus(monkeypatch):
    """With one draw a seed: the second and third are as frequent as when D² is brought up to date after each."""
    monkeypatch.setattr(seeding, "_TRIALS", 1)
    points = np.asarray([[0.0], [1.0], [3.0], [7.0], [7.5]])
    tensor = torch.from_numpy(points.astype(np.float32))
    distances = ((points - points.T) ** 2).astype(np.float32)
    then = distances[1]
    expected = np.zeros((5, 5))
    for b, c in np.ndindex(5, 5):
        after = np.minimum(then, distances[b])
        expected[b, c] = then[b] / then.sum() * after[c] / after.sum()
    n, found = 2000, np.zeros((5, 5))  # of 200 draws two are accepted, but for one time in 200,000
    rng = np.random.default_rng(0)
    for _ in range(n):
        rows = seeding._draw(then, 200, rng)
        pair = seeding._choose(rows, then[rows], tensor[rows], then, tensor, rng.random(200))[:2]
        found[tuple(rows[pair])] += 1 / n
    assert expected.sum() == pytest.approx(1)
    assert np.abs(found - expected).max() < 4 * np.sqrt(expected.max() / n)
    assert not found[expected == 0].any()


def test_the_assignment_is_the_nearest_seed():
    vectors = mixture(np.random.default_rng(2))
    seeds = seeds_of(vectors, 130, 5)
    distances = ((vectors.astype(np.float64)[:, None] - vectors[seeds.rows].astype(np.float64)) ** 2).sum(2)
    assert np.array_equal(seeds.assignment, distances.argmin(1))


def test_every_distinct_vector_can_be_had_and_no_more():
    rng = np.random.default_rng(4)
    distinct = rng.standard_normal((60, 5)).astype(np.float32)
    vectors = distinct[rng.permutation(np.repeat(np.arange(60), 20))]
    rows = seeds_of(vectors, 60, 0).rows
    assert len(np.unique(vectors[rows], axis=0)) == 60
    with pytest.raises(UserError, match="61 clusters were asked for, and there are 60 distinct vectors"):
        seeds_of(vectors, 61, 0)
