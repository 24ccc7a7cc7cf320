"""Every compressed way to store a film gives the pixels of the uncompressed one."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from raydino.dicom.decode import PLUGIN_ORDER, decode_frame, decoder_for, plugins_of
from raydino.dicom.screen import Rejected


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_syntaxes(make_dataset: Any, ramp: Any, syntax: str, bits: int, signed: bool) -> None:
    stored = ramp(64, 48, 2**bits - 1) - (2 ** (bits - 1) if signed else 0)
    dataset = make_dataset(stored, bits)
    dataset.compress(syntax, generate_instance_uid=False)
    patterns, pattern_bits = decode_frame(dataset)
    assert pattern_bits == (8 if bits == 8 else 16)
    values = patterns.view(np.int8 if bits == 8 else np.int16) if signed else patterns
    np.testing.assert_array_equal(values, stored)


def test_jpeg_baseline_is_close(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(64, 48)
    dataset = make_dataset(stored)
    jpeg = cv2.imencode(".jpg", stored.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    dataset.PixelData = encapsulate([jpeg])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    patterns, _ = decode_frame(dataset)
    assert np.abs(patterns.astype(int) - stored).max() <= 3


def test_uncompressed_big_endian(make_dataset: Any, ramp: Any) -> None:
    stored = ramp(top=4095)
    dataset = make_dataset(stored, 12)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    dataset.PixelData = stored.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode_frame(dataset)[0], stored)


def test_a_broken_stream_names_every_plugin_and_its_reason(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp(64, 48), 8)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.PixelData = encapsulate([b"no JPEG 2000 at all"])
    with pytest.raises(Rejected) as caught:
        decode_frame(dataset)
    assert caught.value.reason == "unreadable"
    for plugin in plugins_of(decoder_for(JPEG2000Lossless)):  # type: ignore[arg-type]
        assert f"{plugin}: " in caught.value.detail
    assert "\n" not in caught.value.detail


def test_no_plugin_says_what_to_install(make_dataset: Any, ramp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(ramp())
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    monkeypatch.setattr("raydino.dicom.decode.plugins_of", lambda decoder: [])
    with pytest.raises(Rejected, match="unsupported_pixels.*no installed plugin decodes High-Throughput"):
        decode_frame(dataset)


def test_twelve_bit_jpeg_says_what_to_install(make_dataset: Any, ramp: Any) -> None:
    if "pylibjpeg" in plugins_of(decoder_for(JPEGExtended12Bit)):  # type: ignore[arg-type]
        pytest.skip("the extra jpeg12 is installed, so 12-bit JPEG is decoded here")
    dataset = make_dataset(ramp(top=4095), 12)
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    dataset.PixelData = encapsulate([b"\xff\xd8 twelve bits"])
    with pytest.raises(Rejected, match=r"unsupported_pixels.*raydino\[jpeg12\]"):
        decode_frame(dataset)


def test_truncated_pixels_are_unreadable(make_dataset: Any, ramp: Any) -> None:
    dataset = make_dataset(ramp())
    dataset.PixelData = dataset.PixelData[:100]
    with pytest.raises(Rejected, match="unreadable"):
        decode_frame(dataset)


def test_the_order_of_plugins_knows_those_that_pydicom_knows() -> None:
    known = set()
    for syntax in (RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSLossless, JPEG2000Lossless):
        known |= set(plugins_of(decoder_for(syntax)))  # type: ignore[arg-type]
    assert known <= set(PLUGIN_ORDER)
    assert plugins_of(decoder_for(JPEGBaseline8Bit))[0] == "pillow"  # type: ignore[arg-type]
    assert decoder_for(DeflatedExplicitVRLittleEndian).is_native  # type: ignore[union-attr]
    assert decoder_for("1.2.3.4") is None
