"""The whole of curation on vectors whose truth is known: every row is accounted for, and each step does its part."""

import numpy as np
import pytest

from raydino.config import parse_config
from raydino.curation.curate import curate
from raydino.curation.embeddings import Embeddings
from raydino.curation.material import material_of_vectors
from raydino.curation.recipe import CurateRecipe
from raydino.errors import UserError

LEVELS = [{"n_clusters": 24, "n_resamplings": 2}, {"n_clusters": 6, "n_resamplings": 2}]


def recipe(**values):
    return parse_config(values, CurateRecipe)


@pytest.fixture(scope="module")
def mixture():
    """400 vectors around 6 directions, one of them with three quarters of all."""
    rng = np.random.default_rng(0)
    component = np.sort(rng.choice(6, 400, p=[0.75, 0.05, 0.05, 0.05, 0.05, 0.05]))
    centres = rng.normal(size=(6, 16))
    vectors = (centres[component] + 0.3 * rng.normal(size=(400, 16))).astype(np.float32)
    return Embeddings([f"v{i:03}" for i in range(400)], vectors, {"embeddings": "x"}), component


def adds_up(table, n):
    assert len(table) == n
    assert (table["selected"] == table["reason"].isna()).all()
    assert (table["weight"] > 0).equals(table["selected"])
    assert table["weight"].sum() == pytest.approx(1)


def test_a_balanced_subset(mixture, tmp_path):
    pool, component = mixture
    sampling = {"use": "subset", "budget": 0.2}
    curated = curate(material_of_vectors(pool), recipe(levels=LEVELS, sampling=sampling), work=tmp_path)
    adds_up(curated.table, 400)
    chosen = curated.table["selected"].to_numpy()
    assert chosen.sum() == 80
    assert (component[chosen] == 0).mean() < 0.45  # 0.75 of the pool
    assert set(curated.table["reason"].dropna()) == {"not_sampled"}
    assert curated.table["cluster_l1"].notna().all()
    assert curated.table["cluster_l2"].nunique() == 6
    again = curate(material_of_vectors(pool), recipe(levels=LEVELS, sampling=sampling), work=tmp_path / "else")
    assert again.table.equals(curated.table)


def test_balanced_weights_keep_every_vector(mixture, tmp_path):
    pool, component = mixture
    curated = curate(
        material_of_vectors(pool), recipe(levels=LEVELS, sampling={"use": "weights", "balance": 1.0}), work=tmp_path
    )
    adds_up(curated.table, 400)
    assert curated.table["selected"].all()
    assert curated.table["weight"][component == 0].sum() < 0.45


def test_copies_and_leaks_leave_first(mixture, tmp_path):
    pool, _ = mixture
    vectors = pool.vectors.copy()
    vectors[7] = vectors[3] * 1.001  # a copy within the pool
    protected = Embeddings(["p0", "p1"], np.stack([vectors[100] * 2, -vectors[5]]), {"embeddings": "y"})
    material = material_of_vectors(Embeddings(pool.ids, vectors, pool.inputs), [protected])
    wanted = recipe(duplicates={"compare": "vectors", "threshold": 0.9999, "neighbours": 5})
    curated = curate(material, wanted, work=tmp_path)
    adds_up(curated.table, 400)
    out = curated.table[~curated.table["selected"]].set_index("sample_id")
    assert dict(out["reason"]) == {"v007": "near_duplicate", "v100": "leak"}
    assert dict(out["duplicate_of"]) == {"v007": "v003", "v100": "protected-1/p0"}
    assert curated.hierarchy is None
    assert curated.table["weight"].nunique() == 2


@pytest.mark.parametrize(
    "retrieval", [{"by": "sample", "k": 4}, {"by": "cluster", "n_clusters": 6, "more_than": 1, "of_each": 30}]
)
def test_retrieval_keeps_what_queries_ask_for(mixture, tmp_path, retrieval):
    pool, component = mixture
    rows = np.flatnonzero(component == 3)[:5]
    queries = Embeddings([f"q{i}" for i in range(5)], pool.vectors[rows] * 3, {"embeddings": "q"})
    curated = curate(material_of_vectors(pool, queries=[queries]), recipe(retrieval=retrieval), work=tmp_path)
    adds_up(curated.table, 400)
    assert curated.table["selected"].sum() >= 4
    assert (component[curated.table["selected"].to_numpy()] == 3).all()
    assert set(curated.table["reason"].dropna()) == {"not_retrieved"}


def test_queries_of_another_kind(mixture, tmp_path):
    queries = Embeddings(["q"], np.ones((1, 3), np.float32), {})
    with pytest.raises(UserError, match="vectors of 3 values beside a pool of 16"):
        curate(
            material_of_vectors(mixture[0], queries=[queries]),
            recipe(retrieval={"by": "sample", "k": 4}),
            work=tmp_path,
        )


def test_a_budget_above_what_is_left(mixture, tmp_path):
    wanted = recipe(levels=LEVELS, sampling={"use": "subset", "budget": 401})
    with pytest.raises(UserError, match="recipe.sampling: cannot sample 401 of 400"):
        curate(material_of_vectors(mixture[0]), wanted, work=tmp_path)


def test_more_clusters_than_vectors(mixture, tmp_path):
    wanted = recipe(levels=[{"n_clusters": 500}], sampling={"use": "weights"})
    with pytest.raises(UserError, match="level 1: 500 clusters of 400 vectors"):
        curate(material_of_vectors(mixture[0]), wanted, work=tmp_path)


def test_a_vector_of_zeros_has_no_direction(mixture, tmp_path):
    vectors = mixture[0].vectors.copy()
    vectors[9] = 0
    pool = Embeddings(mixture[0].ids, vectors, {})
    wanted = recipe(levels=LEVELS, sampling={"use": "weights"})
    with pytest.raises(UserError, match="set recipe.metric=l2"):
        curate(material_of_vectors(pool), wanted, work=tmp_path)


def test_films_are_needed_to_compare_films(mixture, tmp_path):
    with pytest.raises(UserError, match="no films to compare"):
        curate(material_of_vectors(mixture[0]), recipe(duplicates={}), work=tmp_path)


def test_vectors_of_two_kinds(mixture):
    other = Embeddings(["a"], np.ones((1, 3), np.float32), {})
    with pytest.raises(UserError, match="3 values beside a pool of 16"):
        material_of_vectors(mixture[0], [other])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({}, "nothing to do"),
        ({"levels": LEVELS}, "levels and sampling go together"),
        ({"sampling": {"use": "weights"}}, "levels and sampling go together"),
        ({"duplicates": {"compare": "vectors"}}, "give a threshold"),
        ({"duplicates": {"threshold": 1.5}}, "threshold"),
    ],
)
def test_recipes_that_make_no_sense(values, match):
    with pytest.raises(UserError, match=match):
        recipe(**values)
