from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes

import pytest

from raydino.readers.file_names import UniqueNames, is_hidden, is_index, leads_outside, portable


@pytest.mark.parametrize(
    "raw", [b"r\xf6ntgen.dcm", b"a/\xff\xfe", b"50%\xff", "\udc80".encode("utf-8", "surrogatepass")]
)
def test_a_name_that_is_not_utf8_can_be_hashed_and_leads_back(raw: bytes) -> None:
    name = portable(os.fsdecode(raw))
    assert name.isascii()
    assert unquote_to_bytes(name.removesuffix("/")) == raw


def test_no_two_names_become_one() -> None:
    names = [os.fsdecode(b"r\xf6"), "r%F6", "rö", "r\\xf6"]
    assert len({portable(name) for name in names}) == 4
    assert [portable(name) for name in names[1:]] == names[1:]
    assert portable("\ud800").isascii()


def test_what_is_left_out() -> None:
    assert [is_hidden(name) for name in (".a", "a/.b/c", "a.b", "a/b.")] == [True, True, False, False]
    assert [is_index(name) for name in ("DICOMDIR", "a/dicomdir", "DICOMDIR/a", "DICOMDIR.dcm")] == [
        True,
        True,
        False,
        False,
    ]
    assert [leads_outside(name) for name in ("../a", "a/../b", "/a", "a\0", "a/..b", "a")] == [True] * 4 + [False] * 2


def test_names_that_come_twice() -> None:
    names = UniqueNames()
    assert [names.of(name) for name in ("a", "a", "a#2", "a", "b")] == ["a", "a#2", "a#2#2", "a#3", "b"]
