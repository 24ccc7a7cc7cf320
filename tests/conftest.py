"""A PACS and a browser; one thread a test process: several run side by side, and spinning threads slow each other."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from bias_audit.printing import QUIET, find_chromium
from raydino.errors import UserError

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
torch.set_num_threads(1)

PLUGINS = Path("/usr/share/orthanc/plugins")
START_SECONDS = 30.0
WEB_GL = ("--enable-unsafe-swiftshader", "--use-angle=swiftshader")  # by the processor


@pytest.fixture
def radiograph() -> Callable[..., Dataset]:
    """``make(number, **attributes)``: a CR film of 16 × 12 with the UID 2.25.NUMBER, all in one study of 2019-05-27."""

    def make(number: int = 1, **attributes: Any) -> Dataset:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        values = {
            "SOPClassUID": ComputedRadiographyImageStorage,
            "SOPInstanceUID": f"2.25.{number}",
            "StudyInstanceUID": "2.25.900",
            "SeriesInstanceUID": "2.25.901",
            "PatientName": "Planted^Name",
            "PatientID": "PLANTED-77",
            "StudyDate": "20190527",
            "StudyTime": "071317",
            "Modality": "CR",
            "BodyPartExamined": "CHEST",
            "Rows": 16,
            "Columns": 12,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
        }
        for keyword, value in (values | attributes).items():
            setattr(dataset, keyword, value)
        dataset.PixelData = bytes(16 * 12)
        dataset["PixelData"].VR = "OB"
        return dataset

    return make


@dataclass
class Orthanc:
    """A PACS on this machine. ``reader_port`` is where it sends what READER moves."""

    web_port: int
    dicom_port: int
    reader_port: int
    command: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"

    def dimse(self, query: str = "", aet: str = "READER") -> str:
        return f"dimse://ORTHANC@127.0.0.1:{self.dicom_port}?aet={aet}&{query}"

    def move(self, query: str = "") -> str:
        return self.dimse(f"retrieve=move&port={self.reader_port}&bind=127.0.0.1&{query}")

    def start(self) -> None:
        """Also again, after ``kill``: it keeps what it holds."""
        with Path(self.command[1]).with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        wait_for(self.web_port, self.process)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask(self, path: str) -> Any:
        """What its own REST interface answers, as in ``ask("/instances")``."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
            return json.load(answer)

    def store(self, files: list[Path]) -> None:
        """C-STORE, each in the transfer syntax that it has."""
        import pydicom
        from pynetdicom import AE, build_context

        datasets = [pydicom.dcmread(file) for file in files]
        kinds = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}
        contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in sorted(kinds)]
        association = AE("READER").associate("127.0.0.1", self.dicom_port, contexts=contexts, ae_title="ORTHANC")
        assert association.is_established
        assert [association.send_c_store(dataset).Status for dataset in datasets] == [0] * len(datasets)
        association.release()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


@pytest.fixture(scope="session")
def start_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    """``start(**configuration)``: an Orthanc with storage of its own, killed at the end."""
    plugins = [PLUGINS / "libOrthancDicomWeb.so", PLUGINS / "libOrthancGdcm.so"]
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not Path(program).exists() or not all(plugin.exists() for plugin in plugins):
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb orthanc-gdcm")
    running: list[Orthanc] = []

    def start(**changes: Any) -> Orthanc:
        folder = tmp_path_factory.mktemp("orthanc")
        orthanc = Orthanc(*free_ports(3))
        configuration = {
            "StorageDirectory": str(folder),
            "IndexDirectory": str(folder),
            "Plugins": list(map(str, plugins)),
            "HttpPort": orthanc.web_port,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomPort": orthanc.dicom_port,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {"reader": ["READER", "127.0.0.1", orthanc.reader_port]},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **changes,
        }
        file = folder / "orthanc.json"
        file.write_text(json.dumps(configuration))
        orthanc.command = [program, str(file)]
        running.append(orthanc)
        orthanc.start()
        return orthanc

    yield start
    for orthanc in running:
        orthanc.kill()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=1).close()
            return
        except urllib.error.HTTPError:  # it wants a login: it serves
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("Orthanc did not start")


@pytest.fixture(scope="session")
def launch() -> Callable[..., AbstractContextManager[Any]]:
    """``with launch() as browser``: a Chromium of its own. Skips without playwright or Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    try:
        program = find_chromium()
    except UserError as error:
        pytest.skip(str(error))

    @contextmanager
    def launched(web_gl: bool = False) -> Iterator[Any]:
        flags = [*QUIET[1:], "--no-sandbox", *(WEB_GL if web_gl else ())]
        with sync_api.sync_playwright() as play:
            browser = play.chromium.launch(executable_path=program, args=flags)
            yield browser
            browser.close()

    return launched


@pytest.fixture(scope="module")
def browser(launch: Callable[..., AbstractContextManager[Any]]) -> Iterator[Any]:
    with launch() as one:
        yield one


@pytest.fixture(scope="session")
def serious_faults() -> Callable[[Any], list[tuple[str, str]]]:
    """``serious_faults(page)``: what axe-core (MPL-2.0, never kept here) finds. Skips without RAYDINO_AXE."""
    axe = os.environ.get("RAYDINO_AXE")
    if not axe:
        pytest.skip("RAYDINO_AXE does not name axe-core's axe.min.js (npm install axe-core)")
    script = Path(axe).read_text(encoding="utf-8")

    def found(page: Any) -> list[tuple[str, str]]:
        page.evaluate(script)  # not as a script of the page: its policy would refuse it
        said = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        return [(one["id"], one["nodes"][0]["html"][:120]) for one in said if one["impact"] in ("serious", "critical")]

    return found
