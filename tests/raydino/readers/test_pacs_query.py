from __future__ import annotations

import pytest

from raydino.errors import UserError
from raydino.readers.pacs_query import PacsQuery, is_uid, parse_query


def test_radiographs_unless_told_otherwise() -> None:
    query, given = parse_query("", "pacs")
    assert (query, given) == (PacsQuery(("CR", "DX", "DR"), ()), {})
    assert query.searches() == [[("ModalitiesInStudy", name)] for name in ("CR", "DX", "DR")]
    assert [query.wants(name) for name in ("CR", "CT", "")] == [True, False, True]


def test_filters_and_settings() -> None:
    query, given = parse_query("StudyDate=20240101-20241231&ModalitiesInStudy=cr,DX&aet=A%20B", "pacs", ("aet",))
    assert query == PacsQuery(("CR", "DX"), (("StudyDate", "20240101-20241231"),))
    assert query.searches()[1] == [("ModalitiesInStudy", "DX"), ("StudyDate", "20240101-20241231")]
    assert given == {"aet": "A B"}
    assert query.described() == "studies of CR, DX and your StudyDate"


def test_any_modality() -> None:
    query, _ = parse_query("ModalitiesInStudy=*&PatientID=secret", "pacs")
    assert query.searches() == [[("PatientID", "secret")]]
    assert query.wants("CT")
    assert "secret" not in query.described()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("StudyDat=1", "no DICOM attribute is called 'StudyDat'; did you mean 'StudyDate'?"),
        ("retreive=get", "did you mean 'retrieve'?"),
        ("access_token=hush", "no DICOM attribute is called 'access_token'"),
    ],
)
def test_a_wrong_name(text: str, message: str) -> None:
    with pytest.raises(UserError) as told:
        parse_query(text, "pacs", ("retrieve",))
    assert message in str(told.value)
    assert "hush" not in str(told.value)


def test_what_is_a_uid() -> None:
    assert [is_uid(value) for value in ("1.2.3", "", "../1", "1" * 65, None, 3)] == [True] + [False] * 5
