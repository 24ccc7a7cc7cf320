"""Pairs of films around the threshold, side by side: only a human eye sees whether a threshold is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raydino.curation.copies import FilmsByRow
from raydino.curation.duplicates import Pairs, Pool
from raydino.curation.thumbnails import Film
from raydino.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PAIRS_A_ROW = 3
_INK, _GROUND, _ABOVE, _BELOW, _FLAG = "white", "#111417", "#7fc8a9", "#c9d1d9", "#ff9f6b"


def write_pair_sheet(
    path: Path, films: FilmsByRow, pool: Pool, pairs: Pairs, threshold: float, *, of_each: int = 12
) -> None:
    """Write a PNG of the ``of_each`` pairs next above the threshold and next below it, the least alike last.

    Each pair tells its similarity, whether the films are of one patient, and the first characters of their ids.
    """
    from matplotlib.figure import Figure

    chosen = _around(pairs, threshold, of_each)
    rows = max(1, -(-len(chosen) // _PAIRS_A_ROW))
    figure = Figure(figsize=(4.2 * _PAIRS_A_ROW, 2.35 * rows + 0.5), facecolor=_GROUND)
    grid = figure.subplots(rows, 2 * _PAIRS_A_ROW, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    one_patient = pool.one_patient(pairs)
    for place, pair in enumerate(chosen.tolist()):
        similarity = float(pairs.similarities[pair])
        patients = "one patient" if one_patient[pair] else "TWO PATIENTS"
        colour = _BELOW if similarity < threshold else _ABOVE if one_patient[pair] else _FLAG
        side = "above" if similarity >= threshold else "below"
        left, right = grid[place // _PAIRS_A_ROW, 2 * (place % _PAIRS_A_ROW) :][:2]
        one, other = pairs.rows[pair].tolist()
        _draw(left, films[one], f"{pool.ids[one][:8]}  {side} {similarity:.3f}", colour)
        _draw(right, films[other], f"{pool.ids[other][:8]}  {patients}", colour)
    height = figure.get_figheight()
    n_above = int((pairs.similarities >= threshold).sum())
    title = f"{len(chosen):,} pairs around the threshold of {threshold:.3f}; {n_above:,} lie above it"
    figure.text(0.012, 1 - 0.2 / height, title, color=_INK, fontsize=11, fontweight="bold", va="center")
    figure.subplots_adjust(0.012, 0.05 / height, 0.988, 1 - 0.6 / height, wspace=0.05, hspace=0.18)
    try:
        figure.savefig(path, dpi=100, facecolor=_GROUND, metadata={"Software": None})
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=path) from None


def _around(pairs: Pairs, threshold: float, of_each: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Numbers of the pairs next to the threshold on both sides, the most alike first."""
    falling = np.argsort(-pairs.similarities, kind="stable").astype(np.int64)
    n_above = int((pairs.similarities >= threshold).sum())
    return falling[max(0, n_above - of_each) : n_above + of_each]  # type: ignore[return-value]


def _draw(axes: Axes, film: Film, caption: str, colour: str) -> None:
    axes.imshow(film, cmap="gray", vmin=0, vmax=np.iinfo(film.dtype).max, interpolation="bilinear")
    axes.set_title(caption, color=colour, fontsize=7.5, pad=3)
