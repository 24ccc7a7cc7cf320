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
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adapters.batches import FilmFeatures

SPAN_BYTES = 2 * 2**30  # of products that are kept; where they would be more, heads are fitted on features
_TILE_BYTES = 2**28  # of features at a time

Parts = Callable[[Any], list[Tensor]]  # of features [B, …]: P parts [B, columns]


class Spanned(NamedTuple):
    """B films: their positions in the split, and in each of G spaces their products with the N training films."""

    films: Tensor  # [B]
    products: Tensor  # [B, G, N]


class SpannedFilms(FilmFeatures):
    """A split's films as ``Spanned``, in place of features."""

    def __init__(self, sample_ids: Sequence[str], products: Tensor) -> None:
        self.sample_ids = list(sample_ids)
        self._products = products  # [films of the split, G, N]: all of a film in one piece, as films are read

    def read(self, films: Tensor) -> Any:
        """The films at these positions of ``sample_ids``."""
        return Spanned(films, self._products.index_select(0, films.to(self._products.device)))


class InSpan(torch.autograd.Function):
    """``products @ coefficients`` of training films, with the step in weights, told in coefficients, as its gradient.

    The gradient in W is Xᵀ slopes; the A that makes it is the slopes themselves, at the places of the batch's films.
    """

    @staticmethod
    def forward(ctx: Any, films: Tensor, products: Tensor, coefficients: Tensor) -> Tensor:
        """[B], [B, G, N] and [G, N, C] → [G, B, C]."""
        ctx.films, ctx.n_films = films.to(products.device), coefficients.shape[1]
        return torch.bmm(products.transpose(0, 1), coefficients)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[None, None, Tensor]:  # type: ignore[override]
        n_spaces, _, n_out = slopes.shape
        return None, None, slopes.new_zeros(n_spaces, ctx.n_films, n_out).index_add_(1, ctx.films, slopes)


def products(films: FilmFeatures, others: FilmFeatures, parts: Parts, shares: Tensor) -> tuple[Tensor, Tensor]:
    """[N, G, N] of N ``films`` with themselves and [M, G, N] of M ``others`` with them, in each of G spaces.

    Products in a space are a sum over parts: ``shares`` [G, P] of their products. So what spaces have in common is
    multiplied once. Features are read a tile of films at a time, so they take no more memory however many films there
    are.
    """
    one = parts(films.read(torch.arange(1)))
    tile = max(1, _TILE_BYTES // sum(part.nbytes for part in one))
    among, across = (shares.new_empty(len(rows), len(shares), len(films)) for rows in (films, others))
    places = [slice(start, start + tile) for start in range(0, len(films), tile)]
    for number, there in enumerate(places):
        theirs = parts(films.read(torch.arange(len(films))[there]))
        among[there, :, there] = _shared(theirs, theirs, shares).transpose(0, 1)
        for here in places[number + 1 :]:
            found = _shared(parts(films.read(torch.arange(len(films))[here])), theirs, shares)
            among[here, :, there], among[there, :, here] = found.transpose(0, 1), found.permute(2, 0, 1)
        for here in torch.arange(len(others)).split(tile):
            across[here, :, there] = _shared(parts(others.read(here)), theirs, shares).transpose(0, 1)
    return among, across


def _shared(mine: list[Tensor], theirs: list[Tensor], shares: Tensor) -> Tensor:
    """[G, films, films]."""
    return torch.tensordot(shares, torch.stack([a @ b.T for a, b in zip(mine, theirs, strict=True)]), dims=1)


def spanned_weights(films: FilmFeatures, columns: Callable[[Any], Tensor], coefficients: Tensor) -> Tensor:
    """[F, C] weights Xᵀ A of ``coefficients`` A [N, C], so that x W are a film's logits; X [N, F] are ``columns``."""
    parts = (columns(output).T @ coefficients[batch.to(coefficients.device)] for batch, output in films.batches())
    return reduce(torch.add, parts)
