"""From stored values to grey levels in [0, 1]: PS3.3 C.11, as one table over all stored values.

Sources: C.11.1 (modality LUT, rescale), C.11.2 (VOI LUT, window), C.11.6 (presentation LUT shape),
C.7.6.3.1.2 (photometric interpretation). For grayscale every step is a function of the stored value
alone, so the whole chain is computed once for each possible value in float64 and then looked up.
Neighbours: ``presentation`` reads a header into a ``Contrast``, ``pixels`` applies the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PERCENTILES = (0.5, 99.5)  # of the pixels in the field that are not padding, where the header gives no contrast
WINDOW_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lut:
    """A lookup table of a Modality or VOI LUT Sequence (C.11.1.1, C.11.2.1.1), or a palette's channel."""

    first: int  # the input that the first entry is for
    data: npt.NDArray[np.int64]
    bits: int  # outputs are 0 .. 2**bits - 1


@dataclass(frozen=True)
class Window:
    """A VOI window. ``function`` is one of WINDOW_FUNCTIONS."""

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def usable(self) -> bool:
        """C.11.2.1.2: LINEAR needs a width of at least 1, the other functions one above 0."""
        known = self.function in WINDOW_FUNCTIONS and bool(np.isfinite([self.center, self.width]).all())
        return known and (self.width >= 1 if self.function == "LINEAR" else self.width > 0)


@dataclass(frozen=True)
class Contrast:
    """Everything in a header that decides grey levels. The default is an image without any of it."""

    bits: int  # of a stored value, 1..32
    signed: bool = False
    modality_lut: Lut | None = None
    slope: float = 1.0
    intercept: float = 0.0
    voi_luts: tuple[Lut | None, ...] = ()  # in the order of the sequence, None for an item that cannot be read
    windows: tuple[Window, ...] = ()
    inverted: bool = False  # MONOCHROME1 or presentation LUT shape INVERSE: the lowest value is white
    padding: tuple[int, int] | None = None  # first and last stored value that is padding


@dataclass(frozen=True)
class Voi:
    """What gave the contrast: ``lut``, ``window``, ``percentile``, or ``none`` for values that are shown as they are.

    ``choice`` of ``of`` counts from 1: which LUT or window of the header's.
    """

    kind: str
    choice: int = 1
    of: int = 1

    def describe(self) -> str | None:
        """For the manifest, where it was not the first: ``VOI window 2 of 3``."""
        return (
            f"VOI {'LUT' if self.kind == 'lut' else self.kind} {self.choice} of {self.of}" if self.choice > 1 else None
        )


def choose_voi(contrast: Contrast) -> Voi:
    """The first VOI LUT that can be read, else the first usable window, else percentiles.

    A window of width 0, or one that is not a number, counts as none (C.11.2.1.2).
    """
    for kind, usable in (
        ("lut", [lut is not None for lut in contrast.voi_luts]),
        ("window", [window.usable for window in contrast.windows]),
    ):
        if any(usable):
            return Voi(kind, usable.index(True) + 1, len(usable))
    return Voi("percentile")


def grey_table(
    contrast: Contrast, stored: Floats, voi: Voi, counts: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float32]:
    """float32 in [0, 1] for each of the ``stored`` values.

    ``counts`` says how many pixels each has; percentiles need it, nothing else does.
    """
    values = modality(stored, contrast)
    if voi.kind == "lut":
        lut = contrast.voi_luts[voi.choice - 1]
        assert lut is not None
        grey = apply_lut(values, lut) / (2**lut.bits - 1)
    elif voi.kind == "window":
        grey = apply_window(values, contrast.windows[voi.choice - 1])
    else:
        assert counts is not None
        low, high = percentile_range(values, _without_padding(counts, stored, contrast.padding))
        grey = (values - low) / max(high - low, np.finfo(np.float64).tiny)
    grey = np.clip(grey, 0.0, 1.0)
    return (1.0 - grey if contrast.inverted else grey).astype(np.float32)


def modality(stored: Floats, contrast: Contrast) -> Floats:
    """C.11.1: stored values → manufacturer-independent values. A LUT excludes a rescale."""
    if contrast.modality_lut is not None:
        return apply_lut(stored, contrast.modality_lut)
    return stored * contrast.slope + contrast.intercept


def apply_lut(values: Floats, lut: Lut) -> Floats:
    """The LUT's output; inputs outside its range take its first or last entry."""
    first = lut.first
    if first >= 2**15 and values.min() < 0:  # a signed first entry that was written as unsigned
        first -= 2**16
    index = np.clip(np.rint(values) - first, 0, len(lut.data) - 1).astype(np.int64)
    return lut.data[index].astype(np.float64)


def apply_window(values: Floats, window: Window) -> Floats:
    """C.11.2.1.2 and C.11.2.1.3 with an output range of [0, 1]."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if window.function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def percentile_range(values: Floats, counts: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The smallest values that at least PERCENTILES per cent of the pixels do not exceed.

    Where the two are equal (a film that is nearly all one value), the smallest and largest value.
    """
    order = np.argsort(values, kind="stable")
    summed = np.cumsum(counts[order])
    present = values[order][counts[order] > 0]
    low, high = (float(values[order][np.searchsorted(summed, summed[-1] * percent / 100.0)]) for percent in PERCENTILES)
    return (low, high) if high > low else (float(present[0]), float(present[-1]))


def _without_padding(
    counts: npt.NDArray[np.int64], stored: Floats, padding: tuple[int, int] | None
) -> npt.NDArray[np.int64]:
    """C.7.5.1.1.2. A film that is nothing but padding keeps its counts."""
    if padding is None:
        return counts
    kept = np.where((stored >= padding[0]) & (stored <= padding[1]), 0, counts)
    return kept if kept.any() else counts
