"""From displayed brightness to stored values: bits, inversion, and the tables that undo them.

Every film displays the same way whichever combination it drew (PS3.3 C.11.1 modality LUT, C.11.2
VOI LUT and windows, C.7.6.3 photometric interpretation); only the way there differs. Dicom_writer
turns a ``StoredFilm`` into attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raydino.phantom.geometry import Map
from raydino.phantom.sites import Site

VOI_KINDS = ("window", "windows", "sigmoid", "lut", "none")
_VOI_SHARES = (0.45, 0.15, 0.12, 0.18, 0.10)
_MODALITY_LUT_SHARE = 0.12
_LUT_MAXIMUM = 65535  # tables in images have entries of 8 or 16 bits (PS3.3 C.11.1.1.1, C.11.2.1.1)
_SIGMOID_WIDTH = 0.4  # of the stored range: its ends then show 0.7 % and 99.3 %


@dataclass(frozen=True)
class Window:
    """A VOI window, in the units of the modality LUT's output."""

    center: float
    width: float
    explanation: str


@dataclass(frozen=True)
class Encoding:
    """How one film's brightness is stored."""

    is_dx: bool
    bits: int
    monochrome1: bool
    voi: str  # one of VOI_KINDS
    modality_lut: bool  # CR only
    transfer_syntax: str  # pydicom's keyword
    low: float  # stored share of the range at brightness 0
    high: float  # at brightness 1


@dataclass(frozen=True)
class StoredFilm:
    """Stored values with everything that leads back to the displayed film."""

    values: npt.NDArray[np.uint16]  # [rows, cols]
    encoding: Encoding
    windows: tuple[Window, ...] = ()
    voi_lut: npt.NDArray[np.uint16] | None = None
    modality_lut: npt.NDArray[np.uint16] | None = None


def sample_encoding(rng: np.random.Generator, site: Site) -> Encoding:
    """Draw what a site's machine might write."""
    is_dx = bool(rng.random() < site.dx_share)
    names = [name for name, _ in site.syntaxes]
    shares = [share for _, share in site.syntaxes]
    voi = str(rng.choice(VOI_KINDS, p=_VOI_SHARES))
    modality_lut = bool(rng.random() < _MODALITY_LUT_SHARE) and not is_dx
    # For Presentation objects carry a window or a table (PS3.3 C.8.11.3), and a table upon a table is needless.
    if (voi == "none" and is_dx) or (voi == "lut" and modality_lut):
        voi = "window"
    low, high = float(rng.uniform(0.0, 0.10)), float(rng.uniform(0.85, 1.0))
    if voi == "none":
        low, high = 0.0, 1.0  # nothing else says what is black and white
    bits, syntax = int(rng.choice(site.bits)), str(rng.choice(names, p=shares))
    inverted = bool(rng.random() < site.monochrome1_share)
    return Encoding(is_dx, bits, inverted, voi, modality_lut, syntax, low, high)


def store(brightness: Map, encoding: Encoding) -> StoredFilm:
    """Quantise ``brightness`` (0..1 as displayed) the way ``encoding`` says."""
    top = float(2**encoding.bits - 1)
    shown = brightness
    if encoding.voi == "sigmoid":
        shown = _before_sigmoid(brightness)
    elif encoding.voi == "lut":
        shown = _before_s_curve(brightness)
    if encoding.monochrome1:
        shown = 1.0 - shown
    level = encoding.low + (encoding.high - encoding.low) * shown
    table = None
    output_top = top
    if encoding.modality_lut:
        # Stored values are square roots of the output: more steps where the film is dark.
        table = np.round(np.linspace(0.0, 1.0, int(top) + 1) ** 2 * _LUT_MAXIMUM).astype(np.uint16)
        level = np.sqrt(level)
        output_top = float(_LUT_MAXIMUM)
    values = np.round(level * top).astype(np.uint16)
    return StoredFilm(values, encoding, _windows(encoding, output_top), _voi_lut(encoding, output_top), table)


def _windows(encoding: Encoding, top: float) -> tuple[Window, ...]:
    low, high = encoding.low * top, encoding.high * top
    # LINEAR maps c - 0.5 - (w-1)/2 .. c - 0.5 + (w-1)/2 to the full output range.
    normal = Window(round(0.5 * (low + high) + 0.5, 1), round(high - low + 1.0, 1), "NORMAL")
    if encoding.voi == "window":
        return (normal,)
    if encoding.voi == "windows":
        harder = Window(normal.center, round(normal.width * 0.6, 1), "HARDER")
        return (normal, harder, Window(normal.center, round(normal.width * 1.4, 1), "SOFTER"))
    if encoding.voi == "sigmoid":
        return (Window(round(0.5 * (low + high), 1), round((high - low) * _SIGMOID_WIDTH, 1), "NORMAL"),)
    return ()


def _before_sigmoid(brightness: Map) -> Map:
    """The level that 1 / (1 + exp(-4 (level - 0.5) / width)) shows as ``brightness``."""
    clipped = np.clip(brightness, 0.007, 0.993)
    level = 0.5 - 0.25 * _SIGMOID_WIDTH * np.log(1.0 / clipped - 1.0)
    return np.clip(level, 0.0, 1.0).astype(np.float32)


def _s_curve(level: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Brightness over stored level of the VOI tables: a gentle S, 0 to 0 and 1 to 1."""
    return 0.5 * level + 0.5 * level * level * (3.0 - 2.0 * level)


def _before_s_curve(brightness: Map) -> Map:
    level = np.linspace(0.0, 1.0, 1025)
    return np.interp(brightness, _s_curve(level), level).astype(np.float32)


def _voi_lut(encoding: Encoding, top: float) -> npt.NDArray[np.uint16] | None:
    """One entry for each possible input value; the photometric interpretation is applied after it."""
    if encoding.voi != "lut":
        return None
    level = (np.arange(int(top) + 1) / top - encoding.low) / (encoding.high - encoding.low)
    level = np.clip(level, 0.0, 1.0)
    shown = 1.0 - _s_curve(1.0 - level) if encoding.monochrome1 else _s_curve(level)
    return np.round(shown * _LUT_MAXIMUM).astype(np.uint16)
