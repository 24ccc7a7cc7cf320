from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers import base
from raydino.readers.base import READERS, ReaderOptions, Refused, SourceGone, cohort_of, open_reader
from raydino.readers.dicom_tree import DicomTree
from raydino.readers.image_table import ImageTable


def test_the_reader_is_chosen_by_what_the_source_holds(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert isinstance(open_reader(str(tmp_path))[1], DicomTree)
    (tmp_path / "images.csv").write_text("file,patient_id\na.png,P\n")
    name, reader = open_reader(str(tmp_path))
    assert (name, type(reader)) == ("images", ImageTable)
    assert isinstance(open_reader(str(tmp_path), "dicom")[1], DicomTree)


def test_a_table_elsewhere_means_images(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "list.csv").write_text("file,patient_id\na.png,P\n")
    assert open_reader(str(tmp_path / "films"), options=ReaderOptions(tmp_path / "list.csv"))[0] == "images"
    with pytest.raises(UserError, match="--images-csv is for image files"):
        open_reader(str(tmp_path / "films"), "dicom", ReaderOptions(tmp_path / "list.csv"))


def test_an_unknown_reader(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no reader is called 'dicon'; did you mean 'dicom'"):
        open_reader(str(tmp_path), "dicon")


def test_every_reader_has_the_protocol() -> None:
    for name in READERS.plugins():
        reader = READERS.get(name)
        assert all(hasattr(reader, method) for method in ("recognises", "images", "total"))


def test_every_reader_answers_quickly_whether_a_source_is_its_own() -> None:
    sources = ["", "/nowhere", "x" * 5000, "a\0b", "s3://", "dimse://", "https://h/dicom-web", "\udcff"]
    for name in READERS.plugins():
        assert all(READERS.get(name).recognises(source) in (True, False) for source in sources)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere: no such file or directory; pass the top folder"),
        ("note.txt", "note.txt: is a file that no reader knows; .* a zip or tar file, or an address"),
        ("ftq://host/x", "ftq://host/x: no reader knows this kind of address"),
    ],
)
def test_a_source_that_no_reader_knows(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("x")
    with pytest.raises(UserError, match=message):
        open_reader(source)


@pytest.mark.parametrize(("source", "module"), [("dimse://A@h", "pynetdicom"), ("dicomweb+https://h", "requests")])
def test_an_extra_that_is_not_installed(source: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"this source needs {module}; pip install 'raydino\[pacs\]'"):
        open_reader(source)


def test_openers_that_refuse() -> None:
    with pytest.raises(OSError, match="a link") as told:
        Refused("a link")()
    assert told.value.strerror == "a link"
    assert SourceGone("outage").strerror == "outage"


def test_a_transport_is_no_cohort(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert cohort_of(*open_reader(str(tmp_path))) == "dicom"
    assert {READERS.get(name).cohort for name in ("archive", "dicomweb", "dimse", "remote")} == {"dicom"}
