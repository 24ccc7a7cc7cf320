"""One archive by every way in: the dataset is the same to the byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom
import pytest

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import read_header
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.errors import UserError

WAYS = ("zip", "tar", "gztar", "zips in a folder", "file address", "dicomweb", "C-GET", "C-MOVE")


def run(source: str | Path, out: Path, films: Path, **changes: Any) -> str:
    """The fingerprint of the dataset."""
    options = IngestOptions(
        recipe=PixelRecipe(shorter_side=32), key=films.parent / "synthetic.key", workers=2, **changes
    )
    ingest(source, out, options)
    return read_header(out).fingerprint


@pytest.fixture(scope="module")
def from_folder(films: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("dataset") / "d"
    fingerprint = run(films, out, films, labels=films.parent / "labels.csv")
    manifest = Dataset.open(out).manifest
    assert len(manifest) == 25
    assert manifest["reason"].dropna().tolist() == ["duplicate"]  # two UIDs, one content
    assert manifest["transfer_syntax"].nunique() >= 4
    return fingerprint


def zips_in_a_folder(films: Path, out: Path) -> Path:
    """One zip a hospital, as they are handed over."""
    for site in films.iterdir():
        shutil.make_archive(str(out / "zips" / f"{site.name}"), "zip", site)
    return out / "zips"


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_dataset(
    way: str, films: Path, from_folder: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if way in ("dicomweb", "C-GET", "C-MOVE"):
        orthanc = request.getfixturevalue("orthanc")
        source = {"dicomweb": orthanc.web, "C-GET": orthanc.dimse(), "C-MOVE": orthanc.move()}[way]
    elif way == "zips in a folder":
        source = zips_in_a_folder(films, tmp_path)
    elif way == "file address":
        source = f"file://{films}"
    else:
        source = shutil.make_archive(str(tmp_path / "films"), way, films)
    assert run(source, tmp_path / "d", films, labels=films.parent / "labels.csv") == from_folder


def test_labels_by_file_name_reach_members_of_an_archive(films: Path, tmp_path: Path) -> None:
    table = pd.read_csv(films.parent / "labels.csv", dtype=str).drop(columns="sop_instance_uid")
    table.to_csv(tmp_path / "labels.csv", index=False)
    archive = shutil.make_archive(str(tmp_path / "films"), "gztar", films)
    found = {
        run(source, tmp_path / Path(source).name[:5], films, labels=tmp_path / "labels.csv")
        for source in (films, archive)
    }
    assert len(found) == 1
    assert Dataset.open(tmp_path / "films").labels.notna().any(axis=None)


def test_what_is_no_film_is_rejected_alike(films: Path, start_orthanc: Callable[..., Any], tmp_path: Path) -> None:
    """With ModalitiesInStudy=* a PACS gives its other objects too, and they get the same rows."""
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = [path for path in sorted(films.rglob("*")) if path.is_file()][:4]
    for number, path in enumerate(kept):
        shutil.copy(path, folder / f"{number}")
    other = pydicom.dcmread(kept[0])
    other.Modality, other.SOPInstanceUID = "OT", other.SOPInstanceUID + ".1"
    other.SeriesInstanceUID += ".1"
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    other.save_as(folder / "other")
    orthanc = start_orthanc()
    orthanc.store(sorted(folder.iterdir()))
    everything = "ModalitiesInStudy=*"
    sources = [folder, f"{orthanc.web}?{everything}", orthanc.dimse(everything), orthanc.move(everything)]
    assert len({run(source, tmp_path / f"d{number}", films) for number, source in enumerate(sources)}) == 1
    assert set(Dataset.open(tmp_path / "d1").manifest["reason"].dropna()) == {"duplicate", "modality"}
    run(orthanc.web, tmp_path / "films only", films)
    assert len(Dataset.open(tmp_path / "films only").manifest) == 4


def test_an_outage_in_the_middle_stops_the_run_and_leaves_nothing(
    films: Path, web_server: Callable[..., Any], tmp_path: Path
) -> None:
    """A login that runs out is no fault of the films: none is rejected for it."""

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if "/instances/" in path:
            return 401, {}, b""
        found = {"0020000D": "1.2", "0020000E": "1.2.3", "00080018": "1.2.3.4"}
        items = [{tag: {"Value": [uid]} for tag, uid in found.items()}]
        return 200, {"Content-Type": "application/dicom+json"}, json.dumps(items).encode()

    source = f"{web_server(answer).url}/dicom-web"
    with pytest.raises(UserError, match="the source stopped serving: the server refuses the login .401."):
        run(source, tmp_path / "d", films)
    assert list(tmp_path.iterdir()) == []
