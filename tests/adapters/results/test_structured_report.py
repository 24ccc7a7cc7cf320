"""The report says what the reading says, in codes, and that nobody has verified it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from highdicom.sr import srread

from adapters.reading import Reading
from adapters.results.model import Model
from adapters.results.segmentation import segmentation
from adapters.results.structured_report import structured_report


def texts(document: Any, code: str) -> list[str]:
    items = document.ContentSequence
    return [i.TextValue for i in items if i.ConceptNameCodeSequence[0].CodeValue == code and i.ValueType == "TEXT"]


def test_it_reads_back_equal(write_film: Any, read_blocks: Any, model: Model, tmp_path: Path) -> None:
    reading, source = read_blocks(write_film())
    seg = segmentation(reading.masks, source, model)
    structured_report(reading, source, model, seg).save_as(tmp_path / "sr.dcm")
    document = srread(tmp_path / "sr.dcm")
    groups = document.content.get_image_measurement_groups()
    assert len(groups) == len(reading.findings) + 1
    structures = document.content.get_volumetric_roi_measurement_groups()
    blocks = {"lungs": (24 * 40, "39607008"), "heart": (20 * 40, "80891009")}  # stored pixels of 0.4 × 0.2 mm
    for number, (group, (name, (n_pixels, code))) in enumerate(zip(structures, blocks.items(), strict=True), start=1):
        share, area = group.get_measurements()
        assert (share.value, share.unit.value) == (n_pixels / (96 * 160), "{ratio}")
        assert (area.name.meaning, area.unit.value) == ("Area", "mm2")
        assert area.value == pytest.approx(n_pixels * 0.08)
        assert (group.tracking_identifier, group.finding_type.value) == (name, code)
        (referred,) = group.referenced_segment[0].ReferencedSOPSequence
        assert (referred.ReferencedSOPInstanceUID, referred.ReferencedSegmentNumber) == (seg.SOPInstanceUID, number)
        assert group.tracking_uid == seg.SegmentSequence[number - 1].TrackingUID
    (evidence,) = document.CurrentRequestedProcedureEvidenceSequence
    referred = {s.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for s in evidence.ReferencedSeriesSequence}
    assert referred == {source.sop_instance_uid, seg.SOPInstanceUID}
    called = {True: "52101004", False: "272519000", None: "NOT_CALLED"}
    codes = ("60046008", "8186001", None)
    for group, (label, finding), code in zip(groups[:-1], reading.findings.items(), codes, strict=True):
        assert group.tracking_identifier == f"finding {label}"
        found = group.finding_type
        assert (
            (found.value, found.scheme_designator) == (code, "SCT") if code else found.scheme_designator == "99RAYDINO"
        )
        numbers = {one.name.meaning: float(one.value) for one in group.get_measurements()}
        expected = {"Probability": finding.probability, "Operating point": finding.threshold}
        assert numbers == {name: value for name, value in expected.items() if value is not None}
        assert [one.value.value for one in group.get_qualitative_evaluations()] == [called[finding.present]]
        assert group.source_images[0].referenced_sop_instance_uid == source.sop_instance_uid
        said = [item.get("TextValue") for item in group[0].ContentSequence]
        assert f"adapter {'a' * 64}" in said
    (ratio,) = groups[-1].get_measurements()
    assert (ratio.name.meaning, ratio.value, ratio.unit.value) == ("cardiothoracic_ratio", 0.53125, "{ratio}")
    assert texts(document, "DRAFT_REPORT") == [reading.report]
    assert len(texts(document, "CONTRADICTION")) == len(reading.contradictions) == 2
    assert "Research use only" in texts(document, "NOTICE")[0]
    flags = (document.CompletionFlag, document.PreliminaryFlag, document.VerificationFlag)
    assert flags == ("PARTIAL", "PRELIMINARY", "UNVERIFIED")
    assert str(document.PatientName) == "Planté^Zoë"
    assert "HOSPITAL" not in str(document)


def test_the_same_study_twice_is_the_same_document(
    write_film: Any, read_blocks: Any, model: Model, tmp_path: Path
) -> None:
    for name in ("one.dcm", "two.dcm"):
        reading, source = read_blocks(write_film(name))
        structured_report(reading, source, model).save_as(tmp_path / f"sr-{name}")
    assert (tmp_path / "sr-one.dcm").read_bytes() == (tmp_path / "sr-two.dcm").read_bytes()


@pytest.mark.parametrize("what", ["whole", "bare header", "draft only", "findings only", "nothing found"])
def test_dciodvfy_takes_it(write_film: Any, read_blocks: Any, model: Model, tmp_path: Path, what: str) -> None:
    bare = dict.fromkeys(("PixelSpacing", "PatientOrientation", "StudyDate", "PatientName", "PatientSex"))
    reading, source = read_blocks(write_film(**(bare if what == "bare header" else {})))
    if what == "draft only":
        reading = Reading(reading.film, report=reading.report)
    if what == "findings only":
        reading = Reading(reading.film, findings=reading.findings)
    if what == "nothing found":
        reading = Reading(reading.film, masks={name: mask & False for name, mask in reading.masks.items()})
    seg = segmentation(reading.masks, source, model) if reading.masks else None
    structured_report(reading, source, model, seg).save_as(tmp_path / "sr.dcm")
    declared = srread(tmp_path / "sr.dcm").CodingSchemeIdentificationSequence
    assert [scheme.CodingSchemeDesignator for scheme in declared] == ["99RAYDINO"]
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (dicom3tools)")
    told = subprocess.run(["dciodvfy", "-new", str(tmp_path / "sr.dcm")], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr, told.stderr
