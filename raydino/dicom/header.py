"""The attributes of a DICOM header that ingest reads, and nothing else: the allow-list.

What is not a field of ``FilmHeader`` cannot reach a dataset. Identifiers in it stay in memory and
become pseudonyms in ``deidentify``. No value, however broken, raises here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, AllTransferSyntaxes

OLDEST_YEARS = 120  # ages above are typing errors
VIEWS = ("PA", "AP", "LATERAL", "UNKNOWN")
_VIEW_WORDS = {
    "PA": r"PA|P A|POSTERO ?ANTERIOR",
    "AP": r"AP|A P|ANTERO ?POSTERIOR",
    "LATERAL": r"LAT|LATERAL|LL|RL|LLAT|RLAT|[LR] LAT",
}
_KNOWN_MODALITIES = frozenset(
    (
        "CR",
        "DX",
        "DR",
        "CT",
        "MR",
        "US",
        "MG",
        "NM",
        "PT",
        "RF",
        "RG",
        "XA",
        "IO",
        "PX",
        "ES",
        "OT",
        "SC",
        "SR",
        "PR",
        "KO",
        "SEG",
        "DOC",
        "ECG",
        "REG",
        "RTDOSE",
        "RTIMAGE",
        "RTPLAN",
        "RTSTRUCT",
    )
)
_KNOWN_PHOTOMETRICS = re.compile(r"MONOCHROME[12]|PALETTE COLOR|RGB|YBR_\w{3,12}")


@dataclass(frozen=True)
class FilmHeader:
    """Text fields are stripped, ``""`` where absent. Lengths in mm, ages in years."""

    sop_instance_uid: str
    study_instance_uid: str
    patient_id: str
    modality: str
    body_part: str
    description: str  # protocol, series and study descriptions in one line, upper case
    view: str  # one of VIEWS
    orientation: tuple[str, ...]
    age_years: float | None
    sex: str  # F, M, O or UNKNOWN
    population: str
    institution: str
    rows: int | None
    cols: int | None
    bits_stored: int | None
    samples: int
    frames: int
    photometric: str
    spacing_mm: tuple[float, float] | None  # between rows, between columns
    pixel_aspect: float  # height of a pixel / its width
    transfer_syntax: str  # its name
    has_pixels: bool


def read_film_header(dataset: Dataset) -> FilmHeader:
    """The allow-list of ``dataset``, which may have been read without its pixels."""
    described = " ".join(text(dataset, k) for k in ("ProtocolName", "SeriesDescription", "StudyDescription"))
    description = re.sub(r"[\W_]+", " ", described.upper()).strip()
    orientation = tuple(texts(dataset, "PatientOrientation"))
    photometric = text(dataset, "PhotometricInterpretation").upper()
    modality = text(dataset, "Modality").upper()
    spacing = _spacing(dataset)
    return FilmHeader(
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        modality=modality if modality in _KNOWN_MODALITIES else ("OTHER" if modality else ""),
        body_part=text(dataset, "BodyPartExamined").upper(),
        description=description,
        view=_view(dataset, description, orientation),
        orientation=orientation,
        age_years=_age_years(dataset),
        sex=sex_of(text(dataset, "PatientSex")),
        population=text(dataset, "CountryOfResidence") or text(dataset, "EthnicGroup"),
        institution=text(dataset, "InstitutionName"),
        rows=_whole(dataset, "Rows"),
        cols=_whole(dataset, "Columns"),
        bits_stored=_whole(dataset, "BitsStored"),
        samples=_whole(dataset, "SamplesPerPixel") or 1,
        frames=_whole(dataset, "NumberOfFrames") or 1,
        photometric=photometric if _KNOWN_PHOTOMETRICS.fullmatch(photometric) else "OTHER",
        spacing_mm=spacing,
        pixel_aspect=_pixel_aspect(dataset, spacing),
        transfer_syntax=_syntax_name(dataset),
        has_pixels="Rows" in dataset and "Columns" in dataset,
    )


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """All values of an attribute as stripped text; an unreadable one counts as absent."""
    try:
        value = dataset.get(keyword)
    except Exception:
        return []
    if value is None or isinstance(value, bytes):
        return []
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    return [str(v).strip().strip("\0") for v in values]


def text(dataset: Dataset, keyword: str) -> str:
    """The first value of an attribute as text, ``""`` where absent."""
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All values of an attribute as finite numbers; one that is no number makes it absent."""
    try:
        found = [float(value) for value in texts(dataset, keyword)]
    except ValueError:
        return []
    return found if all(abs(value) < float("inf") for value in found) else []


def sex_of(value: str) -> str:
    """F, M, O, or UNKNOWN for everything else."""
    code = value.strip().upper()
    code = {"FEMALE": "F", "MALE": "M", "OTHER": "O"}.get(code, code)
    return code if code in ("F", "M", "O") else "UNKNOWN"


def view_of(value: str) -> str:
    """PA, AP, LATERAL or UNKNOWN from a ViewPosition, a code's meaning or a description.

    A text that names several views, or a decubitus film, is UNKNOWN.
    """
    words = re.sub(r"[\W_]+", " ", value.upper()).strip()
    if "DECUB" in words or words in ("LLD", "RLD"):
        return "UNKNOWN"
    named = [view for view, pattern in _VIEW_WORDS.items() if re.search(rf"\b({pattern})\b", words)]
    return named[0] if len(named) == 1 else "UNKNOWN"


def _view(dataset: Dataset, description: str, orientation: tuple[str, ...]) -> str:
    """From ViewPosition, else the view code, else the descriptions, else a lateral's orientation."""
    position = text(dataset, "ViewPosition")
    if position:
        return view_of(position)
    try:
        meaning = text(dataset.ViewCodeSequence[0], "CodeMeaning")
    except Exception:
        meaning = ""
    for candidate in (meaning, description):
        if (view := view_of(candidate)) != "UNKNOWN":
            return view
    sideways = bool(orientation) and orientation[0][:1].upper() in ("A", "P")
    return "LATERAL" if sideways and "DECUB" not in description else "UNKNOWN"


def _age_years(dataset: Dataset) -> float | None:
    """PatientAge (``045Y``, ``006M``, …; a bare number is years), else from birth and study dates."""
    found = re.fullmatch(r"(\d{1,3})([YMWD]?)", text(dataset, "PatientAge").upper())
    if found:
        a_year = {"Y": 1.0, "": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}[found[2]]
        age = round(int(found[1]) / a_year, 2)
    else:
        born, studied = (_date(text(dataset, k)) for k in ("PatientBirthDate", "StudyDate"))
        if born is None or studied is None or studied < born:
            return None
        years = studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))
        age = float(years) if years >= 2 else round((studied - born).days / 365.25, 1)
    return age if age <= OLDEST_YEARS else None


def _date(value: str) -> date | None:
    try:
        return date.fromisoformat(value.replace(".", "-"))
    except ValueError:
        return None


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """PixelSpacing, else ImagerPixelSpacing over the magnification that the header estimates."""
    magnification = next(iter(numbers(dataset, "EstimatedRadiographicMagnificationFactor")), 1.0)
    scales = {"PixelSpacing": 1.0, "ImagerPixelSpacing": max(magnification, 1.0)}
    for keyword, scale in scales.items():
        values = numbers(dataset, keyword)
        if len(values) == 2 and min(values) > 0:
            return values[0] / scale, values[1] / scale
    return None


def _pixel_aspect(dataset: Dataset, spacing: tuple[float, float] | None) -> float:
    ratio = numbers(dataset, "PixelAspectRatio")
    if spacing is not None:
        return spacing[0] / spacing[1]
    return ratio[0] / ratio[1] if len(ratio) == 2 and min(ratio) > 0 else 1.0


def _whole(dataset: Dataset, keyword: str) -> int | None:
    values = numbers(dataset, keyword)
    return int(values[0]) if values else None


def _syntax_name(dataset: Dataset) -> str:
    meta: Any = getattr(dataset, "file_meta", None)
    uid = UID(text(meta, "TransferSyntaxUID")) if meta is not None else UID("")
    return str(uid.name) if uid in AllTransferSyntaxes else "unknown"
