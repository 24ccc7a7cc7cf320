"""Stored values of a single-frame grayscale DICOM image, by the fastest pydicom plugin that manages it.

Source: PS3.5 8.1 (bits allocated, stored, high bit). Neighbour: ``pixels``, the only caller.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import UID, JPEGExtended12Bit

from raydino.dicom.screen import Rejected

# Fastest first where several decode one syntax (measured on 512 px films and on a 1955 × 1841 CR):
# JPEG-LS pyjpegls 2.6× gdcm; RLE pylibjpeg 9× pydicom; JPEG baseline pillow 3.8× gdcm.
PLUGIN_ORDER = ("pyjpegls", "pylibjpeg", "pillow", "gdcm", "pydicom")


def decoder_for(transfer_syntax: str) -> Decoder | None:
    """pydicom's decoder of a transfer syntax; None for one that it doesn't know."""
    try:
        return get_decoder(UID(transfer_syntax))
    except NotImplementedError:
        return None


def plugins_of(decoder: Decoder) -> list[str]:
    """Installed plugins in the order in which they are tried."""
    return sorted(decoder.available_plugins, key=_preference)


def _preference(plugin: str) -> tuple[int, str]:
    return (PLUGIN_ORDER.index(plugin) if plugin in PLUGIN_ORDER else len(PLUGIN_ORDER), plugin)


def bit_patterns(dataset: Dataset) -> tuple[npt.NDArray[np.uint8 | np.uint16], int]:
    """[rows, cols] of unsigned bit patterns, and how many bits each has (8 or 16, or BitsStored).

    Uncompressed values are shifted by HighBit and cleared of the bits that are not theirs (overlays
    may lie there); decompressed ones are taken as the decoder gives them. Raises Rejected.
    """
    decoder = decoder_for(dataset.file_meta.TransferSyntaxUID)
    if decoder is None:
        raise Rejected("unsupported_pixels", "this transfer syntax has no decoder")
    values = np.asarray(_decode(decoder, dataset)).squeeze()
    if values.ndim != 2 or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
        raise Rejected("unsupported_pixels", f"{values.ndim}-dimensional {values.dtype} pixels")
    patterns: npt.NDArray[np.uint8 | np.uint16] = values.astype(values.dtype.newbyteorder("="), copy=False).view(
        np.uint8 if values.dtype.itemsize == 1 else np.uint16
    )
    bits = 8 * values.dtype.itemsize
    bits_stored = int(dataset.BitsStored)
    if not decoder.is_native or bits_stored >= bits:
        return patterns, bits
    shift = max(int(dataset.get("HighBit", bits_stored - 1)) - bits_stored + 1, 0)
    cleared: npt.NDArray[np.uint8 | np.uint16] = (patterns >> shift) & patterns.dtype.type(2**bits_stored - 1)  # type: ignore[assignment]
    return cleared, bits_stored


def _decode(decoder: Decoder, dataset: Dataset) -> Any:
    options: dict[str, Any]
    if decoder.is_native:
        try:
            options = {"view_only": True, "correct_unused_bits": False}
            return decoder.as_array(dataset, raw=True, **options)[0]
        except Exception as error:
            raise Rejected("unreadable", f"the pixels cannot be read: {_anonymous(error)}") from None
    plugins = plugins_of(decoder)
    if not plugins:
        missing = "; ".join(decoder.missing_dependencies)
        raise Rejected("unsupported_pixels", f"no installed plugin decodes {decoder.UID.name}: {missing}")
    faults = []
    for plugin in plugins:
        try:
            options = {"allow_excess_frames": False}
            return decoder.as_array(dataset, raw=True, decoding_plugin=plugin, **options)[0]
        except Exception as error:
            faults.append(f"{plugin}: {_anonymous(error)}")
    is_twelve_bit_jpeg = decoder.UID.name == JPEGExtended12Bit.name and dataset.BitsStored > 8
    if is_twelve_bit_jpeg and "pylibjpeg" not in plugins:
        raise Rejected("unsupported_pixels", "12-bit JPEG: pip install 'raydino[jpeg12]' decodes it")
    raise Rejected("unreadable", f"no plugin decodes the {decoder.UID.name} pixels: {' | '.join(faults)}")


def _anonymous(error: Exception) -> str:
    """A decoder's message on one line, without anything that could be an identifier.

    Words in it that hold a digit-and-dot number of a UID's length, a path or a quoted value are cut.
    """
    last = str(error).rpartition("plugins:")[2] or type(error).__name__
    words = re.sub(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*|\b[\d.]{7,}\b", "…", " ".join(last.split()))
    return f"{type(error).__name__}: {words}"[:160]
