"""Files that take their process along, readers that fail, sources that change: all through ``ingest``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raydino import processes
from raydino.artifacts.dataset import Dataset
from raydino.dicom import collect
from raydino.dicom import ingest as module
from raydino.dicom.film import Reading
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.journal import Journal, Listed
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError
from raydino.readers.base import SourceImage

OPTIONS = IngestOptions(PixelRecipe(shorter_side=16))
List = Callable[[], Iterator[SourceImage]]


class Source:
    """A reader of whatever a test lists."""

    labels: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}
    notes: Sequence[str] = ("3 films are published, 2 are here",)

    def __init__(self, images: List) -> None:
        self.images = images

    def total(self) -> int | None:
        return None


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``run(images)``: ingest what ``images()`` lists into ``out``."""

    def ingest_listed(images: List, **changes: Any) -> Any:
        monkeypatch.setattr(module, "open_reader", lambda *_: ("test", Source(images)))
        crosswalk = tmp_path / "crosswalk.csv"
        crosswalk.unlink(missing_ok=True)
        return ingest("test://source", tmp_path / "out", IngestOptions(OPTIONS.recipe, crosswalk=crosswalk, **changes))

    return ingest_listed


def details(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Reason and detail of what was rejected, by name."""
    manifest = Dataset.open(tmp_path / "out").manifest
    names = pd.read_csv(tmp_path / "crosswalk.csv", dtype=str).set_index("sample_id")["path"]
    rejected = manifest[manifest["status"] == "rejected"]
    return {names[row.sample_id]: (row.reason, row.detail) for row in rejected.itertuples()}


def test_a_file_that_crashes_hangs_or_eats_memory_is_rejected_and_the_rest_goes_on(
    tmp_path: Path, write_dicom: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILE_SECONDS", 6.0)
    good = [write_dicom(tmp_path / "archive" / name) for name in "abc"]

    def images() -> Iterator[SourceImage]:
        yield SourceImage("a", path=good[0])
        yield SourceImage("crash", opener=partial(os._exit, 3))
        yield SourceImage("hang", opener=partial(time.sleep, 1000))
        yield SourceImage("b", path=good[1])
        yield SourceImage("memory", opener=partial(bytearray, 2 * processes.MEMORY_BYTES))  # type: ignore[arg-type]
        yield SourceImage("c", path=good[2])

    started = time.monotonic()
    summary = run(images, workers=2)
    assert time.monotonic() - started < 60
    assert (summary.accepted, summary.rejected) == (3, {"unreadable": 3})
    assert summary.notes == Source.notes
    assert details(tmp_path) == {
        "crash": ("unreadable", "the process that decoded it died"),
        "hang": ("unreadable", "took longer than 6 s"),
        "memory": ("unreadable", "MemoryError while reading"),
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "the source failed (Connection reset by peer)"),
        (TimeoutError(), "the source failed (TimeoutError)"),
        (UserError("answers 503", where="http://pacs"), "http://pacs: answers 503"),
    ],
)
def test_a_source_that_dies_on_the_way_is_one_line_and_a_second_run_goes_on(
    tmp_path: Path, write_dicom: Any, run: Callable[..., Any], fault: Exception, told: str, monkeypatch: Any
) -> None:
    films = [write_dicom(tmp_path / "archive" / str(index)) for index in range(6)]
    faults = [fault]
    read: list[str] = []
    record = collect._record
    monkeypatch.setattr(
        collect, "_record", lambda listed, *rest: (read.append(listed.image.name), record(listed, *rest))
    )

    def images() -> Iterator[SourceImage]:
        for index, film in enumerate(films):
            if index == 4 and faults:
                raise faults.pop()
            yield SourceImage(str(index), path=film)

    with pytest.raises(UserError) as caught:
        run(images)
    assert told in str(caught.value)
    assert not (tmp_path / "out").exists()
    before = len(read)
    assert before >= 3
    assert run(images).accepted == 6
    assert len(read) == 6


def test_a_source_that_stops_serving_rejects_no_film(tmp_path: Path, run: Callable[..., Any], monkeypatch: Any) -> None:
    def stops_at_the_second(_: Any, jobs: Iterable[Listed], **__: Any) -> Iterator[tuple[Listed, Reading]]:
        for job in jobs:
            reason = collect.SOURCE_GONE if job.image.name == "1" else "not_dicom"
            yield job, Reading(reason=reason, detail="the login ran out")

    monkeypatch.setattr(module, "process_map", stops_at_the_second)
    with pytest.raises(UserError, match="test://source: the source stopped serving: the login ran out"):
        run(lambda: (SourceImage(str(index), content=b"") for index in range(3)))
    with Journal(tmp_path / ".out.ingest" / "journal").sql as sql:
        assert sql.execute("SELECT name, reason FROM images WHERE spool_end IS NOT NULL").fetchall() == [
            ("0", "not_dicom")
        ]


def test_a_file_that_changes_while_it_is_read_is_rejected_and_one_that_vanishes_too(
    tmp_path: Path, write_dicom: Any, run: Callable[..., Any]
) -> None:
    films = [write_dicom(tmp_path / "archive" / str(index)) for index in range(4)]

    def images() -> Iterator[SourceImage]:
        for index, film in enumerate(films):
            yield SourceImage(str(index), path=film)
            if index == 1:  # the reading goes on meanwhile
                os.utime(film, ns=(0, 0))
            if index == 2:
                (tmp_path / "archive" / "3").unlink()

    run(images, workers=1)
    told = details(tmp_path)
    assert told["1"] == ("unreadable", "the file changed while it was read")
    assert told["3"] == ("unreadable", "cannot be opened (No such file or directory)")


def test_names_that_are_no_text_and_names_that_come_twice(
    tmp_path: Path, write_dicom: Any, run: Callable[..., Any]
) -> None:
    one, two = (write_dicom(tmp_path / "archive" / name) for name in "ab")

    def images() -> Iterator[SourceImage]:
        yield SourceImage("same", path=one)
        yield SourceImage("same", path=two)
        yield SourceImage("bad \udcff name", content=b"no film")
        yield SourceImage("same", content=b"no film")
        yield SourceImage("same", content=b"no film either")

    summary = run(images)
    assert (summary.accepted, summary.rejected) == (2, {"not_dicom": 3})
    assert Dataset.open(tmp_path / "out").manifest.index.is_unique


def test_many_empty_files_are_accounted_for(tmp_path: Path, write_dicom: Any, run: Callable[..., Any]) -> None:
    film = write_dicom(tmp_path / "archive" / "film")

    def images() -> Iterator[SourceImage]:
        yield SourceImage("film", path=film)
        for index in range(3000):
            yield SourceImage(str(index), content=b"")

    assert run(images, workers=2).rejected == {"not_dicom": 3000}


def test_out_and_source_may_not_lie_in_each_other(tmp_path: Path, write_dicom: Any) -> None:
    archive = tmp_path / "archive"
    write_dicom(archive / "deep" / "film")
    (tmp_path / "link").symlink_to(archive)
    before = sorted(tmp_path.rglob("*"))
    for source, out in ((archive, archive / "out"), (tmp_path / "link", archive / "out"), (archive, archive)):
        with pytest.raises(UserError, match="lies inside SOURCE"):
            ingest(source, out, OPTIONS)
    assert sorted(tmp_path.rglob("*")) == before
    ingest(archive, tmp_path / "out", OPTIONS)
    shutil.copytree(archive, tmp_path / "out" / "archive")
    overwriting = IngestOptions(OPTIONS.recipe, overwrite=True)
    with pytest.raises(UserError, match="holds SOURCE, which would be lost"):
        ingest(tmp_path / "out" / "archive", tmp_path / "out", overwriting)
    assert (tmp_path / "out" / "archive" / "deep" / "film").is_file()


def test_a_crosswalk_does_not_take_the_place_of_an_input(tmp_path: Path, write_dicom: Any) -> None:
    write_dicom(tmp_path / "archive" / "film")
    key = tmp_path / "key"
    key.write_text("00112233445566778899aabbccddeeff" * 2)
    with pytest.raises(UserError, match="is an input"):
        ingest(tmp_path / "archive", tmp_path / "out", IngestOptions(key=key, crosswalk=key, overwrite=True))
    assert len(key.read_text()) == 64
