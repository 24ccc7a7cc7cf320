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


@lru_cache(maxsize=4)
def _shuffled(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order of an epoch."""
    return np.random.default_rng([seed, ORDER_STREAM, epoch]).permutation(n)
