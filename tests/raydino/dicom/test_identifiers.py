from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from raydino.dicom.identifiers import DEEPEST, identifiers_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def test_names_places_numbers_and_dates() -> None:
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.OtherPatientIDs = "Doe^Jane=唐^珍", "MRN-1", ["A1", "A2"]
    dataset.PatientBirthDate, dataset.InstitutionName, dataset.AccessionNumber = "19560229", "North  Hospital", "77"
    dataset.PatientAddress, dataset.OperatorsName, dataset.StationName = "12 Elm St", ["Ray^Tess"], "XR1"
    assert set(identifiers_of(dataset)) == {
        *("Doe^Jane=唐^珍", "MRN-1", "A1", "A2", "19560229", "North Hospital", "77", "12 Elm St", "Ray^Tess", "XR1")
    }


def test_clinical_words_are_none() -> None:
    dataset = Dataset()
    dataset.ProtocolName, dataset.SeriesDescription, dataset.BodyPartExamined = "CHEST PA", "Chest", "CHEST"
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.Modality = "SIEMENS", "Ysio", "DX"
    dataset.ViewPosition, dataset.KVP, dataset.Rows = "PA", "120", 512
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    assert identifiers_of(dataset) == ()


def test_private_and_nested_ones(make_dataset: Any) -> None:
    inner, outer, dataset = Dataset(), Dataset(), Dataset()
    inner.ReferringPhysicianName = "House^Greg"
    outer.RequestAttributesSequence = Sequence([inner])
    dataset.ReferencedStudySequence = Sequence([outer])
    block = dataset.private_block(0x0011, "ACME 1", create=True)
    block.add_new(1, "LO", "secret")
    block.add_new(2, "UN", b"as bytes\0")
    block.add_new(3, "UN", b"\x00\x01\xff\xfe")
    block.add_new(4, "DS", "1.5")
    assert identifiers_of(dataset) == ("House^Greg", "ACME 1", "secret", "as bytes")


def test_broken_and_endless_ones_raise_nothing() -> None:
    dataset = Dataset()
    dataset.add_new(0x00100010, "PN", "ok")
    dataset._dict[Tag(0x00100030)] = object()  # type: ignore[assignment]
    innermost = dataset
    for _ in range(DEEPEST + 5):
        deeper = Dataset()
        deeper.PatientID = "deep"
        innermost.ReferencedStudySequence = Sequence([deeper])
        innermost = deeper
    assert identifiers_of(dataset) == ("deep", "ok")
