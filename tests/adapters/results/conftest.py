"""Small CR films whose stored grid is turned and not square, and a reading that found their bright blocks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from adapters.reading import Finding, Reading
from adapters.report.contradictions import contradictions
from adapters.results.model import Author, Model
from raydino.data.film_source import FilmSource, source_of_film
from raydino.data.one_film import film_of_dicom
from raydino.dicom.pixels import PixelRecipe

RECIPE = PixelRecipe(shorter_side=40)
BLOCKS = {"lungs": (12, 36, 20, 60, 200), "heart": (60, 80, 100, 140, 255)}  # stored rows, columns, grey
DRAFT = "The heart is enlarged.\nNo pleural effusion. Größe: 心臓."


def stored_blocks() -> npt.NDArray[np.uint8]:
    """[96, 160] with a block of each structure; edges at multiples of 4, so that the film of 48 × 40 keeps them."""
    stored = np.full((96, 160), 20, np.uint8)
    for top, bottom, left, right, grey in BLOCKS.values():
        stored[top:bottom, left:right] = grey
    return stored


@pytest.fixture
def write_film(tmp_path: Path) -> Callable[..., Path]:
    """``write(name, **attributes)``: pixels twice as high as wide; None takes an attribute away."""

    def write(name: str = "film.dcm", **attributes: Any) -> Path:
        stored = stored_blocks()
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        values = {
            "SpecificCharacterSet": "ISO_IR 100",
            "SOPClassUID": ComputedRadiographyImageStorage,
            "SOPInstanceUID": "2.25.1001",
            "StudyInstanceUID": "2.25.1002",
            "SeriesInstanceUID": "2.25.1003",
            "PatientName": "Planté^Zoë",
            "PatientID": "PLANTED-77",
            "PatientBirthDate": "19610203",
            "PatientSex": "F",
            "PatientAge": "058Y",
            "StudyDate": "20190527",
            "StudyTime": "071317",
            "StudyID": "1",
            "AccessionNumber": "PLANTED-88",
            "ReferringPhysicianName": "PLANTED^DOCTOR",
            "InstitutionName": "PLANTED HOSPITAL",
            "Modality": "CR",
            "BodyPartExamined": "CHEST",
            "ViewPosition": "PA",
            "PatientOrientation": ["L", "F"],
            "PixelSpacing": [0.4, 0.2],
            "Rows": 96,
            "Columns": 160,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
            "WindowCenter": 128,
            "WindowWidth": 256,
        }
        for keyword, value in (values | attributes).items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OB"
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write


@pytest.fixture
def read_blocks() -> Callable[[Path], tuple[Reading, FilmSource]]:
    """What a perfect model would say of such a film."""

    def read(path: Path) -> tuple[Reading, FilmSource]:
        film = film_of_dicom(path, RECIPE.resolved())
        findings = {
            "Effusion": Finding(0.83, 0.4, 1.2),
            "Cardiomegaly": Finding(0.125, 0.5, -2.0),
            "Rotated film of nobody's code": Finding(1 / 3, None, -0.7),
        }
        masks = {"lungs": np.abs(film.pixels.astype(int) - 200) < 20, "heart": film.pixels > 240}
        said = tuple(contradictions(DRAFT, findings))
        reading = Reading(film, findings, masks, {"cardiothoracic_ratio": 0.53125}, DRAFT, said)
        return reading, source_of_film(path, film)

    return read


@pytest.fixture
def model() -> Model:
    labels = ("Effusion", "Cardiomegaly", "Rotated film of nobody's code")
    authors = (
        Author("classification", "classification_linear", labels, "a" * 64),
        Author("regression", "regression_linear", ("cardiothoracic_ratio",), "b" * 64),
        Author("report", "report_decoder", ("findings",), "c" * 64),
        Author("segmentation", "segmentation_conv", ("lungs", "heart"), "d" * 64),
    )
    return Model("e" * 64, authors, "1.2.3")
