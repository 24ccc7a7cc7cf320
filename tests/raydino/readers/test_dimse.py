"""DIMSE against a real Orthanc, and against a PACS of pynetdicom's that does what it should not."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComputedRadiographyImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, SourceGone, SourceImage, open_reader
from raydino.readers.dimse import Dimse
from raydino.readers.dimse_retrieve import MoveReceiver

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove


def read(source: str) -> Dimse:
    return Dimse(source, ReaderOptions())


def dataset_of(image: SourceImage) -> Dataset:
    if image.content is not None:
        from io import BytesIO

        return pydicom.dcmread(BytesIO(image.content))
    return pydicom.dcmread(pickle.loads(pickle.dumps(image)).opener())  # noqa: S301


@pytest.mark.parametrize("way", ["dimse", "move"])
def test_orthanc_gives_each_film_as_it_was_stored(way: str, orthanc: Any, films: Path) -> None:
    stored = {d.SOPInstanceUID: d for d in (pydicom.dcmread(path) for path in films.rglob("*") if path.is_file())}
    name, reader = open_reader(getattr(orthanc, way)())
    assert name == "dimse"
    syntaxes = set()
    names = []
    for image in reader.images():
        assert (image.content is None) == (way == "dimse"), image.opener  # says why it was not sent
        found = dataset_of(image)
        kept = stored.pop(found.SOPInstanceUID)
        assert image.name.endswith(f"/{found.SOPInstanceUID}")
        assert found.file_meta.TransferSyntaxUID == kept.file_meta.TransferSyntaxUID
        assert found == kept
        syntaxes.add(found.file_meta.TransferSyntaxUID)
        names.append(image.name)
    assert not stored
    assert len(syntaxes) >= 4
    assert names == sorted(names)


def test_orthanc_filters(orthanc: Any, films: Path) -> None:
    wanted = {d.SOPInstanceUID for d in map(pydicom.dcmread, films.rglob("IM*")) if d.PatientID == "SYN00005"}
    found = {image.name.split("/")[2] for image in read(orthanc.dimse("PatientID=SYN00005")).images()}
    assert found == wanted != set()
    with pytest.raises(UserError, match="has no studies of CT and your StudyDate; see docs/sources.md") as told:
        read(orthanc.dimse("ModalitiesInStudy=CT&StudyDate=20240101-"))
    assert "20240101" not in str(told.value)


def test_orthanc_moves_only_to_whom_and_where_it_knows(orthanc: Any) -> None:
    stranger = orthanc.move().replace("aet=READER", "aet=STRANGER")
    elsewhere = orthanc.move().replace(f"port={orthanc.reader_port}", f"port={free_port()}")
    for source, aet in {stranger: "STRANGER", elsewhere: "READER"}.items():
        images = read(source).images()
        first, _ = next(images), next(images)  # they could be two broken films
        assert first.opener is not None
        with pytest.raises(OSError, match="the PACS does not send it"):
            first.opener()
        with pytest.raises(UserError, match=f"the PACS sends nothing .*; register AE title {aet}, this machine"):
            next(images)


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("way", ["get", "move"])
def test_a_film_that_is_not_sent_is_asked_for_again_and_then_a_row(
    way: str, failures: int, pauses: list[float]
) -> None:
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    port = free_port()
    asked = []

    def send(event: evt.Event) -> Iterator[Any]:
        asked.append(event)
        if way == "move":
            yield "127.0.0.1", port, {"contexts": [build_context(ComputedRadiographyImageStorage)]}
        yield 1
        yield (0xA702, None) if len(asked) <= failures else (0xFF00, film)

    with Pacs(get=send, move=send) as pacs:
        (image,) = read(pacs.source(f"retrieve={way}" + f"&port={port}&bind=127.0.0.1" * (way == "move"))).images()
        if failures < 3:
            assert dataset_of(image).SOPInstanceUID == "1.2.3.4"
        else:
            assert image.opener is not None
            with pytest.raises(OSError, match="the PACS does not send it .status A702") as told:
                image.opener()
            assert not isinstance(told.value, SourceGone)
    assert len(asked) == min(failures + 1, 3)
    assert sum(pauses) < 3


def test_a_pacs_that_says_that_it_does_not_know_us(pauses: list[float]) -> None:
    def move(event: evt.Event) -> Iterator[Any]:
        yield None, None  # pynetdicom's way to say A801

    with Pacs(move=move) as pacs, pytest.raises(UserError, match="sends nothing .status A801"):
        next(read(pacs.source(f"retrieve=move&port={free_port()}&bind=127.0.0.1")).images())


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class Pacs:
    """A PACS with one film whose answers are functions. Counts the associations that it is asked for."""

    def __init__(self, **handlers: Callable[..., Any]) -> None:
        self.requests = 0
        self.reject: Callable[[int], int | None] = lambda count: None  # the result of an A-ASSOCIATE-RJ
        self.offers: tuple[str, ...] = (FIND, GET, MOVE)
        self.handlers = {
            "find": self.one_film,
            "get": lambda event: iter([0]),
            "move": lambda event: iter(()),
            **handlers,
        }
        self.port = free_port()

    def __enter__(self) -> Pacs:
        ae = AE("PACS")
        for name in self.offers:
            ae.add_supported_context(name)
        ae.add_supported_context(ComputedRadiographyImageStorage, scu_role=True, scp_role=True)
        events = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_FIND, self.handlers["find"]),
            (evt.EVT_C_GET, self.handlers["get"]),
            (evt.EVT_C_MOVE, self.handlers["move"]),
        ]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=events)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _requested(self, event: evt.Event) -> None:
        self.requests += 1
        result = self.reject(self.requests)
        if result is not None:
            event.assoc.acse.send_reject(result, 1, 1)
            event.assoc.kill()

    @staticmethod
    def one_film(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        found = Dataset()
        found.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
        found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID = "1.2", "1.2.3", "1.2.3.4"
        found.Modality, found.SOPClassUID = "CR", ComputedRadiographyImageStorage
        yield 0xFF00, found

    def source(self, query: str = "") -> str:
        return f"dimse://PACS@127.0.0.1:{self.port}?{query}"


def test_a_busy_pacs_is_asked_again(pauses: list[float]) -> None:
    pacs = Pacs()
    pacs.reject = lambda count: 2 if count <= 2 else None
    with pacs:
        (image,) = read(pacs.source()).images()
    assert image.name == "1.2/1.2.3/1.2.3.4"
    assert pauses == [0.5, 1]


def test_a_pacs_that_does_not_know_us(pauses: list[float]) -> None:
    pacs = Pacs()
    pacs.reject = lambda count: 1
    with pacs, pytest.raises(UserError, match="rejects the association; it must know the calling AE title RAYDINO"):
        read(pacs.source())
    assert pauses == []


def test_nobody_answers(pauses: list[float]) -> None:
    with pytest.raises(UserError, match="dimse://PACS@127.0.0.1:9: the PACS cannot be reached"):
        read("dimse://PACS@127.0.0.1:9")
    assert pauses


@pytest.mark.parametrize(
    ("status", "message"),
    [(0xA700, "finds too much \\(status A700\\); narrow the search"), (0xC001, "cannot search \\(status C001\\)")],
)
def test_a_search_that_fails(status: int, message: str) -> None:
    with Pacs(find=lambda event: iter([(status, None)])) as pacs, pytest.raises(UserError, match=message):
        read(pacs.source())


def test_a_connection_that_breaks_in_a_search_is_made_again(pauses: list[float]) -> None:
    asked: list[str] = []

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier.QueryRetrieveLevel)
        if len(asked) == 1:
            event.assoc.abort()
            return
        yield from Pacs.one_film(event)

    with Pacs(find=find) as pacs:
        assert len(list(read(pacs.source()).images())) == 1
    assert pauses == [0.5]


def test_a_pacs_without_c_get(pauses: list[float]) -> None:
    pacs = Pacs()
    pacs.offers = (FIND,)
    with pacs:
        (image,) = read(pacs.source()).images()
        assert image.opener is not None
        with pytest.raises(SourceGone, match="does not offer C-GET; register us there and add .retrieve=move"):
            image.opener()
        with pytest.raises(UserError, match="does not offer C-MOVE"):
            next(read(pacs.source(f"retrieve=move&port={free_port()}&bind=127.0.0.1")).images())


def test_the_receiver_takes_only_the_film_that_it_asked_for(films: Path) -> None:
    """Whoever sends something else to our port is refused, so nothing heaps up."""
    address = read_address()
    port = free_port()
    film = pydicom.dcmread(sorted(films.rglob("IM*"))[0])
    with MoveReceiver(address.peer, port, "127.0.0.1"):
        ae = AE("SOMEBODY")
        ae.add_requested_context(film.SOPClassUID, film.file_meta.TransferSyntaxUID)
        association = ae.associate("127.0.0.1", port, ae_title="RAYDINO")
        assert association.send_c_store(film).Status == 0xC000
        association.release()
        assert ae.associate("127.0.0.1", port, ae_title="OTHER").is_rejected
        with pytest.raises(UserError, match=f"cannot listen on port {port} .*; choose another"):
            MoveReceiver(address.peer, port, "127.0.0.1")
    assert threading.active_count() < 20


def read_address() -> Any:
    from raydino.readers.dimse_address import parse_address

    return parse_address("dimse://PACS@127.0.0.1")
