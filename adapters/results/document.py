"""The page of a reading as Encapsulated PDF (PS3.3 A.45.1), for archives and viewers without structured reports."""

from __future__ import annotations

from highdicom import UID
from highdicom.base import SOPClass
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from adapters.reading import Reading
from adapters.results.frame import NOTICE, finish, frame, quietly
from adapters.results.model import Model
from adapters.results.page import report_page
from raydino.data.film_source import FilmSource

SERIES_NUMBER = 9903


def document(reading: Reading, source: FilmSource, model: Model) -> Dataset:
    """The object. BurnedInAnnotation is NO: nothing on the page tells whose film it is; the header does."""
    with quietly():
        return _object(report_page(reading, model), source, model)


def _object(pdf: bytes, source: FilmSource, model: Model) -> Dataset:
    header = source.header
    made = SOPClass(
        study_instance_uid=UID(header.StudyInstanceUID),
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        patient_id=header.PatientID,
        patient_name=header.PatientName,
        patient_birth_date=header.PatientBirthDate,
        patient_sex=header.PatientSex,
        accession_number=header.AccessionNumber,
        study_id=header.StudyID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        referring_physician_name=header.ReferringPhysicianName,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **frame(source, model, "PDF", SERIES_NUMBER),
    )
    made.copy_patient_and_study_information(header)
    made.ConversionType = "WSD"  # made at a workstation
    made.BurnedInAnnotation = "NO"
    made.AcquisitionDateTime = ""
    referred = Dataset()
    referred.ReferencedSOPClassUID, referred.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    made.SourceInstanceSequence = [referred]
    made.DocumentTitle = f"Reading by a model. {NOTICE}"
    made.ConceptNameCodeSequence = [CodedConcept.from_code(codes.DCM.ImagingMeasurementReport)]
    made.VerificationFlag = "UNVERIFIED"
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    finish(made, source)
    return made
