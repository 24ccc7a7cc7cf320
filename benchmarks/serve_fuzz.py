"""Broken, strange and hostile files against a running ``raydino serve``: does one of them get past its own job?

Files are made of real ones (pydicom's and pydicom-data's test files, and films of the phantom), dressed as chest films
so that they are not refused at the door, and then spoilt, by a seed: see ``MUTATIONS``. Each is uploaded over HTTP;
where a job was read, its result and its pictures are asked for as well. It counts, and ends with status 1 where there
is one of these:

  5xx           answers of that kind, and connections that break
  hanging       jobs that do not end
  nameless      jobs refused or failed without a reason of one line
  quoting       reasons that hold a value of the header
  and a service that is gone, or has grown by more than ``MOST_MIB``

    python benchmarks/serve_fuzz.py --minutes 5 --seed 1
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import io
import json
import shutil
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

Rng = np.random.Generator
SECRET = "Zyx7Wvu"  # stands in every text of the header
MOST_MIB = 600
_UID = "1.2.3.10000000"
_SYNTAXES = (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless, ExplicitVRLittleEndian)
_TEXTS = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription", "AccessionNumber", "InstitutionName",
          "ProtocolName", "OperatorsName", "PatientComments", "ImageComments", "DerivationDescription")  # fmt: skip
_ODD = {
    "Rows": (0, 1, 7, 511, 60_000, 65_535),
    "Columns": (0, 1, 7, 511, 60_000, 65_535),
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 32, 64, 65_535),
    "BitsStored": (0, 1, 8, 10, 16, 33, 65_535),
    "HighBit": (0, 7, 15, 65_535),
    "PixelRepresentation": (0, 1, 2, 65_535),
    "SamplesPerPixel": (0, 1, 2, 3, 4, 65_535),
    "NumberOfFrames": ("0", "-1", "2", "2147483647", "x", ""),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL_422", SECRET, "", "\\"),
    "RescaleSlope": ("0", "-1", "1e308", "nan", "inf", "1E-320", SECRET, ""),
    "RescaleIntercept": ("-1e308", "nan", "-inf", "1\\2"),
    "WindowCenter": ("nan", "1e308", "0\\0\\0", "-5", SECRET),
    "WindowWidth": ("0", "-1", "nan", "1e-320", "1", "2\\3"),
    "VOILUTFunction": ("SIGMOID", "LINEAR_EXACT", SECRET),
    "PixelSpacing": ("0\\0", "-1\\1", "1e-320\\1", "nan\\1", "1", "1\\1000000", SECRET),
    "ImagerPixelSpacing": ("0\\0", "1e308\\1", "0.1\\0.3"),
    "PixelAspectRatio": ("0\\0", "1\\0", "1\\99999", "-1\\1", "x\\y"),
    "PixelPaddingValue": (b"\xff\xff", b"\x00\x80", b"\x01"),
    "PatientOrientation": ("L\\F", "R\\H", "F\\P", f"{SECRET}\\L", "A", "\\\\\\"),
    "ViewPosition": ("PA", "LL", SECRET),
    "BodyPartExamined": ("CHEST", "HAND", SECRET, ""),
    "Modality": ("CR", "DX", "CT", SECRET, ""),
    "SpecificCharacterSet": ("ISO_IR 192", "ISO 2022 IR 87\\ISO 2022 IR 149", SECRET, "\\", "GB18030"),
    "PatientAge": ("999Y", "-01D", SECRET, "0"),
    "PatientSex": ("X", SECRET, "\n"),
    "StudyDate": ("00000000", "20261301", SECRET, "-20200101"),
    "ContentTime": ("999999", "24:61", SECRET),
    "SOPInstanceUID": ("", "1.2..3", "9" * 64, "1." + "2" * 70, SECRET, "1.2.3\n4"),
    "StudyInstanceUID": ("", "0.0.0", SECRET, "../../x"),
    "SOPClassUID": ("", "1.2.840.10008.1.3.10", SECRET),
    "BurnedInAnnotation": ("YES", "NO", SECRET),
    "ImageType": ("ORIGINAL\\PRIMARY", f"DERIVED\\SECONDARY\\{SECRET}", "\\"),
}


# ------------------------------------------------------------------------------------------------------ real files


@cache
def pydicom_films() -> tuple[bytes, ...]:
    """pydicom's and pydicom-data's own images, dressed as chest films."""
    folders = [Path(pydicom.__file__).parent / "data" / "test_files"]
    if found := importlib.util.find_spec("data_store"):  # pydicom-data; nothing is downloaded
        folders.append(Path(str(found.origin)).parent / "data")
    made = []
    for path in sorted(path for folder in folders for path in folder.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if path.stat().st_size < 2**20 and (content := dressed(path.read_bytes())):
                    made.append(content)
            except Exception:  # some of them are broken on purpose
                continue
    return tuple(made)


def dressed(content: bytes) -> bytes | None:
    """The file as a chest film full of secrets; None where it holds no image of a film's size and in grey."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    if "PixelData" not in dataset or min(dataset.Rows, dataset.Columns) < 128 or dataset.SamplesPerPixel != 1:
        return None
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = _UID
    dataset.pop("NumberOfFrames", None)
    for keyword in _TEXTS:
        setattr(dataset, keyword, f"{SECRET}^{keyword}"[:16])
    return saved(dataset)


def saved(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=False)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------- mutations


def flipped(content: bytes, rng: Rng) -> bytes:
    """Bits, anywhere or in the header."""
    made = np.frombuffer(content, np.uint8).copy()
    reach = len(made) if rng.random() < 0.3 else min(len(made), 3000)
    places = rng.integers(0, max(reach, 1), int(rng.integers(1, 60)))
    made[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return made.tobytes()


def truncated(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(0, len(content)))]


def long_lengths(content: bytes, rng: Rng) -> bytes:
    """Lengths of elements that promise more than there is."""
    made = bytearray(content)
    for place in _elements(content, rng, 3):
        long = content[place : place + 2] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        value = int(rng.choice([2**32 - 1, 2**32 - 2, 2**31, 10**9, 65_535, 65_534, 0, 1, 3]))
        made[place + (4 if long else 2) : place + (8 if long else 4)] = (
            value.to_bytes(4, "little") if long else (value % 2**16).to_bytes(2, "little")
        )
    return bytes(made)


def wrong_vrs(content: bytes, rng: Rng) -> bytes:
    made = bytearray(content)
    for place in _elements(content, rng, 4):
        made[place : place + 2] = bytes(
            rng.choice([b"US", b"SQ", b"UN", b"DS", b"OW", b"PN", b"AT", b"??", b"\0\0", b"UI"])
        )
    return bytes(made)


def _elements(content: bytes, rng: Rng, n: int) -> list[int]:
    """Where VRs of explicit elements seem to stand, some of them."""
    vrs = (
        b"UI",
        b"CS",
        b"SH",
        b"LO",
        b"DA",
        b"TM",
        b"PN",
        b"US",
        b"DS",
        b"IS",
        b"SQ",
        b"OW",
        b"OB",
        b"UN",
        b"ST",
        b"UL",
    )
    found = [at for at in range(4, min(len(content), 20_000) - 8) if content[at : at + 2] in vrs]
    return [] if not found else [int(place) for place in rng.choice(found, n)]


def odd_values(content: bytes, rng: Rng) -> bytes:
    """One to three attributes with values that the standard does not know."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    for keyword in rng.choice(sorted(_ODD), int(rng.integers(1, 4)), replace=False):
        value = _ODD[str(keyword)][int(rng.integers(len(_ODD[str(keyword)])))]
        tag = pydicom.datadict.tag_for_keyword(str(keyword))
        vr = {int: "US", bytes: "OB"}.get(type(value), pydicom.datadict.dictionary_VR(str(keyword)))
        raw = (
            value
            if isinstance(value, bytes)
            else str(value).encode()
            if vr != "US"
            else int(value).to_bytes(2, "little")
        )
        raw += b" " * (len(raw) % 2)
        little = not dataset.file_meta.get("TransferSyntaxUID", ExplicitVRLittleEndian).endswith("1.2.2")
        dataset[tag] = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), vr, len(raw), raw, 0, False, little)
    return saved(dataset)


def other_syntax(content: bytes, rng: Rng) -> bytes:
    """The pixels are said to be of another transfer syntax."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    old = str(dataset.file_meta.TransferSyntaxUID).encode()
    new = str(_SYNTAXES[int(rng.integers(len(_SYNTAXES)))]).encode()
    return content.replace(
        old.ljust(len(old) + len(old) % 2, b"\0"),
        new[: len(old) + len(old) % 2].ljust(len(old) + len(old) % 2, b"\0"),
        1,
    )


def broken_stream(content: bytes, rng: Rng) -> bytes:
    """Encapsulated fragments cut, repeated or filled with noise."""
    made = bytearray(content)
    starts = [at for at in range(len(content) // 8, len(content) - 8) if content[at : at + 4] == b"\xfe\xff\x00\xe0"]
    if not starts or rng.random() < 0.3:
        at = int(rng.integers(len(made) // 4, len(made)))
        made[at : at + int(rng.integers(1, 400))] = rng.bytes(int(rng.integers(1, 400)))
        return bytes(made)
    at = int(rng.choice(starts))
    if rng.random() < 0.5:
        made[at + 4 : at + 8] = int(rng.choice([0, 1, 2**32 - 1, 2**31, 7])).to_bytes(4, "little")
    else:
        del made[at : at + int(rng.integers(1, 2000))]
    return bytes(made)


def nested(content: bytes, rng: Rng) -> bytes:
    """Sequences in sequences, up to 10,000 deep, with or without lengths."""
    depth = int(rng.choice([30, 400, 1500, 10_000]))
    begin = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    inside = begin * depth + (end * depth if rng.random() < 0.5 else b"")
    where = content.find(b"\x08\x00\x05\x00")
    where = where if where > 0 else 400
    return content[:where] + inside + content[where:]


def deflated(content: bytes, rng: Rng) -> bytes:
    """A small file that is a large one: of pixels, or of empty elements without end."""
    dataset = Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{int(rng.integers(1, 10**6))}"
    head = io.BytesIO()
    pydicom.filewriter.dcmwrite(head, dataset, enforce_file_format=True)
    start = head.getvalue()[: head.getvalue().rfind(b"1.2.840.10008.1.2.1.99") + 22]
    return start + _bomb(bool(rng.random() < 0.5), int(rng.choice([16, 256], p=[0.9, 0.1])))


@cache
def _bomb(is_pixels: bool, mib: int) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = b"\x08\x00\x60\x00CS\x02\x00CR"
    if is_pixels:
        side = int((mib * 2**19) ** 0.5)
        for tag, value in (
            (0x0002, 1),
            (0x0010, side),
            (0x0011, side),
            (0x0100, 16),
            (0x0101, 16),
            (0x0102, 15),
            (0x0103, 0),
        ):
            head += b"\x28\x00" + tag.to_bytes(2, "little") + b"US\x02\x00" + value.to_bytes(2, "little")
        head += b"\xe0\x7f\x10\x00OW\0\0" + (2 * side * side).to_bytes(4, "little")
    parts = [squeeze.compress(head)] + [squeeze.compress(bytes(2**20)) for _ in range(mib)]
    return b"".join(parts) + squeeze.flush()


def no_dicom(content: bytes, rng: Rng) -> bytes:
    """Other files, and hardly any file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("film.dcm", content[:10_000])
    others = (
        *(
            b"",
            b"\0",
            b"DICM",
            bytes(128),
            bytes(128) + b"DICM",
            bytes(132),
            content[132:],
            content[:200],
            content[:132],
        ),
        *(packed.getvalue(), b"%PDF-1.7\n" + content[:500], b"\x89PNG\r\n\x1a\n" + content[:500], b"<html>" * 100),
        *(rng.bytes(2000), bytes(128) + b"DICM" + rng.bytes(2000), b"\xff" * 5000, content + content, content * 3),
    )
    return others[int(rng.integers(len(others)))]


def spliced(content: bytes, rng: Rng) -> bytes:
    """A piece of it stands somewhere else, too."""
    start, place = (int(at) for at in rng.integers(0, len(content), 2))
    piece = content[start : start + int(rng.integers(1, 3000))]
    return content[:place] + piece + content[place + (len(piece) if rng.random() < 0.5 else 0) :]


def as_it_is(content: bytes, rng: Rng) -> bytes:
    """Not spoilt at all."""
    return content


MUTATIONS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    *(flipped, truncated, long_lengths, wrong_vrs, odd_values, odd_values, odd_values, other_syntax, broken_stream),
    *(broken_stream, nested, deflated, no_dicom, spliced, as_it_is),
)


def mutants(films: tuple[bytes, ...], seed: int) -> Iterator[tuple[str, bytes]]:
    """Name and content without end; the same seed gives the same ones."""
    rng, number = np.random.default_rng(seed), 10**7
    while True:
        for mutation in MUTATIONS:
            number += 1  # another image under the same UID is refused
            film = films[int(rng.integers(len(films)))].replace(_UID.encode(), f"1.2.3.{number}".encode())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    made = mutation(film, rng)
                    if rng.random() < 0.15:
                        made = flipped(made, rng)
                except Exception:  # pydicom does not write everything that it reads
                    continue
            yield mutation.__name__, made


def fault_of(job: dict[str, object]) -> str | None:
    """What is wrong with how a job ended, by ``MUTATIONS``' rules."""
    state, reason = job["state"], job["reason"]
    if state == "read":
        return None
    if not isinstance(reason, str) or not reason or "\n" in reason or len(reason) > 320:
        return "nameless"
    return "quoting" if SECRET.lower() in reason.lower() else None


# ------------------------------------------------------------------------------------------------------ the long run


def ask(address: str, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body; 599 where the connection broke."""
    connection = http.client.HTTPConnection(address, timeout=400)
    try:
        connection.request(method, path, body, {"Content-Type": "application/dicom"} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 599, b""
    finally:
        connection.close()


def main() -> None:
    from serve import SMALL, Films, Plan, Served, resident, write_model

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that something was wrong with")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="raydino-fuzz-"))
    vit = SMALL | {"depth": 1, "embed_dim": 96, "n_heads": 2}
    encoder, bundles = write_model(folder, vit)
    phantoms = tuple(content for base, _ in Films(512).bases if (content := dressed(base)))
    films = (*phantoms * 20, *pydicom_films())
    served = Served(folder / "room", encoder, bundles, Plan(0, 0, 1, 2, 512, vit))
    states: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    end, start_mib, most_mib = time.monotonic() + 60 * given.minutes, 0.0, 0.0
    sent: dict[str, tuple[str, bytes]] = {}

    def blame(fault: str, name: str, content: bytes, said: str) -> None:
        faults[fault] += 1
        print(f"{fault}: {name} {said}", file=sys.stderr)
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / f"{fault}-{faults[fault]}-{name}.dcm").write_bytes(content)

    def settle(patience: float) -> None:
        """Look at the jobs that ended."""
        until = time.monotonic() + patience
        while sent and time.monotonic() < until:
            for job_id in [job_id for job_id in list(sent) if job_id in served.ended]:
                name, content = sent.pop(job_id)
                state = served.ended[job_id][0]
                states[f"{name} {state}"] += 1
                status, said = ask(served.address, "GET", f"/results/{job_id}")
                if status != 200:
                    blame("5xx", name, content, f"{status} of the result")
                    continue
                job = json.loads(said)
                if fault := fault_of(job):
                    blame(fault, name, content, str(job["reason"]))
                below = (job["film"] or {}).get("url"), job["attention"]
                for path in [path for path in below if path]:
                    if (status := ask(served.address, "GET", path)[0]) != 200:
                        blame("5xx", name, content, f"{status} of {path.rpartition('/')[2]}")
            if len(sent) < 40:
                return
            time.sleep(0.05)

    for name, content in mutants(films, given.seed):
        if time.monotonic() > end or served.process.poll() is not None:
            break
        status, said = ask(served.address, "POST", "/studies", content)
        if status != 202:
            blame("5xx" if status >= 500 else "refused at the door", name, content, str(status))
            continue
        sent[json.loads(said)["jobs"][0]["id"]] = (name, content)
        settle(400)
        now = resident([served.process.pid])
        start_mib = start_mib or now
        most_mib = max(most_mib, now)
    deadline = time.monotonic() + 400
    while sent and time.monotonic() < deadline and served.process.poll() is None:
        settle(5)
        time.sleep(0.1)
    for name, content in sent.values():
        blame("hanging", name, content, "")
    if served.process.poll() is not None:
        faults["the service is gone"] += 1
    elif most_mib - start_mib > MOST_MIB:
        faults["memory"] += 1
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)
    total: Counter[str] = Counter()
    for key, n in states.items():
        total[key.split()[1]] += n
    result = {"files": sum(states.values()), "states": total, "by_mutation": dict(sorted(states.items()))}
    print(json.dumps(result | {"faults": faults, "service_mib": [round(start_mib), round(most_mib)]}))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
