"""Ingest that is killed, stopped or out of disk: the same command again gives the dataset of an undisturbed run."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raydino.artifacts.header import fingerprint, read_header
from raydino.dicom import collect
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError

FILMS = 12
MANY = 2000  # files that no machine is done with before a signal arrives
KILL = """
import importlib, os, signal, sys
module, name, nth, *command = sys.argv[1:]
owner = importlib.import_module(module)
*path, name = name.split(".")
for step in path:
    owner = getattr(owner, step)
original, calls = getattr(owner, name), []
def killing(*args, **options):
    calls.append(None)
    if len(calls) == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **options)
setattr(owner, name, killing)
from raydino.cli import run
sys.exit(run(command))
"""


@pytest.fixture
def archive(tmp_path: Path, write_dicom: Any) -> Path:
    root = tmp_path / "archive"
    for index in range(FILMS):
        noise = np.random.default_rng(index).integers(0, 256, (96, 96))
        write_dicom(root / f"{index}.dcm", noise, uid=f"1.2.{index}", PatientID=f"P{index // 2}")
    shutil.copy(root / "0.dcm", root / "copy.dcm")
    (root / "notes.txt").write_text("no film")
    (tmp_path / "key").write_text("00112233445566778899aabbccddeeff" * 2)
    return root


def options(tmp_path: Path, **changes: Any) -> IngestOptions:
    return IngestOptions(PixelRecipe(shorter_side=96), key=tmp_path / "key", **changes)


def command(archive: Path, out: Path, *more: str) -> list[str]:
    key = str(archive.parent / "key")
    words = ["ingest", str(archive), "--out", str(out), "--key", key, "--shorter-side", "96", "--workers", "1"]
    return [*words, *more]


@pytest.fixture
def undisturbed(archive: Path, tmp_path: Path) -> str:
    ingest(archive, tmp_path / "undisturbed", options(tmp_path))
    assert not (tmp_path / ".undisturbed.ingest").exists()
    return fingerprint(tmp_path / "undisturbed")


def left_beside(out: Path) -> list[str]:
    """Hidden things that ingest made and did not remove."""
    return [path.name for path in out.parent.glob(f".{out.name}*")]


@contextmanager
def counted_readings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the images that were read."""
    names: list[str] = []
    record = collect._record

    def counting(listed: Any, *rest: Any) -> None:
        names.append(listed.image.name)
        record(listed, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(collect, "_record", counting)
        yield names


@pytest.mark.parametrize(
    ("module", "name", "nth"),
    [
        ("raydino.dicom.journal", "Journal.set", 1),
        ("raydino.dicom.spool", "Spool.put", 4),
        ("raydino.dicom.journal", "Journal.record", 6),
        ("raydino.dicom.journal", "Journal.end_listing", 1),
        ("raydino.dicom.assemble", "split_patients", 1),
        ("raydino.artifacts.images", "ShardWriter.add", 5),
        ("raydino.artifacts.table", "TableWriter._flush", 2),
        ("raydino.dicom.ingest", "write_private", 1),
        ("raydino.artifacts.header", "write_json", 1),
        ("raydino.artifacts.header", "_replace_directory", 1),
        ("raydino.artifacts.header", "shutil.rmtree", 1),
        ("raydino.dicom.workplace", "Workplace.done", 1),
        ("raydino.dicom.workplace", "Workplace._remove_files", 1),
    ],
)
def test_killed_at_every_stage(
    archive: Path, undisturbed: str, tmp_path: Path, module: str, name: str, nth: int
) -> None:
    out, crosswalk = tmp_path / "out", tmp_path / "crosswalk.csv"
    words = command(archive, out, "--crosswalk", str(crosswalk))
    killed = subprocess.run([sys.executable, "-c", KILL, module, name, str(nth), *words], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert left_beside(out)
    ingest(archive, out, options(tmp_path, crosswalk=crosswalk))
    assert read_header(out).fingerprint == fingerprint(out) == undisturbed
    assert left_beside(out) == []
    assert len(crosswalk.read_text().splitlines()) == FILMS + 3


def test_killed_at_random_moments(archive: Path, undisturbed: str, tmp_path: Path) -> None:
    out, rng = tmp_path / "out", random.Random(3)
    words = [sys.executable, "-m", "raydino", *command(archive, out)]
    kills = 0
    while kills < 3 and not out.exists():
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.5, 2.5))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    if not out.exists():
        ingest(archive, out, options(tmp_path))
    assert kills
    assert fingerprint(out) == undisturbed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_keeps_what_is_done_and_does_not_do_it_again(
    archive: Path, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    """The whole group of processes gets the signal, as from a terminal or a service manager."""
    for index in range(FILMS, MANY):
        shutil.copy(archive / "notes.txt", archive / f"note {index}")
    out = tmp_path / "out"
    words = [sys.executable, "-m", "raydino", *command(archive, out)]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
    )
    spool = tmp_path / ".out.ingest" / "spool"
    sizes: set[int] = set()
    while len(sizes - {0}) < 2:  # with the second film in the spool, the first stands in the journal
        assert process.poll() is None
        sizes.add(spool.stat().st_size if spool.exists() else 0)
        time.sleep(0.005)
    os.killpg(process.pid, number)
    assert process.wait() == code
    assert process.stderr is not None
    assert "the same command goes on from there" in process.stderr.read()
    assert not out.exists()
    assert stat.S_IMODE((tmp_path / ".out.ingest").stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / ".out.ingest").iterdir()} == {0o600}
    with counted_readings(monkeypatch) as names:
        summary = ingest(archive, out, options(tmp_path))
    assert summary.images - len(names) > 0
    assert summary.rejected == {"not_dicom": MANY - FILMS + 1, "duplicate": 1}
    for path in archive.glob("note *"):
        path.unlink()
    ingest(archive, out, options(tmp_path, overwrite=True))
    assert fingerprint(out) == undisturbed


def test_only_what_changed_is_read_again(
    archive: Path, tmp_path: Path, write_dicom: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("raydino.dicom.ingest.store", stop)
        with pytest.raises(KeyboardInterrupt):
            ingest(archive, out, options(tmp_path))
    (archive / "1.dcm").unlink()
    other = np.random.default_rng(99).integers(0, 256, (96, 96))
    write_dicom(archive / "2.dcm", other, uid="1.2.2", PatientID="other")
    with counted_readings(monkeypatch) as names:
        summary = ingest(archive, out, options(tmp_path))
    assert names == ["2.dcm"]
    assert (summary.accepted, summary.patients) == (FILMS - 1, FILMS // 2 + 1)
    ingest(archive, tmp_path / "fresh", options(tmp_path))
    assert fingerprint(out) == fingerprint(tmp_path / "fresh")


def stop(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_other_options_start_anew_and_say_so(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("sop_instance_uid,Edema\n1.2.1,1\n")
    with monkeypatch.context() as patch:
        patch.setattr("raydino.dicom.ingest.store", stop)
        with pytest.raises(KeyboardInterrupt):
            ingest(archive, tmp_path / "out", options(tmp_path, labels=labels))
    labels.write_text("sop_instance_uid,Edema\n1.2.1,0\n")
    capsys.readouterr()
    with counted_readings(monkeypatch) as names:
        summary = ingest(archive, tmp_path / "out", options(tmp_path, labels=labels, workers=2, split_seed=1))
    told = [line for line in capsys.readouterr().err.splitlines() if "anew" in line]
    assert len(told) == 1
    assert told[0].endswith(".out.ingest was made with other --labels: the work starts anew")
    assert len(names) == FILMS + 2
    assert summary.labels == {"Edema": (0, 1, FILMS - 1)}


def test_a_torn_working_directory_starts_anew(
    archive: Path, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, place = tmp_path / "out", tmp_path / ".out.ingest"
    for file, content, told in (
        ("journal", b"rubbish" * 99, "has a broken journal"),
        ("spool", b"x", "has lost films"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("raydino.dicom.ingest.store", stop)
            with pytest.raises(KeyboardInterrupt):
                ingest(archive, out, options(tmp_path))
        (place / file).write_bytes(content)
        ingest(archive, out, options(tmp_path))
        assert f"{told}: the work starts anew" in capsys.readouterr().err
        assert fingerprint(out) == undisturbed
        shutil.rmtree(out)


def test_two_runs_do_not_share_a_working_directory(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / ".out.ingest"
    place.mkdir(mode=0o700)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another ingest is making it"):
            ingest(archive, tmp_path / "out", options(tmp_path))
    ingest(archive, tmp_path / "out", options(tmp_path))
    assert not place.exists()


def test_a_link_in_the_place_of_the_working_directory_is_not_followed(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".out.ingest").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is in the way"):
        ingest(archive, tmp_path / "out", options(tmp_path))
    assert list((tmp_path / "elsewhere").iterdir()) == []


@contextmanager
def small_disk(path: Path, kib: int) -> Iterator[None]:
    path.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk takes the right to mount one")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_at_any_moment(archive: Path, undisturbed: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    faults: list[str] = []
    kib = 8
    with small_disk(disk, kib):
        while not (disk / "out").exists():
            try:
                ingest(archive, disk / "out", options(tmp_path))
            except UserError as error:
                faults.append(str(error))
                assert "the disk is full" in faults[-1]
                assert not (disk / "out").exists()
                kib = round(kib * 1.15) + 1
                subprocess.run(["mount", "-o", f"remount,size={kib}k", str(disk)], check=True)
        assert fingerprint(disk / "out") == undisturbed
        assert [path.name for path in disk.iterdir()] == ["out"]
    assert len(faults) > 10


def test_a_full_disk_leaves_the_old_dataset(archive: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 1024):
        ingest(archive, disk / "out", options(tmp_path, split_seed=5))
        before = fingerprint(disk / "out")
        kib = shutil.disk_usage(disk).used // 1024 + 300  # enough for the spool, not for a second dataset
        subprocess.run(["mount", "-o", f"remount,size={kib}k", str(disk)], check=True)
        with pytest.raises(UserError, match="the disk is full"):
            ingest(archive, disk / "out", options(tmp_path, overwrite=True))
        assert fingerprint(disk / "out") == before == read_header(disk / "out").fingerprint


def test_a_limit_of_the_size_of_files_is_one_line_too(archive: Path, undisturbed: str, tmp_path: Path) -> None:
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        "from raydino.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    words = command(archive, tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", limited, *words], capture_output=True, text=True)
    assert done.returncode == 2
    faults = [line for line in done.stderr.splitlines() if line.startswith("raydino:")]
    assert len(faults) == 1
    assert "cannot be written" in faults[0]
    ingest(archive, tmp_path / "out", options(tmp_path))
    assert fingerprint(tmp_path / "out") == undisturbed
