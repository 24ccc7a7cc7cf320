from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.base import READERS, ReaderOptions
from raydino.readers.masked_cohort import read_outlines

OURS = ("candid-ptx", "jsrt", "montgomery", "pax-ray", "shenzhen", "siim-acr", "vindr-ribcxr")


def test_outlines_of_a_film_are_gathered(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id, runs \na, 1 2\nb, -1\na, 3 4\nc,\na,-1\n")
    assert read_outlines(path, "id", "runs") == {"a": ("1 2", "3 4"), "b": ()}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("source", ["s3://bucket/films", "https://127.0.0.1/dicom-web", "\0", "/no/such", "."])
def test_no_reader_stumbles_over_an_address(name: str, source: str) -> None:
    assert READERS.get(name).recognises(source) is False


@pytest.mark.parametrize("name", OURS)
def test_a_folder_without_the_data_set(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError) as caught:
        READERS.get(name)(str(tmp_path), ReaderOptions())
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="--images-csv is for image files"):
        READERS.get(name)(str(tmp_path), ReaderOptions(tmp_path / "x.csv"))
