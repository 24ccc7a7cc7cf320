"""The tree of clusters: sizes that add up, a bounded number shown, the films that are truly the most central."""

import math

import numpy as np
import pandas as pd
import pytest

from raydino.curation.hierarchy import Hierarchy, Level
from raydino.curation.tree import (
    CENTRAL_FILMS,
    DEPTH,
    MARKED_CLUSTERS,
    SUB_CLUSTERS,
    TOP_CLUSTERS,
    Cluster,
    Tree,
    grow_tree,
    level_sizes,
    paths_of,
)


def some_selection(n: int, ks: tuple[int, ...], *, n_removed: int = 0, seed: int = 0) -> tuple[pd.DataFrame, Hierarchy]:
    """A pool of n films in random clusters of unequal sizes, a random third selected; some removed before."""
    rng = np.random.default_rng(seed)
    levels, below = [], n - n_removed
    for k in ks:
        parents = np.concatenate([np.arange(k), (k * rng.random(below - k) ** 3).astype(np.int64)])
        levels.append(Level(rng.normal(size=(k, 4)).astype(np.float32), rng.permutation(parents)))
        below = k
    hierarchy = Hierarchy(tuple(levels), rng.random(n - n_removed).astype(np.float32))
    clustered = np.sort(rng.permutation(n)[n_removed:])
    selected = np.zeros(n, bool)
    selected[clustered] = rng.random(len(clustered)) < 1 / 3
    reason = np.where(selected, None, "not_sampled").astype(object)
    reason[np.setdiff1d(np.arange(n), clustered)] = "near_duplicate"
    frame = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "selected": selected})
    frame["weight"] = selected / selected.sum()
    frame["reason"] = reason
    frame["distance"] = pd.Series(np.sqrt(hierarchy.squared_distances.astype(np.float64)), index=clustered)
    for level, clusters in enumerate(hierarchy.paths().T):
        frame[f"cluster_l{level + 1}"] = pd.Series(clusters, index=clustered, dtype="Int64").reindex(frame.index)
    return frame, hierarchy


def grown(frame: pd.DataFrame, hierarchy: Hierarchy | None) -> Tree:
    tree = grow_tree(frame, level_sizes(frame), hierarchy)
    assert tree is not None
    return tree


def test_sizes_count_the_films_that_were_clustered():
    frame, hierarchy = some_selection(400, (40, 9), n_removed=30)
    films, paths = paths_of(frame)
    assert np.array_equal(paths, hierarchy.paths())
    assert (frame["reason"].to_numpy()[films] != "near_duplicate").all()
    for sizes in level_sizes(frame):
        clusters = frame[f"cluster_l{sizes.level}"]
        for k in range(len(sizes.before)):
            inside = (clusters == k).fillna(False).to_numpy(bool)
            assert sizes.before[k] == inside.sum()
            assert sizes.after[k] == (inside & frame["selected"]).sum()
            assert sizes.drawn[k] == pytest.approx(frame["weight"][inside].sum())
        assert sizes.before.sum() == 370
        assert sizes.n_gone == (sizes.after == 0).sum()


def test_levels_from_ten_on_stand_in_the_order_of_numbers():
    frame = pd.DataFrame({"cluster_l10": [3], "cluster_l2": [2], "cluster_l1": [1]})
    assert paths_of(frame)[1].tolist() == [[1, 2, 3]]


def test_nothing_clustered_has_no_tree():
    frame, _ = some_selection(50, (5,))
    frame = frame.drop(columns="cluster_l1")
    assert level_sizes(frame) == []
    assert grow_tree(frame, [], None) is None


def test_a_small_tree_is_shown_whole_and_adds_up():
    frame, hierarchy = some_selection(300, (12, 3))
    tree = grown(frame, hierarchy)
    assert sum(cluster.before for cluster in tree.shown) == 300
    assert sum(cluster.share_after for cluster in tree.shown) == pytest.approx(1)
    assert [cluster.before for cluster in tree.shown] == sorted((c.before for c in tree.shown), reverse=True)
    for cluster in tree.shown:
        assert cluster.n_children == (hierarchy.levels[1].parents == cluster.index).sum()
        if cluster.n_children <= SUB_CLUSTERS:
            assert sum(child.before for child in cluster.children) == cluster.before
            assert sum(child.after for child in cluster.children) == cluster.after


def depth(cluster: Cluster) -> int:
    return 1 + max((depth(child) for child in cluster.children), default=0)


def test_a_large_tree_is_bounded_and_keeps_the_ends():
    frame, hierarchy = some_selection(9000, (3000, 900, 300, 120))
    tree = grown(frame, hierarchy)
    top = level_sizes(frame)[-1]
    assert tree.n_top == 120
    assert len(tree.shown) == TOP_CLUSTERS
    assert max(depth(cluster) for cluster in tree.shown) == DEPTH
    assert all(len(cluster.children) <= SUB_CLUSTERS for cluster in tree.shown)
    shown = {cluster.index for cluster in tree.shown}
    assert shown >= {*tree.lost_most, *tree.rarest_kept, int(top.before.argmax())}
    assert tree.lost_most[0] == top.change.argmin()
    assert len(tree.rarest_kept) == MARKED_CLUSTERS
    largest_rare = top.before[tree.rarest_kept[-1]]
    others = [k for k in np.flatnonzero(top.after) if k not in tree.rarest_kept]
    assert (top.before[others] >= largest_rare).all()


def test_the_finest_clusters_show_their_nearest_films():
    frame, hierarchy = some_selection(200, (4,))
    for cluster in grown(frame, hierarchy).shown:
        members = frame[(frame["cluster_l1"] == cluster.index).to_numpy(bool)]
        assert list(cluster.central) == list(members.sort_values("distance").index[: CENTRAL_FILMS[0]])


def test_above_the_films_of_the_nearest_clusters_come_first():
    frame, hierarchy = some_selection(900, (60, 3))
    for cluster in grown(frame, hierarchy).shown:
        centre = hierarchy.levels[1].centroids[cluster.index]
        below = np.flatnonzero(hierarchy.levels[1].parents == cluster.index)
        away = [math.dist(hierarchy.levels[0].centroids[k], centre) for k in below]
        expected = []
        for k in below[np.argsort(away)][: CENTRAL_FILMS[0]]:
            members = frame[(frame["cluster_l1"] == k).to_numpy(bool)]
            expected.append(members["distance"].idxmin())
        assert list(cluster.central[: len(expected)]) == expected


def test_without_centroids_the_nearest_films_come_first():
    frame, _ = some_selection(300, (20, 2))
    for cluster in grown(frame, None).shown:
        members = frame[(frame["cluster_l2"] == cluster.index).to_numpy(bool)]
        nearest = list(members.sort_values("distance").groupby("cluster_l1").head(1).index[: CENTRAL_FILMS[0]])
        assert list(cluster.central[: len(nearest)]) == nearest


def test_a_cluster_smaller_than_its_strip_shows_all_it_has():
    frame, hierarchy = some_selection(40, (30, 10))
    for cluster in grown(frame, hierarchy).shown:
        assert len(set(cluster.central)) == len(cluster.central) == min(cluster.before, CENTRAL_FILMS[0])
