"""Identifiers are planted wherever an archive can hold them; then every byte that ingest gives away is searched.

All planted words share a stem, all numbers and UIDs a beginning, so that a handful of needles in a dozen
encodings finds each of thousands of plants. What is the user's own (key, crosswalk) is not searched.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from raydino.artifacts.dataset import Dataset as RaydinoDataset
from raydino.cli import run
from raydino.dicom.film import Work, read_film
from raydino.dicom.pixels import PixelRecipe
from raydino.readers.base import SourceImage

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
STEM = "QUIXOT"  # in each planted word
NUMBER = "8675309"  # each planted number begins so
ROOT = "1.2.826.0.1.3680043.9.777"  # and each UID so
SMALL = 48611  # where a number has 16 bits
BORN, TAKEN, TIME = "19560229", "20190817", "174233"
DATES = (BORN, TAKEN, "1956-02-29", "2019-08-17", "29.02.1956", "17.08.2019", "02/29/1956", "August 17", TIME, "17:42")
NEEDLES = (STEM, NUMBER, ROOT, str(SMALL), "Wyvernsh", "Nowhere L", "555-0199", *DATES)
KEY = "5c" * 32

# What a film needs to be a film; everything else is planted. AS holds ages only, which are meant to leave.
KEPT = re.compile(
    r"Rows|Columns|Bits(Allocated|Stored)|HighBit|PixelRepresentation|SamplesPerPixel|PhotometricInterpretation"
    r"|PixelData|FloatPixelData|DoubleFloatPixelData|PixelAspectRatio|.*PixelSpacing|Window.*|VOILUT.*|Rescale.*"
    r"|ModalityLUTSequence|PresentationLUT.*|PixelPadding.*|Shutter.*|.*Shutter.*|.*Collimator.*|Modality|BodyPartExamined"
    r"|ViewPosition|NumberOfFrames|PlanarConfiguration|PatientOrientation|PresentationIntentType|ImageType"
    r"|BurnedInAnnotation|.*Palette.*|SOPClassUID|SpecificCharacterSet|PatientSpecies.*|PatientSex|.*Magnification.*"
    r"|CommandGroupLength|.*GroupLength|ExtendedOffset.*|PixelDataProviderURL|LargestImagePixel.*|SmallestImagePixel.*"
)


def planted_value(vr: str, number: int) -> Any:
    """A value of ``vr`` that identifies; None where the kind can hold nothing that does."""
    word = f"{STEM}{number:05d}"
    whole = f"{NUMBER}{number % 100:02d}"
    values: dict[str, Any] = {"PN": f"{word}^Zebulon", "UI": f"{ROOT}.{number}", "DA": (BORN, TAKEN)[number % 2]}
    values |= dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"), word)
    values |= {"DT": f"{TAKEN}{TIME}", "TM": TIME, "IS": whole, "DS": whole, "US": SMALL, "SS": 8675}
    values |= dict.fromkeys(("UL", "SL", "UV", "SV"), int(whole)) | dict.fromkeys(("FL", "FD"), float(NUMBER))
    values |= dict.fromkeys(("OB", "OW", "OL", "OF", "OD", "OV", "UN"), (word.encode() * 8)[:80])
    return values.get(vr)


def plant_everywhere(dataset: Dataset) -> int:
    """Each attribute of pydicom's dictionary that ``KEPT`` does not keep; how many there are."""
    count = 0
    for tag, (vrs, _, _, _, keyword) in DicomDictionary.items():
        if tag >> 16 <= 2 or not keyword or KEPT.fullmatch(keyword):
            continue
        vr = vrs.split(" or ")[0]
        value = planted_value(vr, count) if vr != "SQ" else Sequence([nested(count)])
        if value is not None:
            dataset.add_new(tag, vr, value)
            count += 1
    for mask, (vrs, _, _, _, keyword) in RepeatersDictionary.items():  # overlays and curves
        value = planted_value(vrs.split(" or ")[0], count)
        if value is not None and keyword and not KEPT.fullmatch(keyword.replace("Overlay", "")):
            dataset.add_new(int(mask.replace("x", "0"), 16), vrs.split(" or ")[0], value)
            count += 1
    return count


def nested(number: int) -> Dataset:
    """An item with an item: a name, a code and a private attribute three levels down."""
    inner, outer = Dataset(), Dataset()
    inner.PatientName, inner.CodeMeaning = f"{STEM}^Zebulon", f"{STEM} {number}"
    inner.private_block(0x0011, f"{STEM} PRIVATE", create=True).add_new(1, "LO", f"{STEM} inside")
    outer.PatientID, outer.ReferencedSOPInstanceUID, outer.StudyDate = f"{STEM}{number}", f"{ROOT}.{number}", TAKEN
    outer.RequestAttributesSequence = Sequence([inner])
    return outer


def add_private(dataset: Dataset) -> None:
    for group in (0x0009, 0x0019, 0x0029, 0x2001, 0x7FE1):
        block = dataset.private_block(group, f"{STEM} {group}", create=True)
        kinds = ("LO", "PN", "LT", "UN", "OB", "DA", "IS", "UI", "DS", "UT", "SH")
        for element, vr in enumerate(kinds, start=1):
            block.add_new(element, vr, planted_value(vr, element))
        block.add_new(0x20, "SQ", Sequence([nested(group)]))


def film(number: int, rows: int = 96, cols: int = 80) -> npt.NDArray[np.int64]:
    """A film of its own: a ramp with noise."""
    noise = np.random.default_rng(number).integers(0, 20, (rows, cols))
    return np.add.outer(np.arange(rows), np.arange(cols)).astype(np.int64) + noise


def write(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.preamble = (f"{STEM} preamble {BORN} " * 8).encode()[:128]
    dataset.file_meta.SourceApplicationEntityTitle = f"{STEM}AE"
    dataset.file_meta.ImplementationVersionName = f"{STEM}VER"
    dataset.file_meta.PrivateInformationCreatorUID = f"{ROOT}.9"
    dataset.file_meta.PrivateInformation = f"{STEM} private".encode()
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def lenient() -> Iterator[None]:
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    yield
    pydicom.config.settings.writing_validation_mode = before


@pytest.fixture
def archive(tmp_path: Path, make_dataset: Any, lenient: None) -> Path:
    """Films with plants everywhere, in files and folders with telling names; broken and odd ones among them."""
    source = tmp_path / "source"
    odd: list[dict[str, Any]] = [
        {},
        {"PatientAge": "094Y", "PatientSex": "M"},
        {"Modality": "CT"},
        {"Modality": f"{STEM}9"},
        {"BodyPartExamined": STEM, "StudyDescription": STEM},
        {"PhotometricInterpretation": STEM},
        {"BitsStored": SMALL},
        {"PixelRepresentation": SMALL},
        {"BitsAllocated": SMALL},
        {"ViewPosition": STEM, "PatientOrientation": [STEM, NUMBER]},
        {"ImageType": ["DERIVED", "SECONDARY", STEM]},
        {"PresentationIntentType": "FOR PROCESSING"},
        {"BurnedInAnnotation": "YES"},
        {"NumberOfFrames": NUMBER},
        {"WindowCenter": NUMBER, "WindowWidth": NUMBER},
        {"PatientSpeciesDescription": STEM},
        {"Rows": 4000},
    ]
    for number, attributes in enumerate(odd):
        dataset = make_dataset(film(number))
        assert plant_everywhere(dataset) > 3000
        add_private(dataset)
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.1{number}"
        dataset.StudyDate, dataset.PatientBirthDate = TAKEN, BORN
        dataset.PatientName, dataset.InstitutionName = f"{STEM}^Zebulon", f"Wyvernshire {STEM} Infirmary"
        dataset.PatientAddress = "12 Nowhere Lane"
        dataset.PixelData += f"{STEM} after the pixels".encode()
        write(source / f"{STEM} {BORN}" / f"{ROOT}.1{number}.{STEM}.dcm", dataset)
    whole = (source / f"{STEM} {BORN}" / f"{ROOT}.10.{STEM}.dcm").read_bytes()
    for length in range(200, len(whole), len(whole) // 9):
        (source / f"{STEM}-cut-{length}").write_bytes(whole[:length])
    (source / f"{STEM}-twice").write_bytes(whole)
    (source / f"{STEM}.txt").write_text(f"{STEM} {NUMBER}")
    (source / f"{STEM}.dcm").write_bytes(bytes(128) + b"DICM" + f"{STEM}{NUMBER}".encode() * 9)
    return source


def sidecars(tmp_path: Path) -> list[str]:
    """A labels CSV with columns that are no labels, a reports CSV, and masks named by UID."""
    uids = [f"{ROOT}.1{number}" for number in (0, 1)]
    named = f"{STEM} {NUMBER}"
    labels = [
        {"sop_instance_uid": uid, "Nodule": index, "remark": named, "insurance": named, "race": named}
        | {"population": named, "site": named, "patient_id": named, "view": named, "sex": named}
        for index, uid in enumerate(uids)
    ]
    pd.DataFrame(labels).to_csv(tmp_path / "labels.csv", index=False)
    text = (
        f"Zebulon {STEM} (MRN {NUMBER}, born 29.02.1956, tel. 555-0199), seen on August 17, 2019 at 17:42.\n"
        f"Small effusion; 5 mm nodule at T1. 94-year-old. Lives at 12 Nowhere Lane. {STEM.title()} Zebulon is well.\n"
        f"Compared with {ROOT}.77. Wyvernshire {STEM} Infirmary. Electronically signed by Ann {STEM}, MD."
    )
    pd.DataFrame([{"sop_instance_uid": uid, "text": text} for uid in uids]).to_csv(
        tmp_path / "reports.csv", index=False
    )
    (tmp_path / "masks" / "lungs").mkdir(parents=True)
    mask = np.zeros((96, 80), np.uint8)
    mask[20:60, 20:60] = 255
    cv2.imwrite(str(tmp_path / "masks" / "lungs" / f"{uids[0]}.png"), mask)
    given = {"labels": "labels.csv", "reports": "reports.csv", "masks": "masks", "crosswalk": "crosswalk.csv"}
    return [word for name, file in given.items() for word in (f"--{name}", str(tmp_path / file))]


def raydino(tmp_path: Path, *arguments: str) -> tuple[int, bytes]:
    """The program in a process of its own: exit code, and all that it said. Its temporary files lie in tmp_path/tmp."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "raydino", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False)
    return done.returncode, done.stdout + b"\n" + done.stderr


def spellings(needle: str) -> Iterator[bytes]:
    """A needle as it may stand in a file, in lower case."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
        yield needle.encode(encoding).lower()
    for text in (needle, needle.lower(), needle.title()):
        yield text.encode().hex().encode()
        for shift in range(3):  # base64 at each alignment, without the characters that neighbours decide
            coded = base64.b64encode(b"\0" * shift + text.encode())
            yield coded[(0, 2, 3)[shift] : len(coded) // 4 * 4 - 4].lower()
    yield needle[::-1].encode().lower()
    yield "".join(f"%{byte:02x}" for byte in needle.encode()).encode()


def leaks(blobs: Iterator[tuple[str, bytes]]) -> list[str]:
    """Where a needle stands, and which."""
    sought = {(needle, form) for needle in NEEDLES for form in spellings(needle) if len(form) >= 5}
    found = []
    for name, blob in blobs:
        low = blob.lower()
        found += [f"{needle!r} in {name}" for needle, form in sought if form in low]
    return sorted(set(found))


def given_away(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Every name and byte below ``directory``, and tables, archives and pictures opened as well."""
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        yield "a name", name.encode()
        if path.is_dir():
            continue
        content = path.read_bytes()
        yield name, content
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield f"{name} schema", f"{table.schema} {table.schema.metadata}".encode()
            for column in table.column_names:
                yield f"{name} column {column}", "\n".join(map(str, table[column].to_pylist())).encode()
        elif path.suffix == ".tar":
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                for member in tar:
                    yield f"{name} member", str(sorted(member.get_info().items(), key=str)).encode()
                    file = tar.extractfile(member)
                    assert file is not None
                    yield from picture(f"{name} {member.name}", file.read())
        elif path.suffix == ".png":
            yield from picture(name, content)


def picture(name: str, png: bytes) -> Iterator[tuple[str, bytes]]:
    """A PNG's pixels; it may hold no chunk that is not pixels."""
    position = 8
    while position < len(png):
        length, kind = int.from_bytes(png[position : position + 4], "big"), png[position + 4 : position + 8]
        assert kind in (b"IHDR", b"IDAT", b"IEND"), f"{name} has a chunk {kind!r}"
        position += length + 12
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    yield f"{name} pixels", pixels.tobytes()


@pytest.mark.timeout(300)
def test_planted_identifiers_appear_nowhere(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    given = [*sidecars(tmp_path), "--key", str(tmp_path / "key"), "--shorter-side", "64", "--workers", "2"]
    code, told = raydino(tmp_path, "ingest", str(archive), "--out", str(tmp_path / "out"), *given)
    assert code == 0, told.decode()
    assert STEM in (tmp_path / "crosswalk.csv").read_text()  # the plants were read
    dataset = RaydinoDataset.open(tmp_path / "out")
    assert len(dataset.manifest) == sum(path.is_file() for path in archive.rglob("*"))
    assert len(dataset.accepted) >= 3, dataset.manifest[["reason", "detail"]].to_string()
    assert set(dataset.accepted["study_year"]) == {2019.0}
    assert dataset.demographics["age_years"].max() == 90.0
    assert set(dataset.accepted["manufacturer"]) == {"OTHER"}
    assert len(dataset.reports) == 2
    assert "Small effusion; 5 mm nodule at T1. 90+-year-old." in dataset.reports["text"].iloc[0]
    code, inspected = raydino(tmp_path, "inspect", str(tmp_path / "out"), "--out", str(tmp_path / "pictures"))
    assert code == 0, inspected.decode()
    searched = [("what ingest said", told), ("what inspect said", inspected)]
    for folder in ("out", "tmp"):
        searched += given_away(tmp_path / folder)
    assert leaks(iter(searched)) == []
    own = {"source", "out", "tmp", "key", "pictures", "labels.csv", "reports.csv", "masks", "crosswalk.csv"}
    assert {path.name for path in tmp_path.iterdir()} == own, "something was left behind"


def test_a_run_that_fails_tells_nothing(archive: Path, tmp_path: Path) -> None:
    folder = archive / f"{STEM} {BORN}"
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path, force=True)
        dataset.Modality = "CT"
        dataset.save_as(path)
    code, told = raydino(tmp_path, "ingest", str(archive), "--out", str(tmp_path / "out"))
    assert code == 2
    assert b"no chest radiograph found" in told
    assert leaks(iter([("what ingest said", told)])) == []


@pytest.mark.parametrize("culprit", ["read_film_header", "render_dicom", "encode_png"])
def test_a_failure_of_any_kind_is_told_without_its_message(
    culprit: str, tmp_path: Path, make_dataset: Any, lenient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"cannot make sense of {STEM}")

    path = write(tmp_path / f"{STEM}.dcm", make_dataset(film(1)))
    monkeypatch.setattr(f"raydino.dicom.film.{culprit}", fail)
    reading = read_film(Work(PixelRecipe(64)), SourceImage(path.name, path=path))
    assert (reading.reason, reading.detail) == ("unreadable", "ValueError while reading")


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("--labels", f"{STEM},{NUMBER}\n1,2\n"),
        ("--labels", f"sop_instance_uid,split\n{ROOT}.1,{STEM}\n"),
        ("--labels", f"sop_instance_uid,age_years\n{ROOT}.1,{STEM}\n"),
        ("--labels", f"sop_instance_uid,A\n{ROOT}.1,1\n{ROOT}.1,1\n"),
        ("--labels", f'sop_instance_uid,A\n"{STEM}'),
        ("--reports", f"{STEM},{NUMBER}\n1,2\n"),
        ("--reports", f"text,{STEM}\n{NUMBER},2,3,4\n"),
        ("--images-csv", f"{STEM},{NUMBER}\n1,2\n"),
        ("--images-csv", f"file,patient_id\n../{STEM},{STEM}\n"),
        ("--images-csv", f"file,patient_id\n{STEM},\n"),
        ("--key", f"{STEM}{NUMBER}\n"),
    ],
)
def test_faulty_tables_are_not_quoted(
    option: str, content: str, tmp_path: Path, make_dataset: Any, lenient: None, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "source" / "a", make_dataset(film(1)))
    (tmp_path / "given").write_text(content)
    arguments = ["ingest", str(tmp_path / "source"), "--out", str(tmp_path / "out"), option, str(tmp_path / "given")]
    assert run(arguments) == 2
    told = "".join(capfd.readouterr())
    assert str(tmp_path / "given") in told
    assert leaks(iter([("what ingest said", told.encode())])) == []


def test_images_with_telling_names(tmp_path: Path) -> None:
    source = tmp_path / "images"
    rows = [
        {"file": f"{STEM}/{NUMBER}-{n}.png", "patient_id": f"{STEM}{n}", "study_id": f"{ROOT}.{n}"} for n in range(4)
    ]
    rows = [row | {"insurance": STEM, "race": f"{STEM} White", "population": STEM, "site": STEM} for row in rows]
    (source / STEM).mkdir(parents=True)
    for number, row in enumerate(rows[:2]):
        cv2.imwrite(str(source / row["file"]), film(number).astype(np.uint8))
    (source / rows[2]["file"]).write_text(f"{STEM} is no image")  # and the last is missing
    with (source / "images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    arguments = ("ingest", str(source), "--out", str(tmp_path / "out"), "--shorter-side", "64", "--workers", "1")
    code, told = raydino(tmp_path, *arguments)
    assert code == 0, told.decode()
    assert leaks(iter([("what ingest said", told), *given_away(tmp_path / "out")])) == []


def test_overlays_and_unused_bits_do_not_show(tmp_path: Path, make_dataset: Any, lenient: None) -> None:
    """Text in an overlay plane, or in the bits above BitsStored (retired PS3.3 C.9.2), is not in the film."""
    plain = film(1)
    drawn = np.zeros(plain.shape, np.uint8)
    cv2.putText(drawn, STEM, (2, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (1,), 2)
    for name in ("plain", "planted"):
        dataset = make_dataset(plain, bits=12)
        if name == "planted":
            words = np.frombuffer(dataset.PixelData, "<u2").reshape(plain.shape) | (drawn.astype("<u2") << 14)
            dataset.PixelData = words.astype("<u2").tobytes()
            dataset.add_new(0x60000010, "US", plain.shape[0])
            dataset.add_new(0x60000011, "US", plain.shape[1])
            dataset.add_new(0x60000040, "CS", "G")
            dataset.add_new(0x60000050, "SS", [1, 1])
            dataset.add_new(0x60003000, "OB", np.packbits(drawn, bitorder="little").tobytes())
        write(tmp_path / name / "a", dataset)
        code, told = raydino(
            tmp_path, "ingest", str(tmp_path / name), "--out", str(tmp_path / f"{name}-out"), "--shorter-side", "64"
        )
        assert code == 0, told.decode()
    films = [RaydinoDataset.open(tmp_path / f"{name}-out") for name in ("plain", "planted")]
    np.testing.assert_array_equal(*(one.film(one.sample_ids()[0]) for one in films))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.txt", f"x {STEM.lower()} y".encode()),
        ("wide.bin", STEM.encode("utf-16-le")),
        ("coded.json", base64.b64encode(f"a name: {STEM}, {BORN}".encode())),
        ("hex.log", f"{STEM.lower()}".encode().hex().encode()),
        (f"{STEM}.txt", b""),
        ("number.txt", b"id 867530912"),
        ("date.txt", b"taken 2019-08-17"),
    ],
)
def test_the_search_finds_what_is_there(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert leaks(given_away(tmp_path))


def test_the_search_opens_tables_and_pictures(tmp_path: Path) -> None:
    pd.DataFrame({"a": [STEM] * 1000}).to_parquet(tmp_path / "t.parquet", compression="zstd")
    pixels = np.frombuffer((STEM.encode() * 400)[:2304], np.uint8).reshape(48, 48)
    cv2.imwrite(str(tmp_path / "p.png"), pixels)
    found = leaks(given_away(tmp_path))
    assert f"{STEM!r} in t.parquet column a" in found
    assert f"{STEM!r} in p.png pixels" in found


def test_burned_in_names_are_black(tmp_path: Path, make_dataset: Any, lenient: None) -> None:
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    pytest.importorskip("onnxruntime", reason="the extra ocr is not installed")
    from raydino.dicom.burned_in import text_regions

    stored = film(3, 600, 512) // 8 + 60
    names, marker = np.zeros(stored.shape, np.uint8), np.zeros(stored.shape, np.uint8)
    cv2.putText(names, f"{STEM} ZEBULON", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255,), 2)
    cv2.putText(names, "29.02.1956", (20, 560), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255,), 2)
    cv2.putText(marker, "L", (450, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (255,), 4)
    canvas = np.maximum(stored.astype(np.uint8), names | marker)
    assert len(text_regions(canvas)) == 2
    write(tmp_path / "source" / "a", make_dataset(canvas.astype(np.int64)))
    for policy, code in (("black-out", 0), ("quarantine", 2)):
        out = tmp_path / policy
        arguments = ("ingest", str(tmp_path / "source"), "--out", str(out), "--burned-in", policy, "--workers", "1")
        ended, told = raydino(tmp_path, *arguments)
        assert ended == code, told.decode()
    assert b"burned_in 1" in told
    dataset = RaydinoDataset.open(tmp_path / "black-out")
    shown = dataset.film(dataset.sample_ids()[0])
    assert text_regions(shown) == []
    assert shown.shape == canvas.shape
    assert not shown[names > 0].any()
    assert (shown[marker == 255] > 250).all()
    assert (shown == 0).mean() < 0.08
    assert dataset.accepted["detail"].iloc[0] == "burned-in text blacked out in 2 regions"
    assert leaks(given_away(tmp_path / "black-out")) == []
