"""Every film once an epoch, or as often as its weight says, and each epoch in an order of its own."""

import numpy as np
import pytest

from raydino.data.order import ShuffledEpochs, WeightedEpochs
from raydino.errors import UserError


def test_every_film_once_an_epoch():
    order = [ShuffledEpochs(7, 0).film_at(position) for position in range(3 * 7)]
    epochs = [order[start : start + 7] for start in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert order != [ShuffledEpochs(7, 1).film_at(position) for position in range(3 * 7)]


def test_far_positions_are_as_good_as_near_ones():
    order = ShuffledEpochs(5, 3)
    assert sorted(order.film_at(5 * 10**9 + i) for i in range(5)) == list(range(5))


def test_weights_hold_in_every_epoch():
    weights = np.random.default_rng(0).dirichlet(np.full(50, 0.3))
    order = WeightedEpochs(weights, 4)
    epochs = np.array([order.film_at(position) for position in range(200 * 50)]).reshape(200, 50)
    counts = np.stack([np.bincount(epoch, minlength=50) for epoch in epochs])
    assert (np.abs(counts - 50 * weights) < 1).all()
    np.testing.assert_allclose(counts.mean(0), 50 * weights, atol=0.15)  # four standard errors of a rounding
    assert len({tuple(epoch) for epoch in epochs}) == 200


def test_equal_weights_are_every_film_once():
    order = WeightedEpochs(np.full(9, 1 / 9), 0)
    assert sorted(order.film_at(9 * 5 + i) for i in range(9)) == list(range(9))


def test_a_weighted_position_needs_no_history():
    weights = np.random.default_rng(1).dirichlet(np.ones(30))
    positions = [70, 3, 10**9, 4, 71]
    one_order = WeightedEpochs(weights, 2)
    assert [one_order.film_at(p) for p in positions] == [WeightedEpochs(weights, 2).film_at(p) for p in positions]


@pytest.mark.parametrize("make", [lambda: ShuffledEpochs(0, 0), lambda: WeightedEpochs(np.zeros(0), 0)])
def test_no_film(make):
    with pytest.raises(UserError, match="no film to train on"):
        make()
