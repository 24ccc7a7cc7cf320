"""Findings, measurements and the draft of a reading as a Comprehensive SR by TID 1500 (PS3.16).

A finding is a measurement group (TID 1501): its code, its probability and operating point as numbers from 0 to 1, and
present, absent or, without an operating point, not called. The draft is a text item of the root that says of itself
that nobody verified it; the whole document is PARTIAL, PRELIMINARY and UNVERIFIED. A signature is a radiologist's.
"""

from __future__ import annotations

from highdicom import sr
from highdicom.sr import RelationshipTypeValues
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from adapters.reading import Finding, Reading
from adapters.results import codes as our
from adapters.results.frame import MANUFACTURER, NOTICE, fix_dates, frame, quietly
from adapters.results.model import Author, Model
from raydino.data.film_source import FilmSource

SERIES_NUMBER = 9902


def structured_report(reading: Reading, source: FilmSource, model: Model) -> sr.ComprehensiveSR:
    """The document of one film; what the reading does not hold is not in it."""
    with quietly():
        return _document(reading, source, model)


def _document(reading: Reading, source: FilmSource, model: Model) -> sr.ComprehensiveSR:
    groups = [_finding(label, finding, source, model) for label, finding in reading.findings.items()]
    groups += [_measured(name, value, source, model) for name, value in reading.measurements.items()]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(model)),
        procedure_reported=codes.SCT.PlainRadiography,
        imaging_measurements=groups or [_film_alone(source, model)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    report[0].ContentSequence.extend(_texts(reading))
    made = sr.ComprehensiveSR(
        evidence=[source.header],
        content=report[0],
        is_complete=False,
        is_final=False,
        is_verified=False,
        **frame(source, model, "SR", SERIES_NUMBER),
    )
    fix_dates(made, source)
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
