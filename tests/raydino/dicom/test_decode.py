"""Every way to store a film gives the pixels of the uncompressed one. Each stream comes from a real encoder:

pydicom's plugins, OpenCV's JPEG, dcmtk (``dcmcjpeg``, ``dcmcrle``, ``dcmcjpls``) and OpenJPH
(``ojph_compress``); a test whose program is not installed is skipped.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from raydino.dicom.decode import PLUGIN_ORDER, decode_frame, decoder_for, plugins_of, read_pixels
from raydino.dicom.presentation import contrast_of
from raydino.dicom.screen import Rejected
from raydino.dicom.stored import StoredFrame

Ints = npt.NDArray[np.int64]


def stored(dataset: Dataset, frame: int = 0) -> Ints:
    """The stored values of a frame, through the code under test."""
    decoded = decode_frame(dataset, frame)
    signed = contrast_of(dataset, decoded.bits).signed
    found = StoredFrame.of(decoded.words, decoded.bits, signed=signed, shift=decoded.shift)
    places = (found.words.astype(np.int64) >> found.shift) % len(found.values)
    return found.values[places].astype(np.int64)


def textured(ramp: Any, bits: int, signed: bool) -> Ints:
    """A ramp over the whole range, with noise on it so that a decoder has something to lose."""
    top = 2**bits - 1
    noise = np.random.default_rng(bits).integers(-3, 4, (48, 40))
    return np.clip(ramp(48, 40, top) + noise, 0, top) - (2 ** (bits - 1) if signed else 0)


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def by_program(tmp_path: Path) -> Callable[..., Dataset]:
    """``by_program(dataset, "dcmcjpeg", "+e1")``: the file that a program of dcmtk makes of it."""

    def convert(dataset: Dataset, name: str, *options: str) -> Dataset:
        source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
        dataset.save_as(source, enforce_file_format=True)
        done = subprocess.run([program(name), *options, str(source), str(target)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return pydicom.dcmread(target)

    return convert


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_files(make_dataset: Any, ramp: Any, syntax: str, bits: int, signed: bool) -> None:
    truth = textured(ramp, bits, signed)
    dataset = make_dataset(truth, bits)
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = syntax
    if not little:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "u1" if bits == 8 else "<u2").byteswap().tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    file.seek(0)
    read = pydicom.dcmread(file, stop_before_pixels=True)
    assert "PixelData" not in read
    read_pixels(file, read)
    np.testing.assert_array_equal(stored(read), truth)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_by_pydicom(make_dataset: Any, ramp: Any, syntax: str, bits: int, signed: bool) -> None:
    truth = textured(ramp, bits, signed)
    dataset = make_dataset(truth, bits)
    dataset.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(stored(dataset), truth)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    ("name", "options", "syntax"),
    [
        ("dcmcrle", [], RLELossless),
        ("dcmcjpeg", ["+e1"], JPEGLosslessSV1),
        *(("dcmcjpeg", ["+el", "+sv", str(predictor)], JPEGLossless) for predictor in range(1, 8)),
        ("dcmcjpls", ["+el"], JPEGLSLossless),
    ],
)
def test_lossless_by_dcmtk(
    by_program: Any, make_dataset: Any, ramp: Any, name: str, options: list[str], syntax: str, bits: int, signed: bool
) -> None:
    truth = textured(ramp, bits, signed)
    converted = by_program(make_dataset(truth, bits), name, *options)
    assert converted.file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(stored(converted), truth)


@pytest.mark.parametrize("plugin", ["gdcm", "pylibjpeg", "pillow", "pyjpegls", "pydicom"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_plugin_agrees(
    by_program: Any, make_dataset: Any, ramp: Any, monkeypatch: pytest.MonkeyPatch, bits: int, plugin: str
) -> None:
    """Which plugin is installed must not decide pixels."""
    truth = textured(ramp, bits, signed=False)
    files = [make_dataset(truth, bits) for _ in range(3)]
    for dataset, syntax in zip(files, (RLELossless, JPEGLSLossless, JPEG2000Lossless), strict=True):
        dataset.compress(syntax, generate_instance_uid=False)
    files.append(by_program(make_dataset(truth, bits), "dcmcjpeg", "+e1"))
    tried = 0
    for dataset in files:
        if plugin in plugins_of(decoder_for(dataset.file_meta.TransferSyntaxUID)):  # type: ignore[arg-type]
            monkeypatch.setattr("raydino.dicom.decode.plugins_of", lambda decoder: [plugin])
            np.testing.assert_array_equal(stored(dataset), truth)
            monkeypatch.undo()
            tried += 1
    if not tried:
        pytest.skip(f"{plugin} is not installed")


def test_near_lossless_jpeg_ls_stays_within_its_bound(by_program: Any, make_dataset: Any, ramp: Any) -> None:
    truth = textured(ramp, 12, signed=False)
    converted = by_program(make_dataset(truth, 12), "dcmcjpls", "+en", "+md", "3")
    assert converted.file_meta.TransferSyntaxUID == JPEGLSNearLossless
    difference = np.abs(stored(converted) - truth)
    assert 0 < difference.max() <= 3


def test_lossy_jpeg_2000(make_dataset: Any, ramp: Any) -> None:
    truth = textured(ramp, 12, signed=False)
    dataset = make_dataset(truth, 12)
    dataset.compress(JPEG2000, j2k_cr=[4], generate_instance_uid=False)
    difference = stored(dataset) - truth
    assert 0 < np.sqrt(np.mean(difference**2.0)) < 8  # of 4095


@pytest.mark.parametrize(
    ("syntax", "options", "bound"),
    [
        (HTJ2KLossless, ["-reversible", "true"], 0),
        (HTJ2KLosslessRPCL, ["-reversible", "true", "-prog_order", "RPCL"], 0),
        (HTJ2K, ["-reversible", "false", "-qstep", "0.001"], 16),
    ],
)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_htj2k(
    make_dataset: Any, ramp: Any, tmp_path: Path, bits: int, syntax: str, options: list[str], bound: int
) -> None:
    truth = textured(ramp, bits, signed=False)
    plain, coded = tmp_path / "plain.pgm", tmp_path / "coded.j2c"
    header = f"P5\n{truth.shape[1]} {truth.shape[0]}\n{2**bits - 1}\n".encode()
    plain.write_bytes(header + truth.astype(">u2" if bits > 8 else "u1").tobytes())
    command = [program("ojph_compress"), "-i", str(plain), "-o", str(coded), "-num_decomps", "3", *options]
    subprocess.run(command, capture_output=True, check=True)
    dataset = make_dataset(truth, bits)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([coded.read_bytes()])
    assert np.abs(stored(dataset) - truth).max() <= bound * 2 ** max(0, bits - 12)


def test_jpeg_baseline_by_opencv(make_dataset: Any, ramp: Any) -> None:
    truth = ramp(64, 48)
    dataset = make_dataset(truth)
    jpeg = cv2.imencode(".jpg", truth.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    dataset.PixelData = encapsulate([jpeg])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    assert np.abs(stored(dataset) - truth).max() <= 3


@pytest.mark.parametrize(
    ("option", "bits", "syntax"),
    [("+eb", 8, JPEGBaseline8Bit), ("+ee", 8, JPEGExtended12Bit), ("+ee", 12, JPEGExtended12Bit)],
)
def test_lossy_jpeg_as_dcmtk_decodes_it(
    by_program: Any, make_dataset: Any, ramp: Any, option: str, bits: int, syntax: str
) -> None:
    if bits == 12 and "pylibjpeg" not in plugins_of(decoder_for(JPEGExtended12Bit)):  # type: ignore[arg-type]
        pytest.skip("the extra jpeg12 is not installed")
    truth = ramp(48, 40, 2**bits - 1)
    converted = by_program(make_dataset(truth, bits), "dcmcjpeg", option, "+q", "95")
    assert converted.file_meta.TransferSyntaxUID == syntax
    plain = by_program(converted, "dcmdjpeg")
    assert np.abs(stored(converted) - stored(plain)).max() <= 1
    assert np.abs(stored(converted) - truth).max() <= 2 ** (bits - 8) * 4


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_an_overlay_in_a_compressed_word_is_no_part_of_the_value(make_dataset: Any, ramp: Any, syntax: str) -> None:
    truth = ramp(48, 40, 4095)
    dataset = make_dataset(truth | 0x8000, 16)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = 12, 11
    if syntax != RLELossless:
        assert stored(dataset).min() >= 0x8000  # the stream's precision goes first …
    dataset.add_new((0x6000, 0x0102), "US", 15)
    np.testing.assert_array_equal(stored(dataset), truth)  # … unless the header names an overlay in the words


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_the_frame_that_was_asked_for(make_dataset: Any, ramp: Any, syntax: str) -> None:
    frames = [textured(ramp, 12, signed=False) // (1 + n) for n in range(3)]
    dataset = make_dataset(np.vstack(frames), 12, Rows=48, NumberOfFrames=3)
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    for n, truth in enumerate(frames):
        np.testing.assert_array_equal(stored(dataset, n), truth)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [24, 32])
def test_thirty_two_bits_allocated(
    by_program: Any, make_dataset: Any, ramp: Any, bits: int, signed: bool, syntax: str
) -> None:
    truth = ramp(48, 40, 2**bits - 1) - (2 ** (bits - 1) if signed else 0)
    dataset = make_dataset(truth, 16)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = (truth & 0xFFFFFFFF).astype("<u4").tobytes()
    if syntax == RLELossless:
        dataset = by_program(dataset, "dcmcrle")
    np.testing.assert_array_equal(stored(dataset), truth)


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


def test_twelve_bit_jpeg_says_what_to_install(make_dataset: Any, ramp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, that is: with gdcm and pillow only."""
    monkeypatch.setattr("raydino.dicom.decode.plugins_of", lambda decoder: ["gdcm", "pillow"])
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
