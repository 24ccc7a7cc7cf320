import numpy as np
import pytest

from raydino.curation.duplicates import Pairs, Pool, deduplicate
from raydino.curation.neighbours import Neighbours
from raydino.errors import UserError

IDS = list("abcdefgh")


def pairs_of(*edges):
    return Pairs(np.array([e[:2] for e in edges], np.int64).reshape(-1, 2), np.array([e[2] for e in edges], np.float32))


def test_pairs_of_a_graph_are_sorted_and_none_stands_twice():
    rows = np.array([[1, 2], [0, 2], [1, -1]])
    similarities = np.array([[0.5, 0.1], [0.7, 0.9], [0.8, -np.inf]], np.float32)
    pairs = Pairs.of(Neighbours(rows, similarities))
    assert pairs.rows.tolist() == [[0, 1], [0, 2], [1, 2]]
    np.testing.assert_allclose(pairs.similarities, [0.7, 0.1, 0.9])


def test_the_largest_of_a_component_stays_and_among_equals_the_lowest_id():
    pool = Pool(IDS, sizes=[1, 2, 1, 4, 4, 1, 1, 1])
    found = deduplicate(pool, pairs_of((0, 1, 0.9), (1, 2, 0.8), (3, 4, 0.9), (5, 6, 0.79)), 0.8)
    assert found.duplicate_of.tolist() == [1, -1, 1, -1, 3, -1, -1, -1]
    assert found.reasons == ["near_duplicate", None, "near_duplicate", None, "near_duplicate", None, None, None]
    assert found.kept.sum() == 5
    assert len(found.pairs) == 3


def test_the_result_does_not_depend_on_the_order_of_the_rows():
    rng = np.random.default_rng(0)
    n = 60
    ids = [f"{i:03d}" for i in rng.permutation(n)]
    edges = {tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(40)}
    pairs = pairs_of(*[(*e, 1.0) for e in sorted(edges)])
    protected = rng.random(n) < 0.1
    patients = [f"p{i // 2}" for i in range(n)]
    first = deduplicate(Pool(ids, patients, protected=protected), pairs, 0.5)
    order = rng.permutation(n)
    place = np.argsort(order)
    moved = Pairs(np.sort(place[pairs.rows], axis=1), pairs.similarities)
    pool = Pool([ids[i] for i in order], [patients[i] for i in order], protected=protected[order])
    second = deduplicate(pool, moved, 0.5)
    assert [second.reasons[place[i]] for i in range(n)] == first.reasons


def test_exact_duplicates_go_without_any_pair():
    pool = Pool(IDS, contents=["x", "y", "x", "z", "w", "z", "v", "u"])
    found = deduplicate(pool, pairs_of((0, 4, 0.9)), 0.5)
    assert found.reasons == [None, None, "exact_duplicate", None, "near_duplicate", "exact_duplicate", None, None]
    assert found.duplicate_of.tolist() == [-1, -1, 0, -1, 0, 3, -1, -1]


def test_a_component_with_a_protected_film_leaves_whole_and_the_protected_stay():
    protected = np.array([False, False, True, False, False, False, False, True])
    chain = pairs_of((0, 1, 0.9), (1, 2, 0.9), (3, 4, 0.9))
    found = deduplicate(Pool(IDS, protected=protected), chain, 0.8)
    assert found.reasons == ["leak", "leak", None, None, "near_duplicate", None, None, None]
    assert found.duplicate_of.tolist() == [2, 2, -1, -1, 3, -1, -1, -1]


def test_a_film_equal_to_a_protected_one_is_a_leak():
    pool = Pool(["a", "b"], contents=["x", "x"], protected=np.array([False, True]))
    assert deduplicate(pool, pairs_of(), 0.8).reasons == ["leak", None]


def test_a_leaking_patient_leaves_with_all_films_and_cannot_stand_for_others():
    patients = ["p", "p", "test", "p", "q", "q", "r", "test"]
    protected = np.array([p == "test" for p in patients])
    pool = Pool(IDS, patients, protected=protected, sizes=[1, 1, 1, 9, 1, 1, 1, 1])
    edges = pairs_of((0, 2, 0.9), (3, 4, 0.9), (4, 5, 0.9))  # d, of the leaking patient, would stand for e and f
    found = deduplicate(pool, edges, 0.8)
    assert found.reasons == ["leak", "leak", None, "leak", None, "near_duplicate", None, None]
    assert found.duplicate_of.tolist() == [2, 2, -1, 2, -1, 4, -1, -1]
    alone = deduplicate(pool, edges, 0.8, leaks="component")
    assert alone.reasons == ["leak", None, None, None, "near_duplicate", "near_duplicate", None, None]


def test_pairs_tell_one_patient_from_two():
    pool = Pool(IDS, list("ppqqrrss"))
    found = deduplicate(pool, pairs_of((0, 1, 0.9), (1, 2, 0.9), (6, 7, 0.1)), 0.5)
    assert found.one_patient.tolist() == [True, False]
    assert not Pool(IDS).one_patient(found.pairs).any()


def test_nothing_to_do():
    found = deduplicate(Pool(IDS), pairs_of(), 0.5)
    assert found.kept.all()
    assert found.reasons == [None] * 8


@pytest.mark.parametrize("threshold", [1.01, -1.5, float("nan")])
def test_a_threshold_that_no_similarity_has(threshold):
    with pytest.raises(UserError, match="between -1 and 1"):
        deduplicate(Pool(IDS), pairs_of(), threshold)


def test_columns_of_another_length():
    with pytest.raises(UserError, match="2 patients for 8 films"):
        Pool(IDS, ["p", "q"])
