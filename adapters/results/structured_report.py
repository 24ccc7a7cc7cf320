"""Findings, measurements and the draft of a reading as a Comprehensive SR by TID 1500 (PS3.16).

A finding is a measurement group (TID 1501): its code, its probability and operating point as numbers from 0 to 1, and
present, absent or, without an operating point, not called. A structure that was found is one (TID 1411) that refers to
its segment of the Segmentation, with its area where the film tells its spacing. The draft is a text item of the root that says of itself
that nobody verified it; the whole document is PARTIAL, PRELIMINARY and UNVERIFIED. A signature is a radiologist's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from highdicom import sr
from highdicom.sr import RelationshipTypeValues
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from adapters.reading import Finding, Reading
from adapters.results import codes as our
from adapters.results.frame import MANUFACTURER, NOTICE, finish, frame, quietly
from adapters.results.model import Author, Model
from adapters.results.segmentation import tracking_uid
from raydino.data.film_source import FilmSource

SERIES_NUMBER = 9902
Group = sr.MeasurementsAndQualitativeEvaluations | sr.VolumetricROIMeasurementsAndQualitativeEvaluations


def structured_report(
    reading: Reading, source: FilmSource, model: Model, segmentation: Dataset | None = None
) -> sr.ComprehensiveSR:
    """The document of one film; what the reading does not hold is not in it.

    ``segmentation``: the object of the reading's masks (``results.segmentation``); without it no mask is spoken of.
    """
    with quietly():
        return _document(reading, source, model, segmentation)


def _document(reading: Reading, source: FilmSource, model: Model, segmentation: Dataset | None) -> sr.ComprehensiveSR:
    groups: list[Group] = [_finding(label, finding, source, model) for label, finding in reading.findings.items()]
    groups += [_measured(name, value, source, model) for name, value in reading.measurements.items()]
    if segmentation is not None:
        groups += [
            _structure(number, structure, source.mask(mask), source, model, segmentation)
            for number, (structure, mask) in enumerate(reading.masks.items(), start=1)
            if mask.any()  # an empty segment has no frame to look at
        ]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(model)),
        procedure_reported=codes.SCT.PlainRadiography,
        imaging_measurements=groups or [_film_alone(source, model)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    report[0].ContentSequence.extend(_texts(reading))
    made = sr.ComprehensiveSR(
        evidence=[source.header] + ([] if segmentation is None else [segmentation]),
        content=report[0],
        is_complete=False,
        is_final=False,
        is_verified=False,
        **frame(source, model, "SR", SERIES_NUMBER),
    )
    finish(made, source)
    return made


def _observer(model: Model) -> sr.ObserverContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=model.uid("", "device"),
        name="raydino",
        manufacturer_name=MANUFACTURER,
        model_name=f"raydino {model.version}",
        serial_number=model.fingerprint,
    )
    return sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def _algorithm(author: Author, model: Model) -> sr.AlgorithmIdentification:
    parameters = [f"adapter {author.fingerprint}", f"encoder {model.encoder}"]
    return sr.AlgorithmIdentification(f"raydino {author.kind}", model.version, parameters, manufacturer=MANUFACTURER)


def _image(source: FilmSource) -> list[sr.SourceImageForMeasurementGroup]:
    header = source.header
    return [sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)]


def _tracking(source: FilmSource, model: Model, what: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(uid=model.uid(source.sop_instance_uid, what), identifier=what)


def _number(name: Code, value: float, unit: Code = our.NO_UNITS) -> sr.Measurement:
    return sr.Measurement(name=name, value=float(value), unit=unit)


def _finding(
    label: str, finding: Finding, source: FilmSource, model: Model
) -> sr.MeasurementsAndQualitativeEvaluations:
    numbers = [_number(our.PROBABILITY, finding.probability)]
    if finding.threshold is not None:
        numbers.append(_number(our.OPERATING_POINT, finding.threshold))
    called = {True: our.PRESENT, False: our.ABSENT, None: our.NOT_CALLED}[finding.present]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(source, model, f"finding {label}"),
        finding_type=our.finding_code(label),
        algorithm_id=_algorithm(model.author("classification", label), model),
        measurements=numbers,
        qualitative_evaluations=[sr.QualitativeEvaluation(our.PRESENCE, called)],
        source_images=_image(source),
    )


def _measured(name: str, value: float, source: FilmSource, model: Model) -> sr.MeasurementsAndQualitativeEvaluations:
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(source, model, f"measurement {name}"),
        algorithm_id=_algorithm(model.author("regression", name), model),
        measurements=[_number(our.private_code(name), value, our.unit_code(name))],
        source_images=_image(source),
    )


def _structure(
    number: int, structure: str, mask: npt.NDArray[np.bool_], source: FilmSource, model: Model, segmentation: Dataset
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """``mask`` on the stored image's grid is segment ``number`` of the ``segmentation``."""
    header, n_pixels = source.header, int(np.count_nonzero(mask))
    numbers = [_number(our.SHARE, n_pixels / mask.size, our.RATIO)]
    if source.spacing_mm is not None:
        numbers.append(_number(our.AREA, n_pixels * source.spacing_mm[0] * source.spacing_mm[1], our.SQUARE_MM))
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(tracking_uid(structure, source, model), structure),
        referenced_segment=sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            number,
            source_images=[sr.SourceImageForSegmentation(header.SOPClassUID, header.SOPInstanceUID)],
        ),
        finding_category=our.ANATOMICAL_STRUCTURE,
        finding_type=our.structure_code(structure),
        algorithm_id=_algorithm(model.author("segmentation", structure), model),
        measurements=numbers,
    )


def _film_alone(source: FilmSource, model: Model) -> sr.MeasurementsAndQualitativeEvaluations:
    """A group that only names the film, where a draft is all there is: the template wants one."""
    tracking = _tracking(source, model, "film")
    return sr.MeasurementsAndQualitativeEvaluations(tracking_identifier=tracking, source_images=_image(source))


def _texts(reading: Reading) -> list[sr.TextContentItem]:
    said = [(our.NOTICE, f"{NOTICE}. Written by a model; no person has verified it.")]
    if reading.report:
        said.append((our.DRAFT_REPORT, reading.report))
    said += [(our.CONTRADICTION, f"{one.sentence} ({one.reason})") for one in reading.contradictions]
    return [sr.TextContentItem(name, text, RelationshipTypeValues.CONTAINS) for name, text in said]
