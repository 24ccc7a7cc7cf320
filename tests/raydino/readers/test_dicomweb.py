"""DICOMweb against a real Orthanc, and against scripted servers that page, log in and answer oddly."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom
import pytest

from raydino.errors import UserError
from raydino.readers import dicomweb
from raydino.readers.base import ReaderOptions, open_reader
from raydino.readers.dicomweb import DicomWeb, dicom_part, parse_address
from raydino.readers.web_request import Answer

Server = Callable[..., Any]
JSON = {"Content-Type": "application/dicom+json"}


def read(source: str) -> DicomWeb:
    return DicomWeb(source, ReaderOptions())


def listing(
    server: Server, studies: dict[str, list[tuple[str, str, str]]], paged: Callable[[list[Any], int, int], list[Any]]
) -> Any:
    """A QIDO server of ``studies`` (series, instance, modality), where ``paged(items, offset, limit)`` cuts pages."""

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        if parts.path.endswith("/studies"):
            items = [{"0020000D": {"vr": "UI", "Value": [study]}} for study in studies]
        else:
            items = [
                {"0020000E": {"Value": [series]}, "00080018": {"Value": [uid]}, "00080060": {"Value": [modality]}}
                for series, uid, modality in studies[parts.path.split("/")[3]]
            ]
        page = paged(items, int(query["offset"][0]), int(query["limit"][0]))
        return (200, JSON, json.dumps(page).encode()) if page else (204, {}, b"")

    return server(answer)


@pytest.mark.parametrize(
    "paged",
    [
        lambda items, offset, limit: items[offset : offset + limit],
        lambda items, offset, limit: items[offset : offset + 2],  # a cap of its own
        lambda items, offset, limit: items,  # no paging at all
        lambda items, offset, limit: items[offset:],  # no limit
    ],
)
def test_every_way_of_paging_gives_every_film_once(
    paged: Callable[..., list[Any]], web_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomweb, "PAGE", 3)
    studies = {f"1.{n}": [(f"1.{n}.1", f"1.{n}.1.{m}", "CR") for m in range(7)] for n in range(8)}
    server = listing(web_server, studies, paged)
    names = [image.name for image in read(f"dicomweb+{server.url}/pacs").images()]
    assert names == sorted(names)
    assert set(names) == {f"{study}/{series}/{uid}" for study, found in studies.items() for series, uid, _ in found}
    assert len(names) == 56


def test_only_radiographs_are_listed_and_no_uid_that_is_none(web_server: Server) -> None:
    objects = [("1.1", "1.1.1", "DX"), ("1.2", "1.1.2", "CT"), ("1.3", "1.1.3", ""), ("1.4", "../../x", "CR")]
    server = listing(web_server, {"1": objects}, lambda items, offset, limit: items[offset:])
    names = [image.name for image in read(f"{server.url}/dicom-web?StudyDate=20240101-").images()]
    assert names == ["1/1.1/1.1.1", "1/1.3/1.1.3"]
    asked = [parse_qs(urlsplit(path).query) for path, _ in server.requests if "/studies?" in path]
    assert {search["ModalitiesInStudy"][0] for search in asked} == {"CR", "DX", "DR"}
    assert all(search["StudyDate"] == ["20240101-"] for search in asked)
    everything = read(f"{server.url}/dicom-web?ModalitiesInStudy=*")
    assert len(list(everything.images())) == 3
    assert "ModalitiesInStudy" not in server.requests[-1][0]


def test_a_study_that_cannot_be_listed_is_a_row(web_server: Server, pauses: list[float]) -> None:
    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if "/instances" in path:
            return 500, {}, b""
        return 200, JSON, json.dumps([{"0020000D": {"Value": ["1.2"]}}]).encode()

    (image,) = read(f"{web_server(answer).url}/dicom-web").images()
    assert image.name == "1.2"
    assert image.opener is not None
    with pytest.raises(OSError, match="its study cannot be listed: the server fails"):
        image.opener()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, {}, b""), "the server refuses the login (401); set RAYDINO_DICOMWEB_TOKEN to a valid token"),
        ((404, {}, b""), "does not have it (404): is this the DICOMweb root? it often ends in /dicom-web"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "a web page answers, not DICOMweb"),
        ((200, {}, b"<xml>"), "something other than DICOM JSON; is it the DICOMweb root?"),
        ((200, JSON, b"{}"), "something other than DICOM JSON"),
        ((200, JSON, b"[]"), "has no studies of CR, DX, DR and your PatientID"),
        ((204, {}, b""), "has no studies of CR, DX, DR"),
    ],
)
def test_a_listing_that_fails_is_one_line(
    answer: tuple[int, dict[str, str], bytes], message: str, web_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYDINO_DICOMWEB_TOKEN", "hush")
    server = web_server(lambda path, headers: answer)
    with pytest.raises(UserError) as told:
        read(f"{server.url}/dicom-web?PatientID=12345")
    line = str(told.value)
    assert line.startswith(f"{server.url}/dicom-web: ")
    assert message in line
    assert not any(secret in line for secret in ("hush", "12345", "\n"))


def test_addresses() -> None:
    recognised = [
        "dicomweb+https://h/x",
        "dicomweb+http://h",
        "https://h/dicom-web/",
        "http://h/a/dicom-web?StudyDate=1",
    ]
    assert all(map(DicomWeb.recognises, recognised))
    assert not any(map(DicomWeb.recognises, ["https://h/a.zip", "dicomweb+ftp://h", "dicom-web", "/dicom-web"]))
    assert parse_address("dicomweb+https://h:8/x/?StudyDate=1")[0] == "https://h:8/x"
    with pytest.raises(UserError, match="a login does not belong into the address") as told:
        parse_address("https://alice:hush@h/dicom-web")
    assert "hush" not in str(told.value)
    with pytest.raises(UserError, match="names no host"):
        parse_address("dicomweb+https:///x")


def test_answers_with_one_dicom_file() -> None:
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\nfi--b\r\nlm\r\n--b--\r\n"
    for kind in ('multipart/related; type="application/dicom"; boundary=b', 'Multipart/Related; boundary="b"'):
        assert dicom_part(Answer(kind, b"preamble\r\n" + body)) == b"fi--b\r\nlm"
    assert dicom_part(Answer("application/dicom", b"film")) == b"film"
    with pytest.raises(OSError, match="breaks off"):
        dicom_part(Answer("multipart/related; boundary=b", body[:-8]))
    with pytest.raises(OSError, match="other than DICOM"):
        dicom_part(Answer("application/json", b"{}"))


def test_orthanc_gives_each_film_as_it_was_stored(orthanc: Any, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDINO_DICOMWEB_TOKEN", "hush")
    stored = {d.SOPInstanceUID: d for d in (pydicom.dcmread(path) for path in films.rglob("*") if path.is_file())}
    name, reader = open_reader(orthanc.web)
    assert name == "dicomweb"
    images = list(reader.images())
    syntaxes = set()
    for image in images:
        pickled = pickle.dumps(image)
        assert b"hush" not in pickled
        found = pydicom.dcmread(pickle.loads(pickled).opener())  # noqa: S301
        kept = stored[found.SOPInstanceUID]
        assert found.file_meta.TransferSyntaxUID == kept.file_meta.TransferSyntaxUID
        assert found == kept  # every element, the pixels' bytes among them
        syntaxes.add(found.file_meta.TransferSyntaxUID)
    assert len(images) == len(stored) == 25
    assert len(syntaxes) >= 4
    assert [image.name for image in images] == sorted(image.name for image in images)


def test_orthanc_wants_a_login(start_orthanc: Callable[..., Any], films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = start_orthanc(AuthenticationEnabled=True, RegisteredUsers={"alice": "hush"})
    guarded.store(sorted(path for path in films.rglob("*") if path.is_file())[:1])
    with pytest.raises(UserError, match=r"refuses the login \(401\)"):
        read(guarded.web)
    monkeypatch.setenv("RAYDINO_DICOMWEB_LOGIN", "alice:hush")
    (image,) = read(guarded.web).images()
    assert image.opener is not None
    assert image.opener().read()[128:132] == b"DICM"
