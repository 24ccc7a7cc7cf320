from __future__ import annotations

import pytest
from pydicom.uid import AllTransferSyntaxes

from raydino.cli import run


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    told = capsys.readouterr().out
    for expected in ("Python", "bf16", "pydicom", "JPEG 2000", "pylibjpeg, then", "needs no plugin", "RLE Lossless"):
        assert expected in told


def test_every_transfer_syntax_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    told = capsys.readouterr().out.replace("\n", " ")
    missing = [syntax for syntax in AllTransferSyntaxes if f"[{syntax}]" not in told]
    assert missing == []


def test_a_missing_extra_is_named_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["doctor"]) == 0
    assert "pip install 'raydino[ocr]'" in capsys.readouterr().out
