"""A batch cut into micro-batches of films, so that a step fits into less memory than its batch would need."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from raydino.data.batches import Batch


def split_films(batch: Batch, films: int | None) -> list[Batch]:
    """Micro-batches of ``films`` films (the last may be smaller; None: one of all), in order, each crop-major."""
    n_films = len(batch.global_crops) // 2
    if films is None or films >= n_films:
        return [batch]
    names = ("global_crops", "local_crops", "masks")
    parts = zip(*(_cut(getattr(batch, name), n_films, films) for name in names), strict=True)
    return [batch._replace(**dict(zip(names, tensors, strict=True))) for tensors in parts]


def _cut(crops: Tensor, n_films: int, films: int) -> Iterator[Tensor]:
    by_film = crops.unflatten(0, (len(crops) // n_films, n_films))  # [crops a film, B, ...]
    for start in range(0, n_films, films):
        yield by_film[:, start : start + films].flatten(0, 1)
