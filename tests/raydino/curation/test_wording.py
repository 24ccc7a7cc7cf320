"""Sentences that say what the counts say, and no more."""

import math

import numpy as np
import pytest

from raydino.curation.composition import NO_FINDING, UNKNOWN, Composition, Evenness, Group, Pool
from raydino.curation.tree import Sizes
from raydino.curation.wording import balance_sentence, effective, extremes, fate_sentence, group_sentence, percent


def pool(n: int, n_selected: int, weight: list[float] | None = None) -> Pool:
    selected = np.arange(n) < n_selected
    return Pool(selected, selected / n_selected if weight is None else np.array(weight), np.full(n, -1))


def group(name: str, before: int, after: int, *, of: int = 1000, to: int = 500) -> Group:
    return Group(name, before, after, before, after, before / of, after / to)


def site(*groups: Group) -> Composition:
    return Composition("site", "Site", groups, Evenness.of([1, 1]), Evenness.of([1, 1]))


def test_shares_keep_two_figures():
    texts = [percent(x).replace("\u00a0", " ") for x in (0, 0.0001, 0.0123, 0.0994, 0.0996, 0.5, 1, math.nan)]
    assert texts == ["0 %", "< 0.1 %", "1.2 %", "9.9 %", "10 %", "50 %", "100 %", "–"]
    assert [effective(x) for x in (3.14159, 99.96, 12345.6, math.nan)] == ["3.1", "100.0", "12,346", "–"]


def test_the_fate_of_a_pool():
    said = fate_sentence(pool(1200, 400), {"exact_duplicate": 3, "leak": 7, "not_sampled": 790}, "film")
    assert said.replace("\u00a0", " ") == (
        "Of 1,200 films, 400 (33 %) were selected and 800 left out: 3 exact duplicates, 7 leaks and 790 not sampled."
    )
    assert fate_sentence(pool(5, 5), {}, "item").replace("\u00a0", " ") == (
        "Of 5 items, 5 (100 %) were selected and none left out."
    )
    assert "to be drawn by weight" in fate_sentence(pool(3, 3, [0.5, 0.25, 0.25]), {}, "film")
    assert "(20" in fate_sentence(pool(5, 1), {"near_duplicate": 1, "not_sampled": 3}, "film")
    assert "1 near duplicate " in fate_sentence(pool(5, 1), {"near_duplicate": 1, "not_sampled": 3}, "film")


def test_balance_says_which_way_the_clusters_went():
    def sizes(before: list[int], drawn: list[float]) -> Sizes:
        return Sizes(1, np.array(before), np.array(before), np.array(drawn))

    assert "is more even than the pool" in balance_sentence(sizes([90, 10], [0.5, 0.5]), [], "film")
    assert "is less even than the pool" in balance_sentence(sizes([50, 50], [0.9, 0.1]), [], "film")
    assert "is as even as the pool" in balance_sentence(sizes([50, 50], [0.5, 0.5]), [], "film")
    assert "Nothing is known" in balance_sentence(None, [], "item")


def test_who_lost_most_is_named_with_shares():
    said = balance_sentence(None, [site(group("north", 600, 400), group("south", 400, 100))], "film")
    assert said.replace("\u00a0", " ") == (
        "Of the groups that we can tell apart, site south lost most: 40 % of the pool, 20 % of the selection."
    )


def test_few_unknown_and_unmoved_groups_are_not_named():
    found = site(
        group("nine films", 9, 0),
        group("below a hundredth", 9, 0, of=1000),
        group("hardly moved", 500, 245),
        group(UNKNOWN, 300, 10),
        group(NO_FINDING, 300, 10),
        group("lost", 100, 20),
        group("gained", 100, 150),
    )
    assert [name for _, name, _ in extremes([found], gained=False)] == ["site lost"]
    assert [name for _, name, _ in extremes([found], gained=True)] == ["site gained"]


def test_the_most_moved_come_first_and_three_at_most():
    found = site(*(group(f"g{k}", 100, 10 * k) for k in range(1, 5)))
    assert [one.name for _, _, one in extremes([found], gained=False)] == ["g1", "g2", "g3"]


@pytest.mark.parametrize(("patients", "says"), [(40, ", of 40 patients 7 left;"), (0, "films;")])
def test_a_group_in_one_sentence(patients, says):
    one = Group("south", 400, 100, patients, min(patients, 7), 0.4, 0.2)
    said = group_sentence("site south", one)
    assert said.startswith("Site south: 400 → 100 films")
    assert says in said
    assert said.endswith("(ratio 0.50)")
