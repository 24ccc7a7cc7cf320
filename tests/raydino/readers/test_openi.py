from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import raydino
from raydino.errors import UserError
from raydino.readers.base import Known, ReaderOptions, open_reader
from raydino.readers.openi import OpenI, film_id, finding_of, read_examination

REAL = Path(raydino.__file__).parents[2] / "shared" / "data" / "openi_reports_xml.tar.gz"


def xml(number: int, terms: list[str], films: list[str], **texts: str) -> str:
    sections = "".join(f'<AbstractText Label="{label}">{text}</AbstractText>' for label, text in texts.items())
    majors = "".join(f"<major>{term}</major>" for term in terms)
    images = "".join(f'<parentImage id="{film}"><caption>PA and lateral</caption></parentImage>' for film in films)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR{number}"/><MedlineCitation><Article>'
        f"<Abstract>{sections}</Abstract></Article></MedlineCitation><MeSH>{majors}</MeSH>{images}</eCitation>"
    )


REPORTS = {
    "1.xml": xml(
        1,
        ["normal"],
        ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"],
        INDICATION="Positive TB test",
        FINDINGS="The  lungs\n are clear.",
        IMPRESSION="Normal chest x-XXXX.",
    ),
    "2.xml": xml(
        2,
        ["Opacity/lung/base/left", "Opacity/retrocardiac", "Fractures, Bone/ribs/right", "Cicatrix"],
        ["CXR2_IM-0652-1001"],
        FINDINGS="",
        IMPRESSION="Opacity.",
    ),
    "3.xml": xml(3, ["No Indexing"], ["CXR3_IM-1384-1001", "CXR3_IM-1384-2001"]),
    "4.xml": xml(4, ["Technical Quality of Image Unsatisfactory ", "Cardiomegaly/mild"], ["CXR4_IM-1-1"]),
    "5.xml": xml(5, ["normal"], []),
}


@pytest.fixture(params=["ecgen-radiology", "NLMCXR_reports/ecgen-radiology"])
def openi(tree: Any, request: Any) -> Path:
    films = ("NLMCXR_png/CXR1_1_IM-0001-3001.png", "NLMCXR_png/CXR1_1_IM-0001-4001.png", "2/2_IM-0652-1001.dcm")
    films = (*films, "NLMCXR_png/CXR2_IM-0652-1001.png", "images/images_normalized/3_IM-1384-2001.dcm.png")
    reports = {f"{request.param}/{name}": text for name, text in REPORTS.items()}
    return tree({**reports, **dict.fromkeys(films, "")})


def test_films_of_reports_as_png_or_dicom(openi: Path) -> None:
    name, reader = open_reader(str(openi))
    assert (name, type(reader), reader.total()) == ("openi", OpenI, 6)
    images = {image.name: image for image in reader.images()}
    first = images["1_IM-0001-3001"]
    assert (first.path, first.is_dicom) == (openi / "NLMCXR_png/CXR1_1_IM-0001-3001.png", False)
    assert first.known == Known(patient_id="CXR1", study_id="CXR1", population="United States")
    assert first.report == "The lungs are clear.\n\nNormal chest x-XXXX."
    assert (first.labels["No Finding"], first.labels["Rib Fracture"]) == (1.0, 0.0)
    second = images["2_IM-0652-1001"]
    assert (second.path, second.is_dicom, second.report) == (openi / "2/2_IM-0652-1001.dcm", True, "Opacity.")
    assert {name for name, value in second.labels.items() if value} == {"Lung Opacity", "Rib Fracture", "Fracture"}
    assert images["3_IM-1384-2001"].path == openi / "images/images_normalized/3_IM-1384-2001.dcm.png"
    assert set(images["3_IM-1384-2001"].labels.values()) == {None}
    assert images["3_IM-1384-2001"].report is None
    assert images["4_IM-1-1"].labels["Cardiomegaly"] == 1.0
    assert images["4_IM-1-1"].labels["Rib Fracture"] is None
    assert set(reader.left_out) == {"Cicatrix", "Opacity", "No Indexing", "Technical Quality of Image Unsatisfactory"}
    assert reader.notes == (
        "1 reports are without films",
        "indiana_projections.csv is not there: views come from DICOM headers or are unknown",
        "7,470 films are published, 6 are here",
        "2 listed films are missing",
        "1 image files are listed nowhere and left out",
    )


def test_projections_tell_laterals(openi: Path, tree: Any) -> None:
    table = "uid,filename,projection\n1,1_IM-0001-3001.dcm.png,Lateral\n1,1_IM-0001-4001.dcm.png,Frontal\n"
    tree({"indiana_projections.csv": table})
    views = {image.name: image.known.view for image in OpenI(str(openi), ReaderOptions()).images()}
    assert (views["1_IM-0001-3001"], views["1_IM-0001-4001"]) == ("LATERAL", None)


@pytest.mark.parametrize(
    "name",
    [
        "CXR1_1_IM-0001-3001",
        "CXR1_IM-0001-3001",
        "CXR1_1_IM-0001-3001.png",
        "1_IM-0001-3001.dcm",
        "1_IM-0001-3001.dcm.png",
    ],
)
def test_one_film_has_one_id(name: str) -> None:
    assert film_id(name) == "1_IM-0001-3001"


@pytest.mark.parametrize(
    ("term", "finding"),
    [
        ("Pulmonary Atelectasis/base/left", "Atelectasis"),
        ("Opacity/lung/base/bilateral/streaky", "Lung Opacity"),
        ("Opacity/retrocardiac", None),
        ("Thickening/pleura/apex/bilateral", "Pleural Thickening"),
        ("Costophrenic Angle/right/blunted/mild", "Costophrenic Angle Blunting"),
        ("Diaphragm/bilateral/flattened", "Flattened Diaphragm"),
        ("Fractures, Bone/ribs/left/healed", "Rib Fracture"),
        ("Fractures, Bone/humerus", "Fracture"),
        ("Subcutaneous Emphysema", None),
    ],
)
def test_mesh_terms(term: str, finding: str | None) -> None:
    assert finding_of(term) == finding


@pytest.mark.parametrize(
    ("text", "message"), [("<eCitation>", "is not an XML file"), ("<eCitation/>", "lacks an element uId")]
)
def test_faulty_reports(tree: Any, text: str, message: str) -> None:
    root = tree({"ecgen-radiology/1.xml": text})
    with pytest.raises(UserError) as caught:
        OpenI(str(root), ReaderOptions())
    assert message in str(caught.value)


@pytest.mark.skipif(not REAL.is_file(), reason="the real reports are not on this machine")
def test_all_real_reports(tmp_path: Path) -> None:
    with tarfile.open(REAL) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(tmp_path.glob("**/ecgen-radiology"))
    studies = [read_examination(path) for path in sorted(folder.glob("*.xml"))]
    assert len(studies) == len({study.study for study in studies}) == 3_955
    films = [film for study in studies for film in study.films]
    assert len(films) == len({film_id(film) for film in films}) == 7_470
    assert sum(study.text is not None for study in studies) == 3_955 - 28  # so many have both sections empty
    reader = OpenI(str(folder.parent), ReaderOptions())
    present = Counter(name for image in reader.images() for name, value in image.labels.items() if value == 1.0)
    assert present["No Finding"] == 2_696
    assert reader.notes[0] == "104 reports are without films"
