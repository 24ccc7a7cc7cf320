from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from raydino.artifacts.dataset import Dataset as Artifact
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, SourceImage, open_reader
from raydino.readers.siim_acr import SiimAcr

# Column 100, rows 200 to 299, and column 101, rows 200 to 249: 100 · 1024 + 200 zeros, then 1024 - 100 zeros.
UPPER = "102600 100 924 50"
LOWER = "522740 3"  # column 510, rows 500 to 502


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def made(image: SourceImage, structure: str = "pneumothorax") -> npt.NDArray[np.bool_]:
    maker = image.masks[structure]
    assert not isinstance(maker, Path)
    return maker()


def first_stage(root: Path) -> Path:
    """As Kaggle's train-rle.csv: a space before the second name and before -1, a row an outline."""
    for name in ("dicom-images-train/s1/r1/1.2.1.dcm", "dicom-images-train/s2/r2/1.2.2.dcm"):
        touch(root / name)
    touch(root / "dicom-images-train/s3/r3/1.2.3.dcm")  # without a row
    touch(root / "dicom-images-test/s4/r4/1.2.4.dcm")
    rows = f"1.2.2, -1\n1.2.1, {UPPER}\n1.2.9, -1\n1.2.1,{LOWER}\n"
    (root / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n{rows}")
    return root


def test_the_first_stage(tmp_path: Path) -> None:
    root = first_stage(tmp_path / "siim")
    assert open_reader(str(root))[0] == open_reader(str(tmp_path))[0] == "siim-acr"
    reader = SiimAcr(str(tmp_path), ReaderOptions())
    images = list(reader.images())
    assert [image.name for image in images] == [
        "1.2.9.dcm",
        "dicom-images-test/s4/r4/1.2.4.dcm",
        "dicom-images-train/s1/r1/1.2.1.dcm",
        "dicom-images-train/s2/r2/1.2.2.dcm",
        "dicom-images-train/s3/r3/1.2.3.dcm",
    ]
    assert reader.total() == 5
    assert [image.labels["Pneumothorax"] for image in images] == [0, None, 1, 0, None]
    assert [image.known.split for image in images] == ["test", "test", "train", "train", "train"]
    assert [list(image.masks) for image in images] == [[], [], ["pneumothorax"], [], []]
    assert [image.path is not None and image.path.is_file() for image in images] == [False] + [True] * 4
    assert all(image.is_dicom and image.chest_film for image in images)
    assert {(image.known.population, image.known.site) for image in images} == {
        ("United States", "NIH Clinical Center")
    }
    assert reader.labels == ("Pneumothorax",)
    assert list(reader.notes) == [
        "10,675 listed films are published, 3 are here",
        "all films are also in ChestX-ray14: don't test there what has seen them",
        "1 listed films are missing",
    ]


def test_outlines_run_down_the_columns_and_are_joined(tmp_path: Path) -> None:
    reader = SiimAcr(str(first_stage(tmp_path)), ReaderOptions())
    expected = np.zeros((1024, 1024), bool)
    expected[200:300, 100] = True
    expected[200:250, 101] = True
    expected[500:503, 510] = True
    np.testing.assert_array_equal(made(next(image for image in reader.images() if image.masks)), expected)


def test_the_second_stage_trains_on_the_first_ones_test(tmp_path: Path) -> None:
    first_stage(tmp_path)
    touch(tmp_path / "stage_2_images/ID_0011.dcm")
    (tmp_path / "stage_2_train.csv").write_text(f"ImageId,EncodedPixels\n1.2.1,{UPPER}\n1.2.2,-1\n1.2.4,{LOWER}\n")
    reader = SiimAcr(str(tmp_path), ReaderOptions())
    splits = {image.name.split("/")[-1]: image.known.split for image in reader.images()}
    assert splits == {
        "1.2.1.dcm": "train",
        "1.2.2.dcm": "train",
        "1.2.3.dcm": "train",
        "1.2.4.dcm": "train",
        "ID_0011.dcm": "test",
    }
    assert list(reader.notes)[:2] == [
        "12,047 listed films are published, 3 are here",
        "2,669 films with pneumothorax are published, 2 are here",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "train-rle.csv").unlink(), "lacks stage_2_train.csv; get all tables"),
        (lambda root: (root / "train-rle.csv").write_text("ImageId,x\n1,2\n"), "lacks a column 'EncodedPixels'"),
    ],
)
def test_faults(tmp_path: Path, change: object, message: str) -> None:
    change(first_stage(tmp_path))  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as caught:
        SiimAcr(str(tmp_path), ReaderOptions())
    assert "\n" not in str(caught.value)


def test_through_ingest(tmp_path: Path) -> None:
    root = first_stage(tmp_path / "siim")
    stored = np.arange(1024 * 1024).reshape(1024, 1024) // 4096
    for number, path in enumerate(sorted(root.rglob("*.dcm"))):
        write_film(path, np.roll(stored, 64 * number, axis=0))
    options = IngestOptions(recipe=PixelRecipe(256), crosswalk=tmp_path / "x.csv")
    summary = ingest(root, tmp_path / "out", options)
    assert (summary.accepted, summary.rejected) == (4, {"unreadable": 1})
    assert summary.masks == {"pneumothorax": 1}
    assert summary.labels == {"Pneumothorax": (1, 1, 2)}
    dataset = Artifact.open(tmp_path / "out")
    ids = pd.read_csv(tmp_path / "x.csv", dtype=str).set_index("path")["sample_id"]
    mask = dataset.mask("pneumothorax", ids["dicom-images-train/s1/r1/1.2.1.dcm"])
    assert mask is not None
    rows, cols = np.nonzero(mask)  # a quarter of the size: column 25, rows 50 to 74
    assert (cols.min(), cols.max()) == (25, 25)
    assert 49 <= rows.min() <= 51
    assert 61 <= rows.max() <= 75
    assert dataset.accepted.loc[ids["dicom-images-test/s4/r4/1.2.4.dcm"], "split"] == "test"


def write_film(path: Path, stored: npt.NDArray[np.int64]) -> None:
    """A small header of a CR as the data set has them."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = path.stem
    film.StudyInstanceUID, film.PatientID = f"{path.stem}.1", f"patient {path.stem}"
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.Rows, film.Columns = stored.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.PixelData = stored.astype(np.uint8).tobytes()
    film["PixelData"].VR = "OB"
    film.save_as(path, enforce_file_format=True)
