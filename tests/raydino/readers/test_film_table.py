from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.film_table import FilmTable


def table(path: Path, text: str, **keys: tuple[str, ...]) -> FilmTable:
    path.write_text(text, encoding="utf-8")
    return FilmTable(path, **keys)


def test_labels_facts_and_what_is_left_out(tmp_path: Path) -> None:
    films = table(
        tmp_path / "t.csv",
        "sop_instance_uid,file,patient_id,site,split,view,age_years,sex,cardiothoracic_ratio,A,B,grade,certainty,none\n"
        "1.2,x/y,P,S, Valid ,PA,44.5,F,0.5,1,0.0,2,-1,\n1.3,,,,,,,,,0,,1,1,\n",
    )
    assert films.labels == ("A", "B")
    assert set(films.left_out) == {"grade", "certainty", "none"}
    row = films.find("1.2", "other name")
    assert row is not None
    assert (row.line, row.labels) == (2, {"A": 1.0, "B": 0.0})
    assert (row.known.patient_id, row.known.split, row.known.age_years) == ("P", "val", 44.5)
    assert row.known.cardiothoracic_ratio == 0.5
    empty = films.find("1.3", "")
    assert empty is not None
    assert empty.labels == {"A": 0.0, "B": None}
    assert empty.known.site is None
    assert films.find("1.4", "x/y") is None


def test_keyed_by_file_where_there_is_no_uid(tmp_path: Path) -> None:
    films = table(tmp_path / "t.csv", "file,A\nx/y,1\n")
    assert films.find("1.2", "x/y") is not None
    assert films.find("1.2", "x/z") is None


def test_a_byte_order_mark_and_spaces_in_names(tmp_path: Path) -> None:
    assert table(tmp_path / "t.csv", "\ufefffile , No Finding \na, 1 \n").labels == ("No Finding",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,A\nx,1\n", "lacks a column sop_instance_uid or file; none of its 2 columns"),
        ("file,A\nx,1\nx,1\n", "lines 2 and 3 are of one file"),
        ("file,split\nx,dev\n", "line 2: the split is none of train, val and test"),
        ("file,age_years\nx,1\ny,old\n", "line 3: age_years is not a number"),
        ("file,age_years\nx,-1\n", "line 2: age_years is not a number"),
        ("", "is not a CSV file"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        table(tmp_path / "t.csv", text)
    assert message in str(caught.value)
