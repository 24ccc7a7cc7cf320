"""Shares, entropies and who is counted where, against figures worked out by hand and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from raydino.curation.composition import (
    FEW_FILMS,
    UNKNOWN,
    Axis,
    Evenness,
    Pool,
    compose,
    effective_number,
    entropy,
    folded,
    kl_to_uniform,
)


def axis(members: list[int], groups: tuple[str, ...]) -> Axis:
    return Axis("site", "Site", groups, np.arange(len(members)), np.array(members, np.int64))


def pool(selected: list[int], weight: list[float] | None = None, patient: list[int] | None = None) -> Pool:
    flags = np.array(selected, bool)
    weights = flags / flags.sum() if weight is None else np.array(weight, np.float64)
    return Pool(flags, weights, np.arange(len(flags)) if patient is None else np.array(patient, np.int64))


@pytest.mark.parametrize("seed", range(4))
def test_entropy_and_divergence_are_scipys(seed):
    amounts = np.random.default_rng(seed).integers(0, 30, 12).astype(float)
    shares = amounts / amounts.sum()
    assert entropy(amounts) == pytest.approx(stats.entropy(shares))
    assert kl_to_uniform(amounts) == pytest.approx(stats.entropy(shares, np.full(12, 1 / 12)))
    assert effective_number(amounts) == pytest.approx(math.exp(stats.entropy(shares)))


def test_even_and_concentrated_distributions():
    assert Evenness.of([5, 5, 5, 5]) == Evenness(4, pytest.approx(math.log(4)), pytest.approx(0.0), pytest.approx(4.0))
    assert Evenness.of([7, 0, 0]) == Evenness(3, 0.0, pytest.approx(math.log(3)), 1.0)


def test_no_amount_has_no_entropy():
    nothing = Evenness.of([])
    assert nothing.n_groups == 0
    assert math.isnan(nothing.entropy)
    assert math.isnan(nothing.kl)
    assert math.isnan(kl_to_uniform([0, 0]))


def test_negative_amounts_are_refused():
    with pytest.raises(ValueError, match="below 0"):
        entropy([3, -1])


def test_groups_by_hand():
    found = compose(
        axis([0, 0, 0, 1, 1, 2], ("north", "south", UNKNOWN)), pool([1, 0, 0, 1, 1, 0], patient=[1, 1, 2, 3, 3, -1])
    )
    north, south, unknown = found.groups
    assert (north.before, north.after, north.patients_before, north.patients_after) == (3, 1, 2, 1)
    assert (south.before, south.after, south.patients_before, south.patients_after) == (2, 2, 1, 1)
    assert (unknown.before, unknown.after, unknown.patients_before) == (1, 0, 0)
    assert north.share_before == pytest.approx(1 / 2)
    assert north.share_after == pytest.approx(1 / 3)
    assert south.ratio == pytest.approx((2 / 3) / (2 / 6))
    assert unknown.ratio == 0
    assert all(group.is_few for group in found.groups)


def test_unknown_adds_up_and_stays_out_of_the_entropy():
    rng = np.random.default_rng(3)
    members = rng.integers(0, 4, 500)
    weight = rng.random(500) * (rng.random(500) < 0.4)
    one = Pool(weight > 0, weight / weight.sum(), rng.integers(-1, 90, 500))
    found = compose(axis(list(members), ("a", "b", "c", UNKNOWN)), one)
    assert sum(group.before for group in found.groups) == 500
    assert sum(group.after for group in found.groups) == one.selected.sum()
    assert sum(group.share_before for group in found.groups) == pytest.approx(1)
    assert sum(group.share_after for group in found.groups) == pytest.approx(1)
    for number, group in enumerate(found.groups):
        patients = one.patient[members == number]
        assert group.patients_before == len(set(patients[patients >= 0]))
    known = np.bincount(members, minlength=4)[:3]
    assert found.even_before.entropy == pytest.approx(stats.entropy(known))
    drawn = np.bincount(members, weights=one.weight, minlength=4)[:3]
    assert found.even_after.kl == pytest.approx(math.log(3) - stats.entropy(drawn))


def test_after_is_told_by_weights():
    found = compose(axis([0, 0, 1], ("often", "seldom")), pool([1, 1, 1], weight=[0.05, 0.05, 0.9]))
    assert [group.after for group in found.groups] == [2, 1]
    assert [group.share_after for group in found.groups] == pytest.approx([0.1, 0.9])
    assert pool([1, 1, 1], weight=[0.05, 0.05, 0.9]).is_weighted
    assert not pool([1, 0, 1]).is_weighted


def test_few_films_are_told():
    members = [0] * FEW_FILMS + [1] * (FEW_FILMS - 1)
    enough, few = compose(axis(members, ("enough", "few")), pool([1] * len(members))).groups
    assert not enough.is_few
    assert few.is_few


def test_groups_of_no_film_are_left_out():
    found = compose(axis([0, 0], ("here", "nowhere", UNKNOWN)), pool([1, 1]))
    assert [group.name for group in found.groups] == ["here"]


def test_folding_adds_up_and_keeps_unknown_apart():
    members = [k for k in range(30) for _ in range(30 - k)] + [30] * 7
    found = compose(axis(members, (*(f"s{k}" for k in range(30)), UNKNOWN)), pool([1] * len(members)))
    shown = folded(found, 5)
    assert [group.name for group in shown.groups] == ["s0", "s1", "s2", "s3", "26 smaller groups", UNKNOWN]
    assert sum(group.before for group in shown.groups) == len(members)
    assert sum(group.share_after for group in shown.groups) == pytest.approx(1)
    assert shown.even_before == found.even_before
    assert folded(found, 30) == found
