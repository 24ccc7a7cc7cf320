"""Every film once an epoch, and each epoch in an order of its own."""

import pytest

from raydino.data.order import ShuffledEpochs
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


def test_no_film():
    with pytest.raises(UserError, match="no film to train on"):
        ShuffledEpochs(0, 0)
