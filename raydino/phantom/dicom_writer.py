"""Films as DICOM files: Computed Radiography and Digital X-Ray (For Presentation) objects.

Attributes follow PS3.3 A.2 (CR) and A.26 (DX); UIDs are derived from the seed (PS3.5 B.2), so the
same archive has the same bytes. Neighbours: stored_values (pixels), archive (where files go).
"""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pydicom
import pydicom.uid
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from raydino.phantom.demographics import Patient, Study
from raydino.phantom.stored_values import StoredFilm

pydicom_config.settings.writing_validation_mode = pydicom_config.RAISE
_NAMESPACE = uuid.UUID("6a1dcb53-2ac5-5a2c-9a4c-3c3a64c7a001")
IMPLEMENTATION_UID = "2.25." + str(uuid.uuid5(_NAMESPACE, "implementation").int)
_VIEW_CODES = {  # PS3.16 CID 4010
    "PA": ("272479007", "postero-anterior"),
    "AP": ("399348003", "antero-posterior"),
    "LATERAL": ("399173006", "left lateral"),
}
_ORIENTATION = {"PA": ["L", "F"], "AP": ["L", "F"], "LATERAL": ["P", "F"]}


def stable_uid(*parts: object) -> str:
    """A UID that depends on ``parts`` only."""
    return "2.25." + str(uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)).int)


@dataclass(frozen=True)
class FilmIdentity:
    """Which film of which study a file is."""

    seed: int
    patient: Patient
    study: Study
    number: int  # of the film in its study, from 1
    view: str
    copy: str = ""  # names a duplicate

    @property
    def study_uid(self) -> str:
        return stable_uid(self.seed, "study", self.patient.index, self.study.number)

    @property
    def sop_uid(self) -> str:
        return stable_uid(self.seed, "image", self.patient.index, self.study.number, self.number, self.copy)


def dicom_bytes(identity: FilmIdentity, film: StoredFilm, spacing_mm: float) -> bytes:
    """One complete DICOM file."""
    dataset = Dataset()
    _patient_and_study(dataset, identity)
    _equipment(dataset, identity)
    _pixels(dataset, film)
    if film.encoding.is_dx:
        _dx_modules(dataset, identity, spacing_mm)
    else:
        _cr_modules(dataset, identity, spacing_mm)
    _lookup_tables(dataset, film)
    return _encoded(dataset, film)


def _patient_and_study(dataset: Dataset, identity: FilmIdentity) -> None:
    patient, study = identity.patient, identity.study
    day = study.date.strftime("%Y%m%d")
    minutes = (patient.index * 7 + study.number * 13) % 600 + 420
    time = f"{minutes // 60:02d}{minutes % 60:02d}{(identity.number * 17) % 60:02d}"
    dataset.PatientName = patient.name
    dataset.PatientID = patient.patient_id
    dataset.PatientSex = patient.sex if patient.sex_recorded else ""
    dataset.PatientBirthDate = patient.birth_date.strftime("%Y%m%d") if patient.age_recorded else ""
    if patient.age_recorded:
        dataset.PatientAge = f"{int(study.age_years):03d}Y"
    dataset.CountryOfResidence = patient.site.country
    dataset.StudyInstanceUID = identity.study_uid
    dataset.StudyID = str(study.number)
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = time
    dataset.AccessionNumber = f"A{patient.index + 1:05d}{study.number:02d}"
    dataset.ReferringPhysicianName = "SYNTH^REFERRER"
    dataset.StudyDescription = "CHEST"
    dataset.SeriesInstanceUID = stable_uid(identity.sop_uid, "series")
    dataset.SeriesNumber = identity.number
    dataset.InstanceNumber = 1
    dataset.SOPInstanceUID = identity.sop_uid


def _equipment(dataset: Dataset, identity: FilmIdentity) -> None:
    site = identity.patient.site
    dataset.Manufacturer = site.manufacturer
    dataset.ManufacturerModelName = site.model
    dataset.StationName = site.station
    dataset.InstitutionName = site.name
    dataset.DeviceSerialNumber = "SYNTH-0001"
    dataset.SoftwareVersions = "1.0"
    dataset.ProtocolName = "CHEST LAT" if identity.view == "LATERAL" else f"CHEST {identity.view}"
    dataset.SeriesDescription = dataset.ProtocolName
    dataset.KVP = "85" if identity.view == "AP" else "120"


def _pixels(dataset: Dataset, film: StoredFilm) -> None:
    rows, cols = film.values.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if film.encoding.monochrome1 else "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, cols
    dataset.BitsAllocated = 16
    dataset.BitsStored = film.encoding.bits
    dataset.HighBit = film.encoding.bits - 1
    dataset.PixelRepresentation = 0
    dataset.BurnedInAnnotation = "NO"  # the lead marker identifies no one
    dataset.LossyImageCompression = "00"


def _cr_modules(dataset: Dataset, identity: FilmIdentity, spacing_mm: float) -> None:
    """CR Series, CR Image and General Image."""
    spacing = _decimal(spacing_mm)
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.Modality = "CR"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "LL" if identity.view == "LATERAL" else identity.view
    dataset.PatientOrientation = _ORIENTATION[identity.view]
    dataset.PixelSpacing = [spacing, spacing]
    dataset.ImagerPixelSpacing = [spacing, spacing]
    dataset.PlateID = f"P{identity.patient.index % 12:02d}"


def _dx_modules(dataset: Dataset, identity: FilmIdentity, spacing_mm: float) -> None:
    """DX Series, DX Anatomy Imaged, DX Image, DX Detector, DX Positioning and Acquisition Context."""
    spacing = _decimal(spacing_mm)
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = Sequence([_code("816094009", "Chest")])
    dataset.PatientOrientation = _ORIENTATION[identity.view]
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1 if dataset.PhotometricInterpretation == "MONOCHROME1" else 1
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "US"
    inverse = dataset.PhotometricInterpretation == "MONOCHROME1"
    dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    dataset.DetectorType = "SCINTILLATOR"
    dataset.DetectorID = "SYNTH-DET"
    dataset.ImagerPixelSpacing = [spacing, spacing]
    dataset.PixelSpacing = [spacing, spacing]
    dataset.ViewPosition = "LL" if identity.view == "LATERAL" else identity.view
    dataset.PositionerType = ""
    view_code = _code(*_VIEW_CODES[identity.view])
    view_code.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view_code])
    dataset.AcquisitionContextSequence = Sequence([])


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _lookup_tables(dataset: Dataset, film: StoredFilm) -> None:
    """Modality LUT (PS3.3 C.11.1) and VOI LUT or windows (C.11.2)."""
    if film.modality_lut is not None:
        item = _table(film.modality_lut)
        item.ModalityLUTType = "US"
        dataset.ModalityLUTSequence = Sequence([item])
    elif not film.encoding.is_dx:
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    if film.windows:
        many = len(film.windows) > 1
        dataset.WindowCenter = [_decimal(w.center) for w in film.windows] if many else _decimal(film.windows[0].center)
        dataset.WindowWidth = [_decimal(w.width) for w in film.windows] if many else _decimal(film.windows[0].width)
        dataset.WindowCenterWidthExplanation = [w.explanation for w in film.windows]
    if film.encoding.voi == "sigmoid":
        dataset.VOILUTFunction = "SIGMOID"
    if film.voi_lut is not None:
        dataset.VOILUTSequence = Sequence([_table(film.voi_lut)])


def _table(entries: npt.NDArray[np.uint16]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, 0, 16])  # a length of 65,536 is written as 0
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


def _encoded(dataset: Dataset, film: StoredFilm) -> bytes:
    syntax: pydicom.uid.UID = getattr(pydicom.uid, film.encoding.transfer_syntax)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = pydicom.uid.UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "RAYDINO_PHANTOM"
    meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta = meta
    if syntax.is_compressed:
        plugin = "pylibjpeg" if "RLE" in film.encoding.transfer_syntax else ""  # pydicom's own is slow
        dataset.compress(syntax, film.values, encoding_plugin=plugin, generate_instance_uid=False)
    else:
        dataset.add_new("PixelData", "OW", film.values.astype("<u2").tobytes())
        meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def without_pixels(content: bytes) -> bytes:
    """The file ``content`` up to its pixel data, as a header-only export leaves it."""
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
