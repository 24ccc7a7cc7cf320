"""The page shows what the reading says and names nobody; the object around it is a sound Encapsulated PDF."""

import dataclasses
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from adapters.reading import Finding, Reading
from adapters.results.document import document
from adapters.results.files import write_results
from adapters.results.model import Model
from adapters.results.page import FILM_WIDTH, MARGIN, WIDTH, report_page
from raydino.data.one_film import OneFilm


def drawn(pdf: bytes) -> str:
    """The page's drawing operators: the first stream that decompresses to such."""
    for stream in re.findall(rb">>\nstream\n(.*?)endstream\nendobj", pdf, re.DOTALL):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        if b" re " in content:
            return content.decode("latin-1")
    raise AssertionError("no page")


def widths(content: str, height: float) -> list[float]:
    """Of the filled rectangles of that height in points, in order."""
    found = re.findall(r"([\d.-]+) ([\d.-]+) ([\d.-]+) ([\d.-]+) re", content)
    return [float(width) for _, _, width, tall in found if float(tall) == pytest.approx(height, abs=0.01)]


def test_bars_are_the_probabilities(write_film: Any, read_blocks: Any, model: Model) -> None:
    reading, _ = read_blocks(write_film())
    content = drawn(report_page(reading, model))
    mm = 72 / 25.4
    whole = WIDTH - MARGIN - (MARGIN + FILM_WIDTH + 8 * mm)
    expected = [width for one in reading.findings.values() for width in (whole, whole * one.probability)]
    assert widths(content, 2 * mm) == pytest.approx(expected, abs=0.01)
    assert len(widths(content, 2.5 * mm)) == len(reading.masks)  # the legend


def test_the_same_reading_is_the_same_page(write_film: Any, read_blocks: Any, model: Model) -> None:
    """Also of another patient: nothing but the reading goes onto it."""
    one, _ = read_blocks(write_film("one.dcm"))
    two, _ = read_blocks(write_film("two.dcm", PatientName="Other^One", SOPInstanceUID="2.25.7", StudyDate="20200101"))
    assert report_page(one, model) == report_page(two, model)
    assert report_page(one, dataclasses.replace(model, version="9.9")) != report_page(one, model)


def test_everything_fits_one_page(model: Model) -> None:
    """Many labels with long names, a long draft in any script, a film of any shape and depth, empty masks."""
    labels = tuple(f"Label {number} with a very long name that does not fit its line at all" for number in range(40))
    findings = {label: Finding(number / 40, None, 0.0) for number, label in enumerate(labels)}
    film = np.random.default_rng(0).integers(0, 65535, (60, 300)).astype(np.uint16)
    masks = {"heart": np.zeros(film.shape, bool), "lungs": film > 60000}
    reading = Reading(OneFilm(film, None), findings, masks, {"age_years": 63.2}, "Größe 心臓 <b>&\n" * 200)
    pdf = report_page(reading, model)
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    content = drawn(pdf)
    assert len(widths(content, 2 * 72 / 25.4)) == 2 * 18
    lowest = min(float(y) for y in re.findall(r"1 0 0 1 [\d.-]+ ([\d.-]+) Tm", content))
    assert lowest >= MARGIN - 1
    assert report_page(Reading(OneFilm((film >> 8).astype(np.uint8), None)), model).startswith(b"%PDF")


def test_the_object_holds_the_page_and_the_patient(
    write_film: Any, read_blocks: Any, model: Model, tmp_path: Path
) -> None:
    reading, source = read_blocks(write_film())
    document(reading, source, model).save_as(tmp_path / "pdf.dcm", enforce_file_format=True)
    made = dcmread(tmp_path / "pdf.dcm")
    page = report_page(reading, model)
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == page
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert (made.Modality, made.MIMETypeOfEncapsulatedDocument) == ("DOC", "application/pdf")
    assert (str(made.PatientName), made.PatientID, made.StudyInstanceUID) == ("Planté^Zoë", "PLANTED-77", "2.25.1002")
    assert made.SourceInstanceSequence[0].ReferencedSOPInstanceUID == source.sop_instance_uid
    assert (made.BurnedInAnnotation, made.VerificationFlag) == ("NO", "UNVERIFIED")
    assert "Research use only" in made.DocumentTitle
    assert "HOSPITAL" not in str(made)


@pytest.mark.parametrize("what", ["whole", "bare", "turned"])
def test_dciodvfy_takes_all_three(write_film: Any, read_blocks: Any, model: Model, tmp_path: Path, what: str) -> None:
    bare = dict.fromkeys(
        ("PixelSpacing", "PatientOrientation", "StudyDate", "StudyTime", "PatientName", "PatientSex", "StudyID")
    )
    attributes = {"whole": {}, "bare": bare, "turned": {"PatientOrientation": ["F", "R"], "PatientAge": None}}[what]
    reading, source = read_blocks(write_film(**attributes))
    record = write_results(tmp_path, reading, source, model)
    objects = sorted(tmp_path.glob(f"{record.stem}.*.dcm"))
    assert [path.name.split(".")[1] for path in objects] == ["pdf", "seg", "sr"]
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (dicom3tools)")
    for path in objects:
        told = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in told.stderr, told.stderr
        warnings = [line for line in told.stderr.splitlines() if "Warning" in line]
        known = ("99RAYDINO", "build DICOMDIR")  # our own scheme, which each object declares; a film without a date
        assert all(any(word in line for word in known) for line in warnings), warnings


@pytest.mark.skipif(shutil.which("gs") is None, reason="Ghostscript is not installed")
def test_a_reader_of_pdf_shows_it(write_film: Any, read_blocks: Any, model: Model, tmp_path: Path) -> None:
    reading, _ = read_blocks(write_film())
    (tmp_path / "page.pdf").write_bytes(report_page(reading, model))
    picture = tmp_path / "page.png"
    subprocess.run(
        ["gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=png16m", "-r36", f"-sOutputFile={picture}", "page.pdf"],
        cwd=tmp_path,
        check=True,
    )
    pixels = cv2.imread(str(picture))
    assert pixels is not None
    red = (pixels[..., 2] > 150) & (pixels[..., 0] < 60) & (pixels[..., 1] < 60)
    assert red[:60].mean() > 0.15  # the notice on top
