"""``raydino serve`` as a process beside a real Orthanc: fifty films in, fifty results there, whatever is killed."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, build_context

FILMS = 50


@pytest.fixture
def fifty(dicom_films: list[Path], tmp_path: Path) -> list[Path]:
    """Fifty films of fifty studies, each with UIDs of its own."""
    (tmp_path / "fifty").mkdir()
    made = []
    for number in range(FILMS):
        film = pydicom.dcmread(dicom_films[number % len(dicom_films)])
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"2.25.77{number:04}"
        film.SeriesInstanceUID, film.StudyInstanceUID = f"2.25.78{number:04}", f"2.25.79{number:04}"
        made.append(tmp_path / "fifty" / f"{number:02}.dcm")
        film.save_as(made[-1])
    return made


def send(files: list[Path], port: int) -> list[Path]:
    """C-STORE to our SCP; the films that were acknowledged before it broke off."""
    datasets = [pydicom.dcmread(file) for file in files]
    kinds = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}
    contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in sorted(kinds)]
    association = AE("MODALITY").associate("127.0.0.1", port, contexts=contexts, ae_title="RAYDINO")
    assert association.is_established
    taken = []
    for file, dataset in zip(files, datasets, strict=True):
        try:
            status = association.send_c_store(dataset)
        except RuntimeError:  # the association is gone
            break
        if "Status" not in status:
            break
        assert status.Status == 0
        taken.append(file)
    if association.is_established:
        association.release()
    return taken


def results_in(orthanc: Any) -> dict[tuple[str, str], bytes]:
    """Modality and SOP Instance UID → content, of everything that is no film."""
    found = {}
    for instance in orthanc.ask("/instances?expand"):
        tags = orthanc.ask(f"/instances/{instance['ID']}/simplified-tags")
        if tags["Modality"] not in ("CR", "DX"):
            with urllib.request.urlopen(
                f"http://127.0.0.1:{orthanc.web_port}/instances/{instance['ID']}/file", timeout=10
            ) as answer:
                found[tags["Modality"], tags["SOPInstanceUID"]] = answer.read()
    return found


def wait_for_results(orthanc: Any, count: int, seconds: float = 240.0) -> dict[tuple[str, str], bytes]:
    """Once there are ``count`` objects: a segmentation, a report and a document for each film."""
    end = time.monotonic() + seconds
    while orthanc.ask("/statistics")["CountInstances"] < count:
        assert time.monotonic() < end, orthanc.ask("/statistics")
        time.sleep(0.2)
    return results_in(orthanc)


@pytest.mark.timeout(600)
def test_fifty_films_fifty_results_though_the_service_is_killed(
    start_orthanc: Callable[..., Any],
    start_serving: Callable[..., Any],
    fifty: list[Path],
    tmp_path: Path,
) -> None:
    orthanc = start_orthanc()
    room = tmp_path / "room"
    options = ("--pacs", orthanc.web)
    serving = start_serving(room, *options)
    taken = send(fifty[:30], serving.dicom_port)
    assert len(taken) == 30
    while orthanc.ask("/statistics")["CountInstances"] < 9:  # in the middle of reading and of delivering
        time.sleep(0.05)
    os.kill(serving.process.pid, signal.SIGKILL)
    serving.process.wait()
    serving = start_serving(room, *options)
    send(fifty[30:], serving.dicom_port)
    found = wait_for_results(orthanc, 3 * FILMS)
    counts = {modality: sum(1 for kind, _ in found if kind == modality) for modality in ("SEG", "SR", "DOC")}
    assert counts == {"SEG": FILMS, "SR": FILMS, "DOC": FILMS}
    assert len(found) == 3 * FILMS
    send(fifty, serving.dicom_port)  # all again, to the same service …
    serving.process.terminate()
    assert serving.process.wait(timeout=60) == 0
    serving = start_serving(tmp_path / "other", *options)  # … and to one that has never seen them
    send(fifty[:10], serving.dicom_port)
    while sum(path.suffix == ".dcm" for path in (tmp_path / "other" / "results").rglob("*")) < 30:
        time.sleep(0.1)
    time.sleep(1.0)  # the last delivery
    serving.process.terminate()
    assert serving.process.wait(timeout=60) == 0
    assert results_in(orthanc) == found
    log = (tmp_path / "room.log").read_text()
    assert "SYN0" not in log
    assert "2.25." not in log
