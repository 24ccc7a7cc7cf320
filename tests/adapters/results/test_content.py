"""The report's content has the bytes that highdicom's own templates give, whatever the reading holds."""

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from adapters.reading import Finding, Reading
from adapters.results import codes as our
from adapters.results.content import element, number_item
from adapters.results.frame import NOTICE
from adapters.results.model import Author, Model
from adapters.results.segmentation import segmentation, tracking_uid
from adapters.results.structured_report import structured_report
from raydino.data.film_source import FilmSource


class Reference:
    """The same document by highdicom's templates."""

    def __init__(self, reading: Reading, source: FilmSource, model: Model, seg: Dataset | None) -> None:
        self.reading, self.source, self.model, self.seg = reading, source, model, seg
        header = source.header
        self.image = [sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)]

    def content(self) -> bytes:
        """Its encoded ContentSequence."""
        device = sr.DeviceObserverIdentifyingAttributes(
            uid=self.model.uid("", "device"),
            name="raydino",
            manufacturer_name="raydino",
            model_name=f"raydino {self.model.version}",
            serial_number=self.model.fingerprint,
        )
        observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
        report = sr.MeasurementReport(
            observation_context=sr.ObservationContext(observer_device_context=observer),
            procedure_reported=codes.SCT.PlainRadiography,
            imaging_measurements=self.groups(),
            title=codes.DCM.ImagingMeasurementReport,
        )
        said = [(our.NOTICE, f"{NOTICE}. Written by a model; no person has verified it.")]
        if self.reading.report:
            said.append((our.DRAFT_REPORT, self.reading.report))
        said += [(our.CONTRADICTION, f"{one.sentence} ({one.reason})") for one in self.reading.contradictions]
        report[0].ContentSequence.extend(
            [sr.TextContentItem(name, text, sr.RelationshipTypeValues.CONTAINS) for name, text in said]
        )
        return encoded(report[0].ContentSequence)

    def groups(self) -> list[Any]:
        groups: list[Any] = [self.finding(*named) for named in self.reading.findings.items()]
        groups += [
            sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=self.tracking(f"measurement {name}"),
                algorithm_id=self.algorithm(self.model.author("regression", name)),
                measurements=[self.number(our.private_code(name), value, our.unit_code(name))],
                source_images=self.image,
            )
            for name, value in self.reading.measurements.items()
        ]
        if self.seg is not None:
            masks = enumerate(self.reading.masks.items(), start=1)
            groups += [self.structure(number, *named) for number, named in masks if named[1].any()]
        alone = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self.tracking("film"), source_images=self.image
        )
        return groups or [alone]

    def finding(self, label: str, finding: Finding) -> Any:
        numbers = [self.number(our.PROBABILITY, finding.probability)]
        if finding.threshold is not None:
            numbers.append(self.number(our.OPERATING_POINT, finding.threshold))
        called = {True: our.PRESENT, False: our.ABSENT, None: our.NOT_CALLED}[finding.present]
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self.tracking(f"finding {label}"),
            finding_type=our.finding_code(label),
            algorithm_id=self.algorithm(self.model.author("classification", label)),
            measurements=numbers,
            qualitative_evaluations=[sr.QualitativeEvaluation(our.PRESENCE, called)],
            source_images=self.image,
        )

    def structure(self, number: int, structure: str, mask: np.ndarray) -> Any:
        assert self.seg is not None
        header, stored = self.source.header, self.source.mask(mask)
        numbers = [self.number(our.SHARE, int(stored.sum()) / stored.size, our.RATIO)]
        if self.source.spacing_mm:
            rows_mm, cols_mm = self.source.spacing_mm
            numbers.append(self.number(our.AREA, int(stored.sum()) * rows_mm * cols_mm, our.SQUARE_MM))
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(tracking_uid(structure, self.source, self.model), structure),
            referenced_segment=sr.ReferencedSegment(
                self.seg.SOPClassUID,
                self.seg.SOPInstanceUID,
                number,
                source_images=[sr.SourceImageForSegmentation(header.SOPClassUID, header.SOPInstanceUID)],
            ),
            finding_category=our.ANATOMICAL_STRUCTURE,
            finding_type=our.structure_code(structure),
            algorithm_id=self.algorithm(self.model.author("segmentation", structure)),
            measurements=numbers,
        )

    def tracking(self, what: str) -> sr.TrackingIdentifier:
        return sr.TrackingIdentifier(uid=self.model.uid(self.source.sop_instance_uid, what), identifier=what)

    def algorithm(self, author: Author) -> sr.AlgorithmIdentification:
        parameters = [f"adapter {author.fingerprint}", f"encoder {self.model.encoder}"]
        return sr.AlgorithmIdentification(
            f"raydino {author.kind}", self.model.version, parameters, manufacturer="raydino"
        )

    @staticmethod
    def number(name: Any, value: float, unit: Any = our.NO_UNITS) -> sr.Measurement:
        return sr.Measurement(name=name, value=float(value), unit=unit)


def encoded(content: Any) -> bytes:
    dataset, buffer = Dataset(), io.BytesIO()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ContentSequence = content
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


@pytest.mark.parametrize("what", ["whole", "no spacing", "heart not found", "draft only", "odd numbers"])
def test_the_bytes_are_highdicom_s(write_film: Any, read_blocks: Any, model: Model, what: str) -> None:
    reading, source = read_blocks(write_film(**({"PixelSpacing": None} if what == "no spacing" else {})))
    if what == "heart not found":
        reading.masks["heart"] = np.zeros_like(reading.masks["heart"])
    if what == "draft only":
        reading = Reading(reading.film, report=reading.report)
    if what == "odd numbers":
        numbers = (0.0, 1.0, 1e-300, 2 / 3, 0.1 + 0.2, 123456.789012345)
        labels = tuple(f"{number!r} label" for number in numbers)
        authors = (Author("classification", "k", labels, "a" * 64),)
        model = dataclasses.replace(model, authors=authors)
        findings = {label: Finding(n, 0.5, 0.0) for label, n in zip(labels, numbers, strict=True)}
        reading = Reading(reading.film, findings)
    seg = segmentation(reading.masks, source, model) if reading.masks else None
    buffer = io.BytesIO()
    made = structured_report(reading, source, model, seg)
    made.save_as(buffer)
    expected = Reference(reading, source, model, seg).content()
    found = encoded(made.ContentSequence)
    assert found == expected
    assert expected[expected.index(b"\x40\x00\x30\xa7SQ") :] in buffer.getvalue()  # written as it was encoded
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_elements_have_even_lengths() -> None:
    assert element(0x0040A124, "UI", "1.2") == b"\x40\x00\x24\xa1UI\x04\x001.2\0"
    assert element(0x0040A160, "UT", "äb") == b"\x40\x00\x60\xa1UT\x00\x00\x04\x00\x00\x00\xc3\xa4b "
    with pytest.raises(ValueError, match="finite"):
        number_item(our.PROBABILITY, float("nan"), our.NO_UNITS)
