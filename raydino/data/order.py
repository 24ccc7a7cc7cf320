"""Which film stands where in the endless sequence that training reads."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from raydino.errors import UserError

ORDER_STREAM = 0  # keeps these random numbers apart from those of views and masks (data/batches.py)


class Order(Protocol):
    """A pure function of the position, so that a resume needs no state and ranks need not talk."""

    def film_at(self, position: int) -> int:
        """The index of the film at ``position`` (0 is the first)."""


class ShuffledEpochs:
    """Every film once an epoch, each epoch in an order of its own."""

    def __init__(self, n_films: int, seed: int) -> None:
        if n_films == 0:
            raise UserError("there is no film to train on")
        self._n_films, self._seed = n_films, seed

    def film_at(self, position: int) -> int:
        epoch, place = divmod(position, self._n_films)
        return int(_shuffled(self._n_films, self._seed, epoch)[place])


class WeightedEpochs:
    """Epochs of as many places as there are films, film i in n·wᵢ of them, rounded up or down at random.

    ``weights`` [n] are not negative and sum to 1. The rounding is systematic sampling: a comb of n teeth, moved by one
    random number an epoch, over the cumulated weights. So every epoch keeps the balance, not the average epoch alone,
    and equal weights give each film once.
    """

    def __init__(self, weights: npt.NDArray[np.float64], seed: int) -> None:
        if not weights.sum() > 0:
            raise UserError("there is no film to train on")
        self._cumulated, self._seed = np.cumsum(weights) / weights.sum(), seed
        self._epoch: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def film_at(self, position: int) -> int:
        epoch, place = divmod(position, len(self._cumulated))
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._drawn(epoch))
        return int(self._epoch[1][place])

    def _drawn(self, epoch: int) -> npt.NDArray[np.int64]:
        n = len(self._cumulated)
        rng = np.random.default_rng([self._seed, ORDER_STREAM, epoch])
        comb = (np.arange(n) + rng.random()) / n
        return rng.permutation(np.searchsorted(self._cumulated, comb, side="right").clip(max=n - 1))


@lru_cache(maxsize=4)
def _shuffled(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order of an epoch."""
    return np.random.default_rng([seed, ORDER_STREAM, epoch]).permutation(n)
