from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.base import READERS, ReaderOptions, open_reader
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
