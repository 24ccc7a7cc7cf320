from __future__ import annotations

import io
import itertools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from raydino.phantom.demographics import Patient, sample_patient
from raydino.phantom.dicom_writer import FilmIdentity, dicom_bytes, stable_uid, without_pixels
from raydino.phantom.geometry import Grid, ellipse
from raydino.phantom.stored_values import Encoding, store

SYNTAXES = (
    "ExplicitVRLittleEndian",
    "ImplicitVRLittleEndian",
    "RLELossless",
    "JPEGLSLossless",
    "JPEG2000Lossless",
)
GRID = Grid(120, 90, 3.5, 160.0)
RAMP = np.clip(GRID.y / 420.0 + 0.1 * GRID.x / 160.0, 0.0, 1.0).astype(np.float32)
BRIGHTNESS = np.maximum(RAMP, 0.95 * GRID.cover([ellipse(70.0, 90.0, 40.0, 30.0)]))


@pytest.fixture(scope="module")
def patient() -> Patient:
    return sample_patient(np.random.default_rng(4), 4)


def written(patient: Patient, encoding: Encoding, view: str = "PA") -> bytes:
    identity = FilmIdentity(0, patient, patient.studies[0], 1, view)
    return dicom_bytes(identity, store(BRIGHTNESS, encoding), 3.5)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_decodes_back_to_the_stored_values(patient: Patient, syntax: str, bits: int) -> None:
    encoding = Encoding(True, bits, False, "window", False, syntax, 0.0, 1.0)
    dataset = pydicom.dcmread(io.BytesIO(written(patient, encoding)))
    assert dataset.file_meta.TransferSyntaxUID == getattr(pydicom.uid, syntax)
    np.testing.assert_array_equal(dataset.pixel_array, store(BRIGHTNESS, encoding).values)


ENCODINGS = [
    Encoding(
        is_dx, bits, inverted, voi, table, "ExplicitVRLittleEndian", *((0.0, 1.0) if voi == "none" else (0.06, 0.92))
    )
    for is_dx, bits, inverted, voi, table in itertools.product(
        (True, False), (10, 12, 16), (True, False), ("window", "windows", "sigmoid", "lut", "none"), (False, True)
    )
    if not (is_dx and (voi == "none" or table)) and not (voi == "lut" and table)
]


def name_of(encoding: Encoding) -> str:
    table = "-modality_lut" if encoding.modality_lut else ""
    kind = "DX" if encoding.is_dx else "CR"
    return f"{kind}{encoding.bits}-MONOCHROME{1 if encoding.monochrome1 else 2}-{encoding.voi}{table}"


@pytest.mark.parametrize("encoding", ENCODINGS, ids=name_of)
def test_every_encoding_displays_the_same_film(
    patient: Patient, encoding: Encoding, displayed: Callable[[pydicom.Dataset], np.ndarray]
) -> None:
    dataset = pydicom.dcmread(io.BytesIO(written(patient, encoding)))
    assert np.abs(displayed(dataset) - BRIGHTNESS).max() < 0.012


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_the_validator_finds_no_error_in_any_kind_of_film(patient: Patient, tmp_path: Path) -> None:
    kinds = [(encoding, "PA") for encoding in ENCODINGS]
    kinds += [(Encoding(True, 12, False, "window", False, syntax, 0.0, 1.0), "AP") for syntax in SYNTAXES]
    kinds += [(Encoding(is_dx, 12, True, "lut", False, "RLELossless", 0.0, 1.0), "LATERAL") for is_dx in (True, False)]
    for number, (encoding, view) in enumerate(kinds):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(written(patient, encoding, view))
        run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (run.stdout + run.stderr).splitlines() if "Error" in line]
        assert not errors, (name_of(encoding), view, errors)


def test_attributes_tell_patient_site_and_geometry(patient: Patient) -> None:
    dataset = pydicom.dcmread(
        io.BytesIO(written(patient, Encoding(True, 12, True, "window", False, SYNTAXES[0], 0, 1)))
    )
    assert dataset.Modality == "DX"
    assert dataset.PatientID == "SYN00005"
    assert str(dataset.PatientName) == "SYNTH^00005"
    assert dataset.InstitutionName == patient.site.name
    assert dataset.CountryOfResidence == patient.site.country
    assert dataset.BodyPartExamined == "CHEST"
    assert list(dataset.PatientOrientation) == ["L", "F"]
    assert dataset.PresentationLUTShape == "INVERSE"
    assert [float(v) for v in dataset.PixelSpacing] == [3.5, 3.5]
    age = (dataset.StudyDate, dataset.PatientBirthDate)
    assert int(age[0][:4]) - int(age[1][:4]) - int(dataset.PatientAge[:3]) in (0, 1)


def test_missing_demographics_are_empty_or_absent(patient: Patient) -> None:
    unknown = replace(patient, sex_recorded=False, age_recorded=False)
    dataset = pydicom.dcmread(io.BytesIO(written(unknown, ENCODINGS[0])))
    assert dataset.PatientSex == ""
    assert dataset.PatientBirthDate == ""
    assert "PatientAge" not in dataset


def test_uids_depend_on_their_parts_only() -> None:
    assert stable_uid(1, "image", 2) == stable_uid(1, "image", 2)
    assert stable_uid(1, "image", 2) != stable_uid(1, "image", 3)
    assert len(stable_uid("x")) <= 64


def test_a_header_without_pixels_reads_as_such(patient: Patient) -> None:
    dataset = pydicom.dcmread(io.BytesIO(without_pixels(written(patient, ENCODINGS[0]))))
    assert "PixelData" not in dataset
    assert dataset.Rows == 120
