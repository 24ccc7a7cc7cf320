"""What a header says of grey levels (PS3.3 C.11) → ``Contrast``. No value, however broken, raises here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from raydino.dicom.contrast import Contrast, Lut, Window
from raydino.dicom.header import numbers, text, texts


def contrast_of(dataset: Dataset, bits: int) -> Contrast:
    """The contrast of stored values of ``bits`` bits."""
    signed = text(dataset, "PixelRepresentation") == "1"
    slope = next(iter(numbers(dataset, "RescaleSlope")), 1.0)
    monochrome1 = text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"
    big = is_big_endian(dataset)
    modality_luts = (_sequence_lut(item, big) for item in _items(dataset, "ModalityLUTSequence"))
    return Contrast(
        bits=bits,
        signed=signed,
        modality_lut=next((lut for lut in modality_luts if lut is not None), None),
        slope=slope if slope != 0 else 1.0,  # a slope of 0 would leave no image
        intercept=next(iter(numbers(dataset, "RescaleIntercept")), 0.0),
        voi_luts=tuple(_sequence_lut(item, big) for item in _items(dataset, "VOILUTSequence")),
        windows=_windows(dataset),
        inverted=monochrome1 or text(dataset, "PresentationLUTShape").upper() == "INVERSE",
        padding=_padding(dataset, bits, signed),
    )


def is_big_endian(dataset: Dataset) -> bool:
    """Whether words that pydicom leaves as bytes have their high byte first."""
    return text(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID") == ExplicitVRBigEndian


def read_lut(descriptor: Iterable[object], raw: object, *, big_endian: bool = False) -> Lut | None:
    """A LUT from its descriptor (entries, first input, bits) and data (C.11.1.1.1, C.7.6.3.1.5); None when broken.

    Data are words, or bytes packed into words where that is what their length says; 0 entries mean 65,536.
    """
    try:
        entries, first, bits = (int(float(str(value))) for value in descriptor)
        entries = entries % 2**16 or 2**16
        if isinstance(raw, bytes):
            words = np.frombuffer(raw, ">u2" if big_endian else "<u2", count=len(raw) // 2).astype("<u2")
            data = (words if len(raw) >= 2 * entries else words.view("u1"))[:entries].astype(np.int64)
        else:
            data = np.atleast_1d(np.asarray(raw, np.int64))[:entries] % 2**16
    except (ValueError, TypeError, OverflowError):
        return None
    return Lut(first, data, max(bits, int(data.max()).bit_length(), 1)) if len(data) else None


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    try:
        return list(dataset.get(keyword) or [])
    except Exception:  # a sequence can be broken in any way
        return []


def _sequence_lut(item: Dataset, big_endian: bool) -> Lut | None:
    try:
        return read_lut(texts(item, "LUTDescriptor"), item.LUTData, big_endian=big_endian)
    except Exception:  # as above
        return None


def _windows(dataset: Dataset) -> tuple[Window, ...]:
    function = text(dataset, "VOILUTFunction").upper() or "LINEAR"
    pairs = zip(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False)
    return tuple(Window(center, width, function) for center, width in pairs)


def _padding(dataset: Dataset, bits: int, signed: bool) -> tuple[int, int] | None:
    """PixelPaddingValue to PixelPaddingRangeLimit, as stored values whatever sign they were written with."""
    value = numbers(dataset, "PixelPaddingValue")
    if not value:
        return None
    limit = numbers(dataset, "PixelPaddingRangeLimit") or value
    ends = []
    for end in (int(value[0]), int(limit[0])):
        if signed and end >= 2 ** (bits - 1):
            end -= 2**bits if end < 2**bits else 2**16
        elif not signed and end < 0:
            end += 2**16
        ends.append(end)
    return min(ends), max(ends)
