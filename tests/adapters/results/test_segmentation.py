"""Masks open where they lie in the stored image, coded, signed, and the same each time."""

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from highdicom.seg import segread

from adapters.results.model import Model
from adapters.results.segmentation import segmentation

ORIENTATIONS = [["L", "F"], ["R", "H"], ["R", "F"], ["F", "L"], ["H", "R"], ["F", "R"], None]


def where(top: int, bottom: int, left: int, right: int, _: int) -> np.ndarray:
    expected = np.zeros((96, 160), bool)
    expected[top:bottom, left:right] = True
    return expected


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_it_opens_at_the_right_place(
    write_film: Any, read_blocks: Any, model: Model, tmp_path: Path, orientation: list[str] | None
) -> None:
    """The film's pixels are square and it is turned; the stored ones are neither."""
    blocks = {"lungs": (12, 36, 20, 60, 200), "heart": (60, 80, 100, 140, 255)}  # as they were drawn
    reading, source = read_blocks(write_film(PatientOrientation=orientation))
    is_turned = orientation is not None and orientation[0] in "FH"
    assert reading.film.pixels.shape == ((40, 48) if is_turned else (48, 40))
    segmentation(reading.masks, source, model).save_as(tmp_path / "seg.dcm")
    read = segread(tmp_path / "seg.dcm")
    assert (read.Rows, read.Columns) == (96, 160)
    found = read.get_pixels_by_source_instance([source.sop_instance_uid])[0]
    for number, structure in enumerate(blocks):
        np.testing.assert_array_equal(found[..., number].astype(bool), where(*blocks[structure]))
    assert list(read.PatientOrientation or []) == (orientation or [])


def test_what_stands_in_it(write_film: Any, read_blocks: Any, model: Model, tmp_path: Path) -> None:
    reading, source = read_blocks(write_film())
    segmentation(reading.masks, source, model).save_as(tmp_path / "seg.dcm")
    read = segread(tmp_path / "seg.dcm")
    assert [d.segment_label for d in (read.get_segment_description(n) for n in (1, 2))] == ["lungs", "heart"]
    lungs, heart = (read.get_segment_description(n) for n in (1, 2))
    assert (lungs.segmented_property_type.value, heart.segmented_property_type.value) == ("39607008", "80891009")
    algorithm = lungs.algorithm_identification
    assert (algorithm.name, algorithm.version) == ("raydino segmentation_conv", "1.2.3")
    assert algorithm.parameters == {"adapter": "d" * 64, "encoder": "e" * 64}
    assert (str(read.PatientName), read.PatientID, read.AccessionNumber) == ("Planté^Zoë", "PLANTED-77", "PLANTED-88")
    assert (read.PatientSex, read.PatientAge, read.StudyInstanceUID) == ("F", "058Y", "2.25.1002")
    assert read.ReferencedSeriesSequence[0].SeriesInstanceUID == "2.25.1003"
    assert read.SeriesInstanceUID not in ("2.25.1003", read.SOPInstanceUID)
    assert "Research use only" in read.SeriesDescription
    assert "HOSPITAL" not in str(read)


def test_the_same_study_twice_is_the_same_object(
    write_film: Any, read_blocks: Any, model: Model, tmp_path: Path
) -> None:
    made = []
    for name in ("one.dcm", "two.dcm"):
        reading, source = read_blocks(write_film(name))
        segmentation(reading.masks, source, model).save_as(tmp_path / f"seg-{name}")
        made.append((tmp_path / f"seg-{name}").read_bytes())
    assert made[0] == made[1]
    read = segread(tmp_path / "seg-one.dcm")
    assert read.SOPInstanceUID.startswith("2.25.")
    assert (read.ContentDate, read.ContentTime) == ("20190527", "071317")
    reading, source = read_blocks(write_film("three.dcm", SOPInstanceUID="2.25.2001"))
    assert segmentation(reading.masks, source, model).SOPInstanceUID != read.SOPInstanceUID
    newer = dataclasses.replace(model, encoder="f" * 64)
    _, source = read_blocks(write_film())
    assert segmentation(reading.masks, source, newer).SOPInstanceUID != read.SOPInstanceUID


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PixelSpacing": None, "PixelAspectRatio": [2, 1]},
        {"PixelSpacing": None, "ImagerPixelSpacing": [0.286, 0.143], "EstimatedRadiographicMagnificationFactor": 1.07},
        {"PatientOrientation": None, "StudyDate": None, "StudyTime": None, "PatientSex": "X", "PatientName": None},
        {"PatientBirthDate": "unknown", "PatientAge": "old", "StudyID": None, "ReferringPhysicianName": None},
    ],
    ids=["whole", "no spacing", "long spacing", "bare", "odd values"],
)
@pytest.mark.parametrize("found", ["both", "one", "none"])
def test_dciodvfy_and_highdicom_take_it(
    write_film: Any, read_blocks: Any, model: Model, tmp_path: Path, attributes: dict[str, Any], found: str
) -> None:
    reading, source = read_blocks(write_film(**attributes))
    masks = {**reading.masks}
    for structure in {"both": [], "one": ["heart"], "none": ["lungs", "heart"]}[found]:
        masks[structure] = np.zeros_like(masks[structure])
    segmentation(masks, source, model).save_as(tmp_path / "seg.dcm")
    if source.spacing_mm is not None:
        read = segread(tmp_path / "seg.dcm")
        pixels = read.get_pixels_by_source_instance([source.sop_instance_uid], ignore_spatial_locations=False)[0]
        for number, mask in enumerate(masks.values()):
            np.testing.assert_array_equal(pixels[..., number].astype(bool), source.mask(mask))
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (dicom3tools)")
    told = subprocess.run(["dciodvfy", "-new", str(tmp_path / "seg.dcm")], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr, told.stderr


@pytest.mark.parametrize("drawn", ["as found", "overlapping", "one empty", "all empty", "one alone"])
def test_the_sketch_gives_what_highdicom_makes_of_whole_masks(
    write_film: Any, read_blocks: Any, model: Model, monkeypatch: pytest.MonkeyPatch, drawn: str
) -> None:
    reading, source = read_blocks(write_film(Rows=95, Columns=159))
    masks = {name: np.zeros(reading.film.pixels.shape, bool) for name in ("lungs", "heart")}
    masks["lungs"][5:20, 5:15] = drawn != "all empty"
    masks["heart"][18 if drawn == "overlapping" else 25 : 30, 5:20] = drawn not in ("one empty", "all empty")
    if drawn == "one alone":
        del masks["heart"]
    made = segmentation(masks, source, model)
    planes = np.stack([source.mask(mask) for mask in masks.values()], axis=-1).astype(np.uint8)
    kept: dict[str, Any] = {}

    def whole(**given: Any) -> hd.seg.Segmentation:
        by_highdicom = hd.seg.Segmentation(**given | {"source_images": [source.header], "pixel_array": planes[None]})
        kept.update((name, getattr(by_highdicom, name)) for name in ("Rows", "Columns", "SegmentsOverlap", "PixelData"))
        return by_highdicom

    monkeypatch.setattr("adapters.results.segmentation.Segmentation", whole)
    reference = segmentation(masks, source, model)
    theirs, ours = kept.pop("PixelData"), made.PixelData
    n_bytes = -(-95 * 159 * made.NumberOfFrames // 8)
    assert (len(ours), ours[:n_bytes]) == (len(theirs), theirs[:n_bytes])
    assert ours[n_bytes:] in (b"", b"\0")  # highdicom's is the digit 0
    assert kept == {name: getattr(made, name) for name in kept}
    assert made == reference
    assert (source.header.Rows, source.header.Columns) == (95, 159)
