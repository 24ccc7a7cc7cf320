"""The features of chosen films, read batch by batch: nothing is copied as a whole, so they may exceed memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from raydino.encoder import LAST, Blocks, EncoderOutput
from raydino.errors import UserError
from raydino.features import Features

BATCH = 128  # films at a time wherever the batch size cannot change the result
KEPT_BYTES = 2 * 2**30  # of readouts that stay in memory; beyond, each is made of the tokens whenever it is read
CONDENSED = 4  # films whose tokens are read before a readout is made of them: they are still in the processor's cache


class FilmFeatures:
    """The rows of ``sample_ids`` and the tokens of ``blocks`` in ``features``, on ``device`` when they are read."""

    def __init__(
        self,
        features: Features,
        sample_ids: Sequence[str],
        device: torch.device | str = "cpu",
        blocks: Blocks = LAST,
    ) -> None:
        position = {sample_id: row for row, sample_id in enumerate(features.sample_ids)}
        missing = [s for s in sample_ids if s not in position]
        if missing:
            raise UserError(
                f"{len(missing)} films have no features, {missing[0]} among them", remedy="run raydino embed again"
            )
        self.sample_ids = list(sample_ids)
        self._rows = torch.tensor([position[s] for s in sample_ids], dtype=torch.long)
        self._output = features.output
        self._places = features.places(blocks)
        self._embed_dim = features.output.cls.shape[-1] // len(features.blocks)
        self._device = device

    def __len__(self) -> int:
        return len(self.sample_ids)

    def read(self, films: Tensor) -> EncoderOutput:
        """The output of the films at these positions of ``sample_ids``."""
        rows = self._rows[films]
        tokens = (tensor.index_select(0, rows) for tensor in self._output)  # in two thirds of the time of [rows]
        output = EncoderOutput(*tokens).blocks(self._places, self._embed_dim)
        return EncoderOutput(*(tensor.to(self._device) for tensor in output))

    def batches(self, size: int = BATCH) -> Iterator[tuple[Tensor, EncoderOutput]]:
        """(positions [B], output) in order."""
        for films in torch.arange(len(self)).split(size):
            yield films, self.read(films)


class CondensedFilms(FilmFeatures):
    """What ``condense`` (``Adapter.condense``) makes of each film: a readout is made once and kept in memory.

    Not kept is what condenses nothing, and readouts of more than ``KEPT_BYTES``. Those are made of a few films'
    tokens at a time, so tokens take no more memory than ``CONDENSED`` films have, whatever the batch.
    """

    def __init__(self, films: FilmFeatures, condense: Callable[[EncoderOutput], Any]) -> None:
        self.sample_ids = films.sample_ids
        self._films, self._condense = films, condense
        self._one = condense(films.read(torch.arange(min(1, len(films)))))  # what is made of one film
        moderate = isinstance(self._one, Tensor) and self._one.nbytes * len(films) <= KEPT_BYTES
        self._kept = self._readouts(torch.arange(len(films))) if moderate else None

    def read(self, films: Tensor) -> Any:
        """What is made of the films at these positions of ``sample_ids``."""
        if self._kept is not None:
            return self._kept.index_select(0, films.to(self._kept.device))
        return self._readouts(films) if isinstance(self._one, Tensor) else self._condense(self._films.read(films))

    def _readouts(self, films: Tensor) -> Tensor:
        made = self._one.new_empty(len(films), *self._one.shape[1:])
        for few, place in zip(films.split(CONDENSED), made.split(CONDENSED), strict=True):
            place.copy_(self._condense(self._films.read(few)))
        return made


@dataclass(frozen=True)
class Split:
    """The films of one split that teach something, with their targets in the same order."""

    films: FilmFeatures
    targets: Tensor
    groups: Tensor | None = None  # [N, L] where the recipe tells groups apart (``groups``)
