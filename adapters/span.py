"""Films told by their products with the training films: linear heads of any width and rate, fitted without features.

A linear head that starts at 0 and follows its gradient stays W = Xᵀ A, a sum of training films [N, F], for the gradient
of each batch is Xᵀ times the slopes of its films' logits. Its logits are X Xᵀ A, so once the products X Xᵀ [N, N] are
known, descent in A takes the same steps as descent in W, whatever F is, and every learning rate and label uses the same
products. That holds for SGD with momentum; Adam, which scales each weight by itself, leaves the span.
Neighbours: ``batches`` (films told by features), ``classification.grid`` (the caller).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adapters.batches import FilmFeatures

SPAN_BYTES = 2 * 2**30  # of products that are kept; where they would be more, heads are fitted on features
_TILE_BYTES = 2**28  # of features at a time

# of features [B, …]: for each readout its columns, in parts that are read together with all parts before them
Parts = Callable[[Any], list[list[Tensor]]]


class Spanned(NamedTuple):
    """B films: their positions in the split, and in each of G spaces their products with the N training films."""

    films: Tensor  # [B]
    products: Tensor  # [G, B, N]


class SpannedFilms(FilmFeatures):
    """A split's films as ``Spanned``, in place of features."""

    def __init__(self, sample_ids: Sequence[str], products: Tensor) -> None:
        self.sample_ids = list(sample_ids)
        self._products = products  # [G, films of the split, N]

    def read(self, films: Tensor) -> Any:
        """The films at these positions of ``sample_ids``."""
        return Spanned(films, self._products.index_select(1, films.to(self._products.device)))


class InSpan(torch.autograd.Function):
    """``products @ coefficients`` of training films, with the step in weights, told in coefficients, as its gradient.

    The gradient in W is Xᵀ slopes; the A that makes it is the slopes themselves, at the places of the batch's films.
    """

    @staticmethod
    def forward(ctx: Any, films: Tensor, products: Tensor, coefficients: Tensor) -> Tensor:
        """[B], [G, B, N] and [G, N, C] → [G, B, C]."""
        ctx.films, ctx.n_films = films.to(products.device), coefficients.shape[1]
        return torch.bmm(products, coefficients)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[None, None, Tensor]:  # type: ignore[override]
        n_spaces, _, n_out = slopes.shape
        return None, None, slopes.new_zeros(n_spaces, ctx.n_films, n_out).index_add_(1, ctx.films, slopes)


def products(films: FilmFeatures, others: FilmFeatures, parts: Parts) -> tuple[Tensor, Tensor]:
    """[G, N, N] of N ``films`` with themselves and [G, M, N] of M ``others`` with them, over the number of columns.

    A space is a readout and depth of ``parts``. Features are read a tile of films at a time, so they take no more
    memory however many films there are.
    """
    one = parts(films.read(torch.arange(1)))
    widths = [width for readout in one for width in accumulate(part.shape[1] for part in readout)]
    scale = one[0][0].new_tensor(widths).reciprocal_()[:, None, None]
    size = one[0][0].element_size() * sum(part.shape[1] for readout in one for part in readout)
    tile = max(1, _TILE_BYTES // size)
    among, across = (scale.new_empty(len(widths), len(rows), len(films)) for rows in (films, others))
    places = [slice(start, start + tile) for start in range(0, len(films), tile)]
    for number, there in enumerate(places):
        theirs = parts(films.read(torch.arange(len(films))[there]))
        among[:, there, there] = scale * _depths(theirs, theirs)
        for here in places[number + 1 :]:
            found = scale * _depths(parts(films.read(torch.arange(len(films))[here])), theirs)
            among[:, here, there], among[:, there, here] = found, found.mT
        for here in torch.arange(len(others)).split(tile):
            across[:, here, there] = scale * _depths(parts(others.read(here)), theirs)
    return among, across


def _depths(mine: list[list[Tensor]], theirs: list[list[Tensor]]) -> Tensor:
    """[G, films, films]: of each readout the products of its first part, of its first two, …"""
    pairs = (zip(*readouts, strict=True) for readouts in zip(mine, theirs, strict=True))
    return torch.stack([product for pair in pairs for product in accumulate(a @ b.T for a, b in pair)])


def spanned_weights(films: FilmFeatures, columns: Callable[[Any], Tensor], coefficients: Tensor) -> Tensor:
    """[F, C] weights Xᵀ A / √F of ``coefficients`` A [N, C], so that x W / √F are a film's logits."""
    parts = (columns(output).T @ coefficients[batch.to(coefficients.device)] for batch, output in films.batches())
    weights = reduce(torch.add, parts)
    return weights / len(weights) ** 0.5
