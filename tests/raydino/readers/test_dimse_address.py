from __future__ import annotations

import pytest

from raydino.errors import UserError
from raydino.readers.dimse import Dimse
from raydino.readers.dimse_address import Address, Instance, Peer, parse_address
from raydino.readers.pacs_query import PacsQuery


def test_an_address_by_its_defaults() -> None:
    assert parse_address("dimse://PACS@host") == Address(Peer("PACS", "host", 104, "RAYDINO"), PacsQuery(), None)
    assert Dimse.recognises("dimse://PACS@host")
    assert not Dimse.recognises("dicom://PACS@host")


def test_an_address_with_everything() -> None:
    found = parse_address("dimse://My%20PACS@host:4242/?aet=ME&retrieve=move&port=1&bind=::1&PatientID=12345")
    assert found.peer == Peer("My PACS", "host", 4242, "ME")
    assert (found.port, found.bind) == (1, "::1")
    assert found.query.filters == (("PatientID", "12345"),)
    assert found.shown == "dimse://My PACS@host:4242"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dimse://host:104", "is no address of a PACS; as in dimse://PACS@pacs.example.org:104"),
        ("dimse://PACS@host:port", "is no address of a PACS"),
        ("dimse://PACS@host/path", "is no address of a PACS"),
        ("dimse://AN_AE_TITLE_TOO_LONG@host", "'AN_AE_TITLE_TOO_LONG' is no AE title; 1 to 16 characters"),
        ("dimse://PACS@host?aet=", "no AE title"),
        ("dimse://PACS@host?retrieve=push", "retrieve=push is not possible; get or move"),
        ("dimse://PACS@host?retrieve=move&port=0", "port=0 is not possible"),
    ],
)
def test_a_wrong_address(source: str, message: str) -> None:
    with pytest.raises(UserError) as told:
        parse_address(source)
    assert message in str(told.value)


def test_a_film_has_the_name_that_dicomweb_gives_it() -> None:
    assert Instance("1", "2", "3").name == "1/2/3"
