from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from raydino.artifacts.images import decode_png
from raydino.dicom.film import Reading, Work, read_film
from raydino.dicom.pixels import PixelRecipe
from raydino.readers.base import Known, RawPixels, SourceImage
from raydino.readers.mask_folder import MaskFolder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # a worker silences them
WORK = Work(PixelRecipe(shorter_side=10, bits=8))


def read(path: Path, work: Work = WORK, **known: Any) -> Reading:
    is_dicom = path.suffix not in (".png", ".jpg", ".tif")
    return read_film(work, SourceImage(path.name, path=path, is_dicom=is_dicom, known=Known(**known)))


def test_a_film(write_dicom: Any, tmp_path: Path) -> None:
    reading = read(write_dicom(tmp_path / "a"))
    assert reading.reason is None
    assert reading.film is not None
    film = decode_png(reading.film.png, where="")
    assert film.shape == (12, 10) == (reading.film.rows, reading.film.cols)
    assert reading.source_bits == 8


def test_bytes_and_path_give_the_same(write_dicom: Any, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a")
    assert read_film(WORK, SourceImage("a", content=path.read_bytes())) == read(path)


def test_without_preamble_and_file_meta(write_dicom: Any, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "whole")
    expected = read(path).film
    dataset = pydicom.dcmread(path)
    del dataset.file_meta
    dataset.preamble = None
    for name, implicit in (("explicit", False), ("implicit", True)):
        bare = tmp_path / name
        with bare.open("wb") as file:
            pydicom.dcmwrite(file, dataset, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert bare.read_bytes()[128:132] != b"DICM"
        found = read(bare).film
        assert found is not None
        assert expected is not None
        assert found.sha256 == expected.sha256


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not_dicom"),
        (b"file,patient_id\n" * 20, "not_dicom"),
        (b"\x08\x00 looks like an element, but is text" * 9, "not_dicom"),
        (bytes(200), "not_dicom"),
        (bytes(128) + b"DICM", "unreadable"),
        (bytes(128) + b"DICM" + b"\xff" * 60, "unreadable"),
    ],
)
def test_what_is_not_dicom(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    reading = read(path)
    assert reading.reason == reason
    assert reading.film is None


def test_broken_dicom(write_dicom: Any, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a")
    whole = path.read_bytes()
    seen = set()
    for length in range(140, len(whole), 7):
        path.write_bytes(whole[:length])
        reading = read(path)
        assert reading.film is None
        seen.add(reading.reason)
    assert "unreadable" in seen
    assert seen <= {"unreadable", "no_pixels", "modality", "not_chest", "not_dicom", "unsupported_pixels"}


def test_rejected_with_what_is_known_of_it(write_dicom: Any, tmp_path: Path) -> None:
    reading = read(write_dicom(tmp_path / "a", Modality="CT"))
    assert (reading.reason, reading.detail) == ("modality", "modality CT")
    assert reading.header is not None


def test_no_pixel_data(write_dicom: Any, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    assert read(path).reason == "no_pixels"


def test_a_missing_file(tmp_path: Path) -> None:
    reading = read(tmp_path / "Miller.dcm")
    assert reading.reason == "unreadable"
    assert "Miller" not in str(reading.detail)


def test_images(tmp_path: Path, ramp: Any) -> None:
    grey = ramp(40, 30).astype(np.uint8)
    colour = np.dstack([grey, grey, 255 - grey])
    files = {
        "grey.png": grey,
        "three.png": np.dstack([grey] * 3),
        "alpha.png": np.dstack([grey] * 3 + [np.full_like(grey, 9)]),
        "deep.tif": grey.astype(np.uint16) * 257,
        "colour.png": colour,
        "float.tif": grey.astype(np.float32),
    }
    for name, pixels in files.items():
        assert cv2.imwrite(str(tmp_path / name), pixels)
    (tmp_path / "text.png").write_text("no image")
    readings = {name: read(tmp_path / name) for name in [*files, "text.png"]}
    reasons = {name: reading.reason for name, reading in readings.items()}
    assert reasons == {
        "grey.png": None,
        "three.png": None,
        "alpha.png": None,
        "deep.tif": None,
        "colour.png": "unsupported_pixels",
        "float.tif": "unsupported_pixels",
        "text.png": "not_image",
    }
    hashes = {readings[name].film.sha256 for name in ("grey.png", "three.png", "alpha.png", "deep.tif")}  # type: ignore[union-attr]
    assert len(hashes) == 1
    spaced = read(tmp_path / "grey.png", spacing_mm=0.5).film
    assert spaced is not None
    assert spaced.spacing_mm == pytest.approx(0.5 * 40 / 13)


def test_masks_are_turned_and_resized_and_a_wrong_size_is_counted(write_dicom: Any, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", uid="1.2.3", PatientOrientation=["R", "F"])
    mask = np.zeros((24, 20), np.uint8)
    mask[:12, :10] = 1  # 0/1 and 0/255 are both taken
    for structure, content in {"lungs": mask, "heart": mask[:, :5]}.items():
        (tmp_path / "masks" / structure).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "masks" / structure / "1.2.3.png"), content)
    film = read(path, Work(PixelRecipe(10, 8), MaskFolder.open(tmp_path / "masks"))).film
    assert film is not None
    assert list(film.masks) == ["lungs"]
    assert film.unusable_masks == 1
    expected = np.zeros((12, 10), np.uint8)
    expected[:6, 5:] = 255
    np.testing.assert_array_equal(decode_png(film.masks["lungs"], where=""), expected)
    assert film.detail == "turned to the standard display: flipped left-right"


def test_raw_pixels_masks_from_makers_and_openers(tmp_path: Path) -> None:
    """JSRT's layout: big-endian 12 bits, the lowest value white."""
    stored = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30) * 3
    layout = RawPixels(40, 30, ">u2", 12, inverted=True)
    image = SourceImage(
        "a.IMG",
        opener=Opened(stored.astype(">u2").tobytes()),
        is_dicom=False,
        raw=layout,
        masks={"left": HalfMask(40, 30), "wrong": HalfMask(4, 3)},
    )
    reading = read_film(Work(PixelRecipe(40)), image)
    film = reading.film
    assert film is not None
    assert (reading.source_bits, film.unusable_masks, set(film.masks)) == (12, 1, {"left"})
    shown = cv2.imdecode(np.frombuffer(film.png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    assert shown[0, 0] == 255
    assert shown[-1, -1] == 0
    short = replace(image, opener=Opened(b"1234"))
    assert read_film(Work(PixelRecipe(40)), short).detail == "not the size of 40 × 30 pixels of 2 bytes"


def test_a_file_that_is_known_to_be_corrupt_is_not_opened() -> None:
    reading = read_film(Work(PixelRecipe()), SourceImage("x", path=Path("/nowhere"), known_corrupt="listed as cut off"))
    assert (reading.reason, reading.detail) == ("known_corrupt", "listed as cut off")


@dataclass(frozen=True)
class Opened:
    content: bytes

    def __call__(self) -> BinaryIO:
        return io.BytesIO(self.content)


@dataclass(frozen=True)
class HalfMask:
    rows: int
    cols: int

    def __call__(self) -> npt.NDArray[np.bool_]:
        return np.arange(self.cols) * np.ones((self.rows, 1)) < self.cols / 2


def test_previews_of_rejected_films(write_dicom: Any, tmp_path: Path) -> None:
    """A small picture of what a header rejects, unless text may be in it; and none where nobody asked."""
    work = replace(WORK, previews=True)
    hand = read(write_dicom(tmp_path / "hand", BodyPartExamined="HAND"), work)
    assert hand.reason == "not_chest"
    assert hand.preview is not None
    assert decode_png(hand.preview, where="").shape == (12, 10)
    assert read(tmp_path / "hand").preview is None
    assert read(write_dicom(tmp_path / "ct", Modality="CT"), work).preview is None
    stated = write_dicom(tmp_path / "text", BodyPartExamined="HAND", BurnedInAnnotation="YES")
    assert read(stated, work).preview is None
    (tmp_path / "cut").write_bytes((tmp_path / "hand").read_bytes()[:-100])
    assert (read(tmp_path / "cut", work).reason, read(tmp_path / "cut", work).preview) == ("not_chest", None)


def test_a_preview_is_small(write_dicom: Any, tmp_path: Path, ramp: Any) -> None:
    path = write_dicom(tmp_path / "hand", ramp(300, 200), BodyPartExamined="HAND")
    reading = read(path, Work(PixelRecipe(shorter_side=150, bits=16), previews=True))
    assert reading.preview is not None
    small = decode_png(reading.preview, where="")
    assert (small.shape, small.dtype) == ((96, 64), np.uint8)


def test_thumbnails_are_rejected(write_dicom: Any, tmp_path: Path, ramp: Any) -> None:
    cv2.imwrite(str(tmp_path / "small.png"), ramp(24, 20).astype(np.uint8))
    for path in (write_dicom(tmp_path / "a"), tmp_path / "small.png"):
        reading = read(path, Work(PixelRecipe(512)))
        assert (reading.reason, reading.film) == ("too_small", None)
        assert reading.detail == "24 × 20 pixels; the shorter side must be at least 128"
