from __future__ import annotations

import pytest

from raydino.cli import run
from raydino.commands import plugins


def test_every_registry_and_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins"]) == 0
    told = capsys.readouterr().out
    for expected in (
        "command (entry-point group raydino.commands)",
        "raydino.readers",
        "tensorboard",
        "original",
        "sdpa",
    ):
        assert expected in told


def test_a_registry_that_is_not_there_is_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_REGISTRIES", ("nowhere.at_all:THINGS", "raydino.readers.base:READERS"))
    assert run(["plugins"]) == 0
    told = capsys.readouterr()
    assert "nowhere.at_all:THINGS is not installed" in told.err
    assert "dicom_tree" in told.out
