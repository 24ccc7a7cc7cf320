"""Findings, measurements and the draft of a reading as a Comprehensive SR by TID 1500 (PS3.16).

A finding is a measurement group (TID 1501): its code, its probability and operating point as numbers from 0 to 1, and
present, absent or, without an operating point, not called. A structure that was found is one (TID 1411) that refers to
its segment of the Segmentation, with its area where the film tells its spacing. The draft is a text item of the root
that says of itself that nobody verified it; the whole document is PARTIAL, PRELIMINARY and UNVERIFIED. A signature is
a radiologist's. ``content`` encodes the items.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from adapters.reading import Finding, Reading
from adapters.results import codes as our
from adapters.results.content import (
    CONTAINS,
    MODIFIES,
    OBSERVES,
    code_item,
    container_item,
    content_sequence,
    image_item,
    number_item,
    text_item,
    uid_item,
)
from adapters.results.frame import MANUFACTURER, NOTICE, finish, frame, quietly
from adapters.results.model import Author, Model
from adapters.results.segmentation import tracking_uid
from raydino.data.film_source import FilmSource

SERIES_NUMBER = 9902
_MEASUREMENT_GROUP, _STRUCTURE_GROUP = "1501", "1411"  # templates
_CONTENT_SEQUENCE = 0x0040A730
_LANGUAGE = (
    Code("121049", "DCM", "Language of Content Item and Descendants"),
    Code("en-US", "RFC5646", "English (United States)"),
)
_FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
_MANUFACTURER = Code("122405", "DCM", "Algorithm Manufacturer")
_SEGMENTED_IMAGE = Code("121233", "DCM", "Source Image for Segmentation")


def structured_report(
    reading: Reading, source: FilmSource, model: Model, segmentation: Dataset | None = None
) -> sr.ComprehensiveSR:
    """The document of one film; what the reading does not hold is not in it.

    ``segmentation``: the object of the reading's masks (``results.segmentation``); without it no mask is spoken of.
    """
    groups = [_finding(label, finding, source, model) for label, finding in reading.findings.items()]
    groups += [_measured(name, value, source, model) for name, value in reading.measurements.items()]
    if segmentation is not None:
        groups += [
            _structure(number, structure, source.mask(mask), source, model, segmentation)
            for number, (structure, mask) in enumerate(reading.masks.items(), start=1)
            if mask.any()  # an empty segment has no frame to look at
        ]
    if not groups:  # a draft is all there is: the template wants a group, which only names the film
        groups = [_group(_MEASUREMENT_GROUP, [*_tracking("film", source, model), _image(source)])]
    with quietly():
        made = _frame(source, model, [source.header, *([] if segmentation is None else [segmentation])])
    measured = container_item(codes.DCM.ImagingMeasurements, groups)
    made[_CONTENT_SEQUENCE] = content_sequence([*_context(model), measured, *_texts(reading)])
    made.set_original_encoding(False, True, made._character_set)  # which the content is in: it is written as it is
    return made


def _frame(source: FilmSource, model: Model, evidence: list[Dataset]) -> sr.ComprehensiveSR:
    """The document without its content."""
    root = sr.ContainerContentItem(codes.DCM.ImagingMeasurementReport, template_id="1500")
    root.ContentSequence = Sequence([sr.CodeContentItem(*_LANGUAGE, sr.RelationshipTypeValues.HAS_CONCEPT_MOD)])
    made = sr.ComprehensiveSR(
        evidence=evidence,
        content=root,
        is_complete=False,
        is_final=False,
        is_verified=False,
        **frame(source, model, "SR", SERIES_NUMBER),
    )
    finish(made, source)
    return made


@lru_cache(maxsize=16)
def _context(model: Model) -> tuple[bytes, ...]:
    """Language, the device that observed (TID 1004), and the procedure."""
    return (
        code_item(MODIFIES, *_LANGUAGE),
        code_item(OBSERVES, codes.DCM.ObserverType, codes.DCM.Device),
        uid_item(OBSERVES, codes.DCM.DeviceObserverUID, model.uid("", "device")),
        text_item(OBSERVES, codes.DCM.DeviceObserverName, "raydino"),
        text_item(OBSERVES, codes.DCM.DeviceObserverManufacturer, MANUFACTURER),
        text_item(OBSERVES, codes.DCM.DeviceObserverModelName, f"raydino {model.version}"),
        text_item(OBSERVES, codes.DCM.DeviceObserverSerialNumber, model.fingerprint),
        code_item(MODIFIES, codes.DCM.ProcedureReported, codes.SCT.PlainRadiography),
    )


@lru_cache(maxsize=64)
def _algorithm(author: Author, model: Model) -> tuple[bytes, ...]:
    """TID 4019."""
    return (
        text_item(MODIFIES, codes.DCM.AlgorithmName, f"raydino {author.kind}"),
        text_item(MODIFIES, codes.DCM.AlgorithmVersion, model.version),
        text_item(MODIFIES, _MANUFACTURER, MANUFACTURER),
        text_item(MODIFIES, codes.DCM.AlgorithmParameters, f"adapter {author.fingerprint}"),
        text_item(MODIFIES, codes.DCM.AlgorithmParameters, f"encoder {model.encoder}"),
    )


def _group(template: str, items: list[bytes]) -> bytes:
    return container_item(codes.DCM.MeasurementGroup, items, template)


def _tracking(what: str, source: FilmSource, model: Model, uid: str | None = None) -> list[bytes]:
    """TID 4108."""
    return [
        text_item(OBSERVES, codes.DCM.TrackingIdentifier, what),
        uid_item(OBSERVES, codes.DCM.TrackingUniqueIdentifier, uid or model.uid(source.sop_instance_uid, what)),
    ]


def _image(source: FilmSource) -> bytes:
    return image_item(codes.DCM.SourceOfMeasurement, source.header.SOPClassUID, source.header.SOPInstanceUID)


def _finding(label: str, finding: Finding, source: FilmSource, model: Model) -> bytes:
    called = {True: our.PRESENT, False: our.ABSENT, None: our.NOT_CALLED}[finding.present]
    items = [
        *_tracking(f"finding {label}", source, model),
        code_item(CONTAINS, codes.DCM.Finding, our.finding_code(label)),
        *_algorithm(model.author("classification", label), model),
        number_item(our.PROBABILITY, finding.probability, our.NO_UNITS),
    ]
    if finding.threshold is not None:
        items.append(number_item(our.OPERATING_POINT, finding.threshold, our.NO_UNITS))
    return _group(_MEASUREMENT_GROUP, [*items, code_item(CONTAINS, our.PRESENCE, called), _image(source)])


def _measured(name: str, value: float, source: FilmSource, model: Model) -> bytes:
    items = [
        *_tracking(f"measurement {name}", source, model),
        *_algorithm(model.author("regression", name), model),
        number_item(our.private_code(name), float(value), our.unit_code(name)),
        _image(source),
    ]
    return _group(_MEASUREMENT_GROUP, items)


def _structure(
    number: int, structure: str, mask: npt.NDArray[np.bool_], source: FilmSource, model: Model, segmentation: Dataset
) -> bytes:
    """``mask`` on the stored image's grid is segment ``number`` of the ``segmentation``."""
    header, n_pixels = source.header, int(np.count_nonzero(mask))
    items = [
        *_tracking(structure, source, model, tracking_uid(structure, source, model)),
        code_item(CONTAINS, _FINDING_CATEGORY, our.ANATOMICAL_STRUCTURE),
        code_item(CONTAINS, codes.DCM.Finding, our.structure_code(structure)),
        *_algorithm(model.author("segmentation", structure), model),
        number_item(our.SHARE, n_pixels / mask.size, our.RATIO),
    ]
    if source.spacing_mm is not None:
        area_mm2 = n_pixels * source.spacing_mm[0] * source.spacing_mm[1]
        items.append(number_item(our.AREA, area_mm2, our.SQUARE_MM))
    items += [
        image_item(codes.DCM.ReferencedSegment, segmentation.SOPClassUID, segmentation.SOPInstanceUID, number),
        image_item(_SEGMENTED_IMAGE, header.SOPClassUID, header.SOPInstanceUID),
    ]
    return _group(_STRUCTURE_GROUP, items)


def _texts(reading: Reading) -> list[bytes]:
    said = [(our.NOTICE, f"{NOTICE}. Written by a model; no person has verified it.")]
    if reading.report:
        said.append((our.DRAFT_REPORT, reading.report))
    said += [(our.CONTRADICTION, f"{one.sentence} ({one.reason})") for one in reading.contradictions]
    return [text_item(CONTAINS, name, text) for name, text in said]
