"""The attributes of a DICOM header that ingest reads, and nothing else: the allow-list.

What is not a field of ``FilmHeader`` cannot reach a dataset. Identifiers and free text in it stay in
memory: ``deidentify`` makes pseudonyms of them, ``scrub`` takes them out of reports, ``screen`` and
``examination`` look words up in them. No value, however broken, raises here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, AllTransferSyntaxes, DigitalXRayImageStorageForProcessing

from raydino.dicom.examination import first_view, fold, view_of
from raydino.dicom.identifiers import identifiers_of
from raydino.dicom.makers import maker_of

OLDEST_YEARS = 120  # ages above are typing errors
RONTGEN = 1895  # no film is older
_FILM_TEXTS = ("ProtocolName", "SeriesDescription")
_STUDY_TEXTS = ("StudyDescription", "RequestedProcedureDescription", "AcquisitionDeviceProcessingDescription")
_PROCEDURES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "PerformedProtocolCodeSequence")
_INTENTS = ("FOR PRESENTATION", "FOR PROCESSING")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kin
_KNOWN_MODALITIES = re.compile(
    "CR|DX|DR|CT|MR|US|MG|NM|PT|RF|RG|XA|IO|PX|ES|OT|SC|SR|PR|KO|SEG|DOC|ECG|REG|RTDOSE|RTIMAGE|RTPLAN|RTSTRUCT"
)
_KNOWN_PHOTOMETRICS = re.compile(r"MONOCHROME[12]|PALETTE COLOR|RGB|YBR_\w{3,12}")


@dataclass(frozen=True)
class FilmHeader:
    """Text fields are stripped, ``""`` where absent. Lengths in mm, ages in years."""

    sop_instance_uid: str
    study_instance_uid: str
    patient_id: str
    identifiers: tuple[str, ...]  # all that names a person, place, number or date; to scrub reports with
    modality: str
    body_part: str  # with the anatomic region; folded, as the next three are
    film_text: str  # protocol and series
    study_text: str  # descriptions of the study, of the procedure and of the device's processing
    derivation: str  # what was done to the pixels
    codes: tuple[str, ...]  # of anatomic regions and procedures
    image_type: frozenset[str]  # its words
    intent: str  # FOR PRESENTATION, FOR PROCESSING or ""
    is_secondary_capture: bool
    is_human: bool
    burned_in: bool | None  # Burned In Annotation, None where it says nothing
    view: str  # one of examination.VIEWS
    orientation: tuple[str, ...]
    study_year: int | None
    age_years: float | None
    sex: str  # F, M, O or UNKNOWN
    manufacturer: str  # one of makers, OTHER, or "" where absent
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


def read_film_header(dataset: Dataset, *, identify: bool = True) -> FilmHeader:
    """The allow-list of ``dataset``, which may have been read without its pixels.

    ``identify`` collects ``identifiers``, which takes as long as all the rest; only reports need them.
    """
    film_text = fold(" ".join(text(dataset, k) for k in _FILM_TEXTS))
    study_text = fold(" ".join(text(dataset, k) for k in _STUDY_TEXTS))
    orientation = tuple(texts(dataset, "PatientOrientation"))
    photometric = text(dataset, "PhotometricInterpretation").upper()
    modality = text(dataset, "Modality").upper()
    spacing = _spacing(dataset)
    regions = _codes(dataset, "AnatomicRegionSequence")
    procedures = [pair for keyword in _PROCEDURES for pair in _codes(dataset, keyword)]
    part = " ".join([text(dataset, "BodyPartExamined"), *(meaning for _, meaning in regions)])
    return FilmHeader(
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        identifiers=identifiers_of(dataset) if identify else (),
        modality=modality if _KNOWN_MODALITIES.fullmatch(modality) else ("OTHER" if modality else ""),
        body_part=fold(part),
        film_text=film_text,
        study_text=" ".join([study_text, *(fold(meaning) for _, meaning in procedures)]).strip(),
        derivation=fold(text(dataset, "DerivationDescription")),
        codes=tuple(code for code, _ in (*regions, *procedures)),
        image_type=frozenset(fold(" ".join(texts(dataset, "ImageType"))).split()),
        intent=_intent(dataset),
        is_secondary_capture=text(dataset, "SOPClassUID").startswith(_SECONDARY_CAPTURE),
        is_human=_is_human(dataset),
        burned_in={"YES": True, "NO": False}.get(text(dataset, "BurnedInAnnotation").upper()),
        view=_view(dataset, film_text, study_text, orientation),
        orientation=orientation,
        study_year=_study_year(dataset),
        age_years=_age_years(dataset),
        sex=sex_of(text(dataset, "PatientSex")),
        manufacturer=maker_of(text(dataset, "Manufacturer")),
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


def _codes(dataset: Dataset, keyword: str) -> list[tuple[str, str]]:
    """(code value, code meaning) of each item of a sequence that can be read."""
    try:
        items = list(dataset.get(keyword) or [])
        return [(text(item, "CodeValue"), text(item, "CodeMeaning")) for item in items]
    except Exception:
        return []


def _view(dataset: Dataset, film_text: str, study_text: str, orientation: tuple[str, ...]) -> str:
    """From ViewPosition, else the view code, else the descriptions, else a lateral's orientation."""
    position = text(dataset, "ViewPosition")
    if position:
        return view_of(position)
    coded = next(iter(_codes(dataset, "ViewCodeSequence")), ())
    view = first_view((*coded, film_text, study_text))
    sideways = bool(orientation) and orientation[0][:1].upper() in ("A", "P")
    is_decubitus = "DECUB" in film_text or "DECUB" in study_text
    return "LATERAL" if view == "UNKNOWN" and sideways and not is_decubitus else view


def _is_human(dataset: Dataset) -> bool:
    """False for a film of an animal: by species or breed (C.7.1.1), or by a veterinary word."""
    species = fold(text(dataset, "PatientSpeciesDescription"))
    words = fold(" ".join(text(dataset, k) for k in ("PatientBreedDescription", *_FILM_TEXTS, *_STUDY_TEXTS)))
    return species in ("", "HUMAN", "HOMO SAPIENS") and not re.search(r"\b(?:CANINE|FELINE|EQUINE|VETERIN\w*)\b", words)


def _intent(dataset: Dataset) -> str:
    """Presentation Intent Type (C.8.11.1.1.1); where a film lacks it, what its SOP class is for.

    A film that was wrapped in the wrong class gives itself away: what is DERIVED is no longer raw.
    """
    stated = text(dataset, "PresentationIntentType").upper()
    if stated in _INTENTS:
        return stated
    is_raw_class = text(dataset, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    return "FOR PROCESSING" if is_raw_class and "DERIVED" not in texts(dataset, "ImageType") else ""


def _study_year(dataset: Dataset) -> int | None:
    """The year of the study, or of what else was dated; de-identified sets shift it into the future."""
    dates = (_date(text(dataset, k)) for k in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"))
    return next((day.year for day in dates if day and day.year >= RONTGEN), None)


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
