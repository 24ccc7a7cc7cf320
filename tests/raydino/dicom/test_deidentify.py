"""Pseudonyms, keys, and the search for planted identifiers in every byte that ingest gives away."""

from __future__ import annotations

import hashlib
import hmac
import stat
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from raydino.cli import run
from raydino.dicom.deidentify import Pseudonyms, new_key, read_key, stated, write_private
from raydino.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value")  # pydicom, on what is planted
ROOT = "1.2.826.0.1.3680043.9.777"
PLANTED = {
    "PatientName": "Quixotewitz^Zebulon",
    "PatientID": "MRN-8675309",
    "OtherPatientIDs": "ALT-4471199",
    "PatientBirthDate": "19560229",
    "PatientAddress": "12 Nowhere Lane",
    "PatientTelephoneNumbers": "5550199",
    "InstitutionName": "Wyvernshire Infirmary",
    "InstitutionAddress": "1 Wyvern Road",
    "StationName": "XRAYBOX7",
    "ReferringPhysicianName": "Housewright^Gregory",
    "OperatorsName": "Flintlock^Ann",
    "AccessionNumber": "ACC-99117733",
    "StudyID": "STU-5151",
    "StudyDate": "20190817",
    "StudyTime": "174233",
    "ContentDate": "20190818",
    "AcquisitionDateTime": "20190817174234",
    "StudyInstanceUID": f"{ROOT}.41",
    "SeriesInstanceUID": f"{ROOT}.42",
    "FrameOfReferenceUID": f"{ROOT}.43",
    "DeviceSerialNumber": "SN-778899",
    "StudyDescription": "Chest of Quixotewitz",
    "PatientComments": "lives at 12 Nowhere Lane",
    "ImageComments": "seen by Housewright",
}
FILE_NAME = "Quixotewitz_MRN-8675309.dcm"


def planted_words() -> set[str]:
    words = set(PLANTED.values()) | {FILE_NAME, "Quixotewitz", "Zebulon", "Housewright", "8675309", f"{ROOT}.", "1956-"}
    return words | {"PRIVATE-8675309", "2019-08-17", "nested-8675309"}


def plant(write_dicom: Any, path: Path, **attributes: Any) -> Path:
    nested = Dataset()
    nested.CodeMeaning = "nested-8675309"
    write_dicom(path, uid=f"{ROOT}.{len(str(path))}", ProcedureCodeSequence=Sequence([nested]), **PLANTED | attributes)
    return path


def add_private(path: Path) -> None:
    import pydicom

    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x0011, "ACME PRIVATE-8675309", create=True)
    block.add_new(0x01, "LO", "PRIVATE-8675309")
    dataset.save_as(path)


def everything_in(directory: Path) -> str:
    """Names and contents of all files, parquet and tar opened as well as raw."""
    parts = []
    for path in sorted(directory.rglob("*")):
        parts.append(str(path.relative_to(directory)))
        if path.is_dir():
            continue
        parts.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            parts.append(str(table.to_pylist()) + str(table.schema.metadata))
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                parts += [str(member.get_info()) for member in tar]
    return "\n".join(parts)


def test_planted_identifiers_appear_nowhere(
    write_dicom: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    add_private(plant(write_dicom, source / "Quixotewitz" / FILE_NAME))
    plant(write_dicom, source / "b", PatientAge="063Y", PatientSex="M")
    plant(write_dicom, source / "c", Modality="CT")
    plant(write_dicom, source / "d", BodyPartExamined="Quixotewitz", StudyDescription="Quixotewitz")
    plant(write_dicom, source / "e", PhotometricInterpretation="QUIXOTEWITZ")
    plant(write_dicom, source / "f", BitsStored=99)
    plant(write_dicom, source / "g", ViewPosition="MRN-8675309", PatientOrientation=["Quixotewitz", "8675309"])
    (source / "h").write_bytes((source / "b").read_bytes()[:-100])
    (source / "i").write_bytes((source / "b").read_bytes()[:900])
    (source / "j").write_bytes((source / "b").read_bytes())
    (source / "MRN-8675309.txt").write_text("Quixotewitz")
    assert run(["ingest", str(source), "--out", str(tmp_path / "out"), "--shorter-side", "16", "--workers", "2"]) == 0
    assert run(["inspect", str(tmp_path / "out")]) == 0
    told = capfd.readouterr()
    content = everything_in(tmp_path / "out")
    assert "site-" in content
    for word in planted_words():
        assert word.casefold() not in content.casefold(), word
        assert word.casefold() not in (told.out + told.err).casefold(), word


def test_nothing_accepted_tells_nothing(write_dicom: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plant(write_dicom, tmp_path / "source" / FILE_NAME, Modality="CT")
    assert run(["ingest", str(tmp_path / "source"), "--out", str(tmp_path / "out")]) == 2
    told = "".join(capfd.readouterr())
    assert "no chest radiograph found among 1 files (modality 1)" in told
    assert not [word for word in planted_words() if word.casefold() in told.casefold()]


def test_the_institution_is_kept_on_request(write_dicom: Any, tmp_path: Path) -> None:
    plant(write_dicom, tmp_path / "source" / "a")
    arguments = ["ingest", str(tmp_path / "source"), "--out", str(tmp_path / "out"), "--retain-institution"]
    assert run(arguments) == 0
    content = everything_in(tmp_path / "out")
    assert "Wyvernshire Infirmary" in content
    assert "Quixotewitz" not in content


def test_pseudonyms_are_hmac_sha256_with_a_domain_each() -> None:
    pseudonyms = Pseudonyms(bytes(range(32)))
    expected = hmac.new(bytes(range(32)), b"patient\x00P1", hashlib.sha256).hexdigest()[:16]
    assert pseudonyms.patient("P1") == expected
    assert len({pseudonyms.patient("P1"), pseudonyms.sample("P1"), pseudonyms.study("P1")}) == 3
    assert Pseudonyms(bytes(32)).patient("P1") != expected


def test_sites() -> None:
    pseudonyms = Pseudonyms(bytes(32))
    assert pseudonyms.site("St.  Mary ", retain=True) == "St. Mary"
    hidden = pseudonyms.site("St. Mary", retain=False)
    assert hidden == pseudonyms.site("ST. MARY", retain=False)
    assert hidden.startswith("site-")
    assert len(hidden) == 11
    assert pseudonyms.site("", retain=False) == pseudonyms.site("?", retain=True) == "UNKNOWN"


@pytest.mark.parametrize(("given", "kept"), [(" South  Korea ", "South Korea"), ("?", "UNKNOWN"), ("n/a", "UNKNOWN")])
def test_stated(given: str, kept: str) -> None:
    assert stated(given) == kept


def test_keys(tmp_path: Path) -> None:
    key = new_key()
    path = tmp_path / "key"
    write_private(path, key.hex() + "\n")
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key"]
    for text in ("", "abc", "zz" * 32, "00" * 8, "é" * 40):
        path.write_text(text)
        with pytest.raises(UserError, match="is not a key"):
            read_key(path)
    with pytest.raises(UserError, match="cannot be written"):
        write_private(tmp_path / "no" / "where", "x")
