"""One frame's pixels as the file has them, by the fastest pydicom plugin that manages it.

Source: PS3.5 8.1 (bits allocated, stored, high bit) and 8.2 (compressed streams). Neighbours: ``stored``
says what the bits mean, ``pixels`` calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, dcmread
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from raydino.dicom.screen import Rejected

# Fastest first where several decode one syntax, measured on 2,500 × 2,048 films of 12 bits: JPEG-LS
# pyjpegls 1.7× gdcm, 3.8× pylibjpeg; JPEG lossless gdcm 1.5× pylibjpeg; RLE pylibjpeg 9× pydicom. In
# JPEG 2000 gdcm, pylibjpeg and pillow lie close together (all are OpenJPEG); for baseline JPEG pillow
# is 3.8× gdcm.
PLUGIN_ORDER = ("pyjpegls", "gdcm", "pylibjpeg", "pillow", "pydicom")
_FIRST = {JPEGBaseline8Bit: "pillow", JPEGExtended12Bit: "pillow"} | dict.fromkeys(
    JPEG2000TransferSyntaxes, "pylibjpeg"
)


@dataclass(frozen=True)
class DecodedFrame:
    """``words`` [rows, cols] or [rows, cols, 3], unsigned whatever they mean; a value's ``bits`` begin at ``shift``."""

    words: npt.NDArray[np.unsignedinteger[Any]]
    bits: int
    shift: int = 0


def decoder_for(transfer_syntax: str) -> Decoder | None:
    """pydicom's decoder of a transfer syntax; None for one that it doesn't know."""
    try:
        return get_decoder(UID(transfer_syntax))
    except NotImplementedError:
        return None


def plugins_of(decoder: Decoder) -> list[str]:
    """Installed plugins in the order in which they are tried."""
    first = _FIRST.get(decoder.UID, "")
    return sorted(decoder.available_plugins, key=lambda plugin: (plugin != first, _place(plugin), plugin))


def _place(plugin: str) -> int:
    return PLUGIN_ORDER.index(plugin) if plugin in PLUGIN_ORDER else len(PLUGIN_ORDER)


def read_pixels(file: BinaryIO, dataset: Dataset) -> None:
    """Read on in ``file``, where ``dataset`` was read up to its pixels, and add them to it.

    A deflated file has no place to read on from: it is inflated once more.
    """
    if dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        file.seek(0)
        dataset.update(dcmread(file, force=True, specific_tags=["PixelData"]))
        return
    implicit, little = dataset.original_encoding
    for element in data_element_generator(file, bool(implicit), bool(little)):
        dataset[element.tag] = element  # type: ignore[assignment]
        if element.tag.group == 0x7FE0 and element.tag.element >= 0x0008:  # the pixels' own, not an offset table
            return


def decode_frame(dataset: Dataset, frame: int = 0) -> DecodedFrame:
    """The frame's pixels; YBR comes as RGB. Raises Rejected."""
    syntax = dataset.file_meta.TransferSyntaxUID
    decoder = decoder_for(syntax)
    if decoder is None:
        raise Rejected("unsupported_pixels", "this transfer syntax has no decoder")
    is_colour = int(dataset.get("SamplesPerPixel") or 1) > 1
    values = _native(decoder, dataset, frame, is_colour) if decoder.is_native else _decoded(decoder, dataset, frame)
    if values.ndim != 2 + is_colour or values.dtype.kind not in "iu":
        raise Rejected("unsupported_pixels", f"{values.ndim}-dimensional {values.dtype} pixels")
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    words = native.view(np.dtype(f"u{values.dtype.itemsize}"))
    container = 8 * words.dtype.itemsize
    stored = int(dataset.BitsStored)
    if decoder.is_native or syntax == RLELossless:  # the words of PS3.5 8.1.1, overlays and all
        high_bit = int(dataset.get("HighBit") or stored - 1)
        return DecodedFrame(words, min(stored, container), max(high_bit - stored + 1, 0))
    # The precision of JPEG-LS and JPEG 2000 streams goes before that of the header (PS3.5 8.2); of signed
    # values some encoders write the pattern of BitsStored. Of other JPEG, gdcm gives BitsStored only.
    has_precision = syntax in JPEGLSTransferSyntaxes or syntax in JPEG2000TransferSyntaxes
    is_whole = has_precision and native.dtype.kind == "u" and not is_colour and not _has_overlay_inside(dataset)
    return DecodedFrame(words, container if is_whole else min(stored, container))


def _native(decoder: Decoder, dataset: Dataset, frame: int, is_colour: bool) -> npt.NDArray[Any]:
    options: dict[str, Any] = {"raw": not is_colour, "view_only": not is_colour, "correct_unused_bits": False}
    try:
        return decoder.as_array(dataset, index=frame, **options)[0]
    except Exception as error:
        raise Rejected("unreadable", f"the pixels cannot be read: {_anonymous(error)}") from None


def _decoded(decoder: Decoder, dataset: Dataset, frame: int) -> npt.NDArray[Any]:
    plugins = plugins_of(decoder)
    if not plugins:
        missing = "; ".join(decoder.missing_dependencies)
        raise Rejected("unsupported_pixels", f"no installed plugin decodes {decoder.UID.name}: {missing}")
    faults = []
    for plugin in plugins:
        try:
            return _by_plugin(decoder, dataset, frame, plugin)
        except Exception as error:
            faults.append(f"{plugin}: {_anonymous(error)}")
    is_twelve_bit = dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and dataset.BitsStored > 8
    if is_twelve_bit and "pylibjpeg" not in plugins:
        raise Rejected("unsupported_pixels", "12-bit JPEG: pip install 'raydino[jpeg12]' decodes it")
    raise Rejected("unreadable", f"no plugin decodes the {decoder.UID.name} pixels: {' | '.join(faults)}")


def _by_plugin(decoder: Decoder, dataset: Dataset, frame: int, plugin: str) -> npt.NDArray[Any]:
    """The plugin's own buffer where its words need no correction; pydicom corrects signs, and YBR to RGB."""
    samples, signed = int(dataset.get("SamplesPerPixel") or 1), bool(dataset.get("PixelRepresentation"))
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == RLELossless and samples == 1:
        signed = False  # whole words, as native ones: ``stored`` knows where the sign is
    if samples > 1 or signed or syntax in JPEG2000TransferSyntaxes:
        return decoder.as_array(dataset, index=frame, raw=samples == 1, decoding_plugin=plugin)[0]
    buffer, properties = decoder.as_buffer(dataset, index=frame, decoding_plugin=plugin)
    words = np.frombuffer(buffer, f"<u{int(properties['bits_allocated']) // 8}")
    return words.reshape(int(properties["rows"]), int(properties["columns"]))


def _has_overlay_inside(dataset: Dataset) -> bool:
    """Whether an overlay (retired since 2004) lies in the unused bits of the pixels' words."""
    return any((group, 0x0102) in dataset and dataset[group, 0x0102].value for group in range(0x6000, 0x6020, 2))


def _anonymous(error: Exception) -> str:
    """A decoder's message on one line, without anything that could be an identifier.

    Words in it that hold a digit-and-dot number of a UID's length, a path or a quoted value are cut.
    """
    last = str(error).rpartition("plugins:")[2] or type(error).__name__
    words = re.sub(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*|\b[\d.]{7,}\b", "…", " ".join(last.split()))
    return f"{type(error).__name__}: {words}"[:160]
