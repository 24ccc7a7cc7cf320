"""The watch over a PACS: each new film once, also across restarts, and never a result of ours."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from adapters.serving.intake import Full
from adapters.serving.pacs import open_pacs
from adapters.serving.watch import SeenFilms, Watch
from raydino.errors import UserError
from raydino.readers.base import SourceGone
from raydino.readers.dimse_address import Instance

Make = Callable[..., Dataset]
TODAY = date(2019, 5, 27)


class Room:
    """An intake with ``left`` places."""

    def __init__(self, left: int = 100) -> None:
        self.left = left
        self.contents: list[bytes] = []

    def has_room(self) -> bool:
        return self.left > 0

    def receive(self, content: bytes) -> None:
        if not self.left:
            raise Full
        self.left -= 1
        self.contents.append(content)


class ScriptedPacs:
    """Holds studies of films; counts what it is asked for."""

    shown = "scripted"

    def __init__(self, holds: dict[str, list[str]]) -> None:
        self.holds = holds
        self.listed: list[str] = []
        self.fetched: list[str] = []
        self.faults: dict[str, OSError] = {}
        self.since: date | None = None
        self.counts = True
        self.store: Any = None

    def studies(self, first_day: date) -> Mapping[str, int | None]:
        self.since = first_day
        return {study: len(films) if self.counts else None for study, films in self.holds.items()}

    def films(self, study: str) -> list[Instance]:
        self.listed.append(study)
        return [Instance(study, "1", film) for film in self.holds[study]]

    def fetch(self, film: Instance) -> bytes:
        self.fetched.append(film.uid)
        if film.uid in self.faults:
            raise self.faults[film.uid]
        return film.uid.encode()


def watch(pacs: Any, room: Room, folder: Path) -> Watch:
    return Watch(pacs, room, SeenFilms(folder / "seen.sqlite"), today=lambda: TODAY)


def test_each_film_once_also_after_a_restart(tmp_path: Path) -> None:
    pacs, room = ScriptedPacs({"7": ["71", "72"], "8": ["81"]}), Room()
    watching = watch(pacs, room, tmp_path)
    watching.look()
    watching.look()
    assert room.contents == [b"71", b"72", b"81"]
    assert pacs.since == date(2019, 5, 26)
    assert pacs.listed == ["7", "8"]  # what has not changed is not listed again
    pacs.holds["7"].append("73")
    watching.look()
    again = watch(pacs, room, tmp_path)
    again.look()
    assert pacs.fetched == ["71", "72", "81", "73"]
    assert b"71" not in (tmp_path / "seen.sqlite").read_bytes()[4096:]


@pytest.mark.parametrize("counts", [True, False])
def test_a_film_that_the_pacs_does_not_give_is_left_after_three_tries(
    counts: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pacs, room = ScriptedPacs({"7": ["71", "72"]}), Room()
    pacs.counts = counts
    pacs.faults["71"] = FileNotFoundError(errno.ENOENT, "the server does not have it (404)")
    watching = watch(pacs, room, tmp_path)
    for _ in range(6):
        watching.look()
    assert pacs.fetched == ["71", "72", "71", "71"]
    assert caplog.text.count("a film is left out") == 1
    del pacs.faults["71"]
    watch(pacs, room, tmp_path).look()
    assert room.contents == [b"72", b"71"]


def test_a_pacs_that_goes_away_and_a_room_that_fills_lose_nothing(tmp_path: Path) -> None:
    pacs, room = ScriptedPacs({"7": ["71", "72", "73"]}), Room(left=1)
    pacs.faults["72"] = SourceGone("the server cannot be reached")
    watching = watch(pacs, room, tmp_path)
    watching.wait = lambda seconds: setattr(room, "left", 2)  # type: ignore[method-assign]
    with pytest.raises(SourceGone):
        watching.look()
    pacs.faults.clear()
    watching.look()
    assert room.contents == [b"71", b"72", b"73"]


def test_films_of_a_real_pacs_and_no_results(
    start_orthanc: Callable[..., Any], radiograph: Make, tmp_path: Path
) -> None:
    orthanc = start_orthanc()
    files = []
    for number in range(1, 5):
        is_result = number == 4
        kind = {"SOPClassUID": SegmentationStorage, "Modality": "SEG"} if is_result else {"Modality": "DX"}
        film = radiograph(number, SeriesInstanceUID=f"2.25.90{number}", **kind)
        files.append(tmp_path / f"{number}.dcm")
        film.save_as(files[-1], enforce_file_format=True)
    pacs, room = open_pacs(orthanc.web), Room()
    watching = watch(pacs, room, tmp_path)
    watching.look()
    assert not room.contents
    pacs.store(files[:2])
    watching.look()
    pacs.store(files)
    watching.look()
    orthanc.kill()
    with pytest.raises(SourceGone):
        watching.look()
    orthanc.start()
    watching.look()
    taken = [pydicom.dcmread(io.BytesIO(content)) for content in room.contents]
    assert sorted(film.SOPInstanceUID for film in taken) == ["2.25.1", "2.25.2", "2.25.3"]
    assert all(film == pydicom.dcmread(tmp_path / f"{film.SOPInstanceUID[5:]}.dcm") for film in taken)


def test_a_list_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "seen.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match="cannot be used as the list of films seen"):
        SeenFilms(tmp_path / "seen.sqlite")
