from __future__ import annotations

import stat
from pathlib import Path

import pytest

from raydino.dicom.spool import Span, Spool


def test_what_was_put_comes_back_and_a_torn_tail_goes(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    spool = Spool(path, 0)
    first, second = spool.put(b"one"), spool.put(b"")
    spool.sync()
    assert (first, second, spool.end) == (Span(0, 3), Span(3, 0), 3)
    spool.put(b"never recorded")
    spool.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Spool(path, 3)
    assert path.read_bytes() == b"one"
    assert again.put(b"two") == Span(3, 3)
    assert (again.get(first), again.get(second), again.get(Span(3, 3))) == (b"one", b"", b"two")
    with pytest.raises(OSError, match="shorter"):
        again.get(Span(4, 9))
    again.close()
