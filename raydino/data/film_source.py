"""The DICOM file behind a film: what an object made of the film inherits, and the way back to the stored grid."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import VR, validate_value

from raydino.data.one_film import OneFilm
from raydino.dicom.deidentify import told_age
from raydino.dicom.header import read_film_header, text
from raydino.dicom.orientation import turn_to_standard
from raydino.dicom.pixels import Geometry
from raydino.errors import UserError

# An allow-list: the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1) as far as they are required (type 2),
# the patient's age, and what is dated in the film. Everything else of the header stays behind.
_REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
_DATED = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
_TIMED = ("AcquisitionTime", "ContentTime", "SeriesTime", "StudyTime")
_REFERRED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_DIRECTION = re.compile("[LRAPHF]{1,3}")  # a value of PatientOrientation
_UNDATED, _MIDNIGHT = "19000101", "000000"  # where the film tells no day: an object must have one


@dataclass(frozen=True)
class Groups:
    """Of whom and how the film was taken, in a dataset's words (``artifacts.dataset``), as its ingest tells it."""

    sex: str  # F, M, O or UNKNOWN
    age_years: float | None  # 90 is 90 or more
    view: str  # PA, AP, LATERAL or UNKNOWN
    manufacturer: str  # a known maker or OTHER; "" where the file does not tell it


@dataclass(frozen=True)
class FilmSource:
    """``header`` holds what results inherit, in Unicode and with values that the standard allows, and no pixels.

    ``spacing_mm`` is between rows and between columns of the stored image; ``date`` and ``time`` are DA and TM.
    """

    header: Dataset
    geometry: Geometry
    rows: int
    cols: int
    spacing_mm: tuple[float, float] | None
    orientation: tuple[str, ...]  # PatientOrientation, empty where the file does not tell it
    date: str
    time: str
    groups: Groups

    @property
    def sop_instance_uid(self) -> str:
        """Of the film."""
        return str(self.header.SOPInstanceUID)

    def mask(self, film_mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """A mask of the film's size on the stored image's grid [rows, cols]."""
        return self.geometry.mask_in_source(film_mask, self.rows, self.cols)

    def film_mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """The way back: a mask on the stored image's grid at the film's size, turned as the film is."""
        return self.geometry.resize_mask(mask)


def source_of_film(source: str | Path | bytes, film: OneFilm) -> FilmSource:
    """The file ``source`` (a path or its content) that ``film`` was made of.

    Raises UserError where objects cannot refer to it: it lacks an identifier, or holds several frames.
    """
    where = "the file's content" if isinstance(source, bytes) else str(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote header values
        file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True)
        header = read_film_header(dataset, identify=False)
        if header.frames > 1:
            raise UserError(f"holds {header.frames} frames; results are made of films of one", where=where)
        kept = Dataset()
        for keyword in _REFERRED:
            setattr(kept, keyword, _referred(dataset, keyword, where))
        for keyword in _REQUIRED:
            setattr(kept, keyword, _allowed(dataset, keyword))
        if age := _allowed(dataset, "PatientAge"):
            kept.PatientAge = age
        kept.PatientSex = header.sex if header.sex in ("F", "M", "O") else ""
        kept.Modality = header.modality
        kept.Rows, kept.Columns = header.rows, header.cols
        kept.SpecificCharacterSet = "ISO_IR 192"
        date = next(filter(None, (_allowed(dataset, keyword) for keyword in _DATED)), _UNDATED)
        time = next(filter(None, (_allowed(dataset, keyword) for keyword in _TIMED)), _MIDNIGHT)
    is_oriented = len(header.orientation) == 2 and all(_DIRECTION.fullmatch(value) for value in header.orientation)
    geometry = Geometry(turn_to_standard(header.orientation), *film.pixels.shape)
    sizes = (int(header.rows or 0), int(header.cols or 0))
    orientation = header.orientation if is_oriented else ()
    groups = Groups(header.sex, told_age(header.age_years), header.view, header.manufacturer)
    return FilmSource(kept, geometry, *sizes, header.spacing_mm, orientation, date, time, groups)


def _referred(dataset: Dataset, keyword: str, where: str) -> str:
    value = text(dataset, keyword)
    if not value or not pydicom.uid.UID(value).is_valid:
        raise UserError(f"has no valid {keyword}, which results refer to", where=where)
    return value


def _allowed(dataset: Dataset, keyword: str) -> str:
    """The value as text, ``""`` where it is absent or breaks the rules of its kind."""
    vr = VR(pydicom.datadict.dictionary_VR(keyword))
    try:
        value = str(dataset.get(keyword) or "").strip()
        validate_value(vr, value, pydicom.config.RAISE)
    except Exception:  # a header can be broken in any way
        return ""
    return value
