from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from raydino.dicom.presentation import contrast_of, read_lut

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value")  # pydicom, on the values that are meant to be odd


@pytest.mark.parametrize(
    ("value", "limit", "bits", "signed", "padding"),
    [
        (0, None, 12, False, (0, 0)),
        (0, 5, 12, False, (0, 5)),
        (4095, 4000, 12, False, (4000, 4095)),  # either may be the larger (C.7.5.1.1.2)
        (63488, None, 12, True, (-2048, -2048)),  # written as unsigned
        (2048, None, 12, True, (-2048, -2048)),  # written as a pattern of 12 bits
        (-2000, None, 16, True, (-2000, -2000)),
        (-1, None, 16, False, (65535, 65535)),  # written as signed
    ],
)
def test_padding(
    make_dataset: Any, ramp: Any, value: int, limit: int | None, bits: int, signed: bool, padding: tuple[int, int]
) -> None:
    dataset = make_dataset(ramp(), PixelRepresentation=int(signed))
    dataset.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
    if limit is not None:
        dataset.add_new("PixelPaddingRangeLimit", "US", limit)
    assert contrast_of(dataset, bits).padding == padding


@pytest.mark.parametrize(
    ("descriptor", "raw", "entries", "bits"),
    [
        ([4, 0, 16], np.array([1, 2, 3, 65535], "<u2").tobytes(), [1, 2, 3, 65535], 16),
        ([4, 0, 8], bytes([9, 8, 7, 6]), [9, 8, 7, 6], 8),  # packed
        ([4, 0, 8], np.array([9, 8, 7, 6], "<u2").tobytes(), [9, 8, 7, 6], 8),  # a byte a word
        (["4", "-3", "12"], [1, 2, 3, -1], [1, 2, 3, 65535], 16),  # a value above its bits widens them
        ([4, 0, 10], [1, 2], [1, 2], 10),  # cut short
    ],
)
def test_luts(descriptor: list[Any], raw: Any, entries: list[int], bits: int) -> None:
    lut = read_lut(descriptor, raw)
    assert lut is not None
    np.testing.assert_array_equal(lut.data, entries)
    assert (lut.first, lut.bits) == (int(descriptor[1]), bits)


@pytest.mark.parametrize(("raw", "entries"), [(b"\x01\x02\x03\x04", [258, 772]), (b"\x07\x06", [6, 7])])
def test_high_byte_first(raw: bytes, entries: list[int]) -> None:
    """Words, and bytes packed into words, of a big-endian file."""
    lut = read_lut([2, 0, 16], raw, big_endian=True)
    assert lut is not None
    np.testing.assert_array_equal(lut.data, entries)


def test_no_entries_means_65536() -> None:
    lut = read_lut([0, 0, 16], np.arange(65536, dtype="<u2").tobytes())
    assert lut is not None
    assert len(lut.data) == 65536


@pytest.mark.parametrize(
    ("descriptor", "raw"), [([], b"12"), (["x", 0, 8], b"12"), ([4, 0], b"12"), ([4, 0, 8], b""), ([4, 0, 8], None)]
)
def test_broken_luts_count_as_none(descriptor: list[Any], raw: Any) -> None:
    assert read_lut(descriptor, raw) is None


def test_several_luts(make_dataset: Any, ramp: Any) -> None:
    good = Dataset()
    good.add_new("LUTDescriptor", "US", [2, 5, 8])
    good.add_new("LUTData", "US", [1, 2])
    contrast = contrast_of(
        make_dataset(
            ramp(), ModalityLUTSequence=Sequence([Dataset(), good]), VOILUTSequence=Sequence([Dataset(), good])
        ),
        8,
    )
    assert contrast.modality_lut is not None
    assert contrast.voi_luts[0] is None
    assert contrast.voi_luts[1] is not None
    assert contrast.voi_luts[1].first == 5
