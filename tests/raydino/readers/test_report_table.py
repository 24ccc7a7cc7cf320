from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.report_table import ReportTable


def test_a_film_goes_before_its_study(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('sop_instance_uid,study_instance_uid,text\n1.1,9,"One,\ntwo."\n,9,Study.\n1.3,9,\n')
    reports = ReportTable(path)
    assert reports.find("1.1", "", "9") == (2, "One,\ntwo.")
    assert reports.find("1.2", "", "9") == (3, "Study.")
    assert reports.find("1.3", "", "8") is None
    assert reports.lines == {2, 3}


def test_by_file(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("file,text\na.png,Clear.\n")
    assert ReportTable(path).find("", "a.png", "") == (2, "Clear.")


@pytest.mark.parametrize("text", ["file,report\na,b\n", "name,text\na,b\n"])
def test_missing_columns(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(UserError, match="needed: text and one of"):
        ReportTable(path)
