"""The archive on disk: layout, truth, determinism. One small archive serves all tests (conftest)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest

from raydino.artifacts.header import fingerprint, read_header
from raydino.errors import UserError
from raydino.phantom.archive import ARCHIVE, LABEL_COLUMNS, write_archive
from raydino.phantom.findings import FINDINGS, LABELS, NO_FINDING

FOLDERS = {name: name.lower().replace(" ", "_") for name in FINDINGS}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second archive of the same seed, without the bias and by two workers."""
    out = tmp_path_factory.mktemp("clean") / "archive"
    write_archive(out, patients=6, seed=5, planted_bias=False, workers=2)
    return out


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(clean: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "again", patients=6, seed=5, planted_bias=False, workers=1)
    assert fingerprint(clean) == fingerprint(tmp_path / "again")
    assert (clean / "artifact.json").read_bytes() == (tmp_path / "again" / "artifact.json").read_bytes()


def test_another_seed_gives_other_films_and_another_key(archive: Any, tmp_path: Path) -> None:
    write_archive(tmp_path / "other", patients=1, seed=6)
    assert (tmp_path / "other" / "synthetic.key").read_text() != (archive.path / "synthetic.key").read_text()
    other = pd.read_csv(tmp_path / "other" / "labels.csv")
    assert not set(other["sop_instance_uid"]) & set(archive.labels.index)


def test_header_and_key(archive: Any) -> None:
    header = read_header(archive.path, ARCHIVE)
    assert header.seed == 5
    assert header.config["patients"] == 14
    assert re.fullmatch(r"[0-9a-f]{64}\n", (archive.path / "synthetic.key").read_text())


def test_every_row_is_a_file_and_every_file_a_row_or_a_known_corruption(archive: Any) -> None:
    assert tuple(archive.labels.columns) == LABEL_COLUMNS
    files = {
        p.relative_to(archive.path / "archive").as_posix() for p in (archive.path / "archive").rglob("*") if p.is_file()
    }
    corrupt = {entry["file"] for entry in archive.truth["corrupt_files"]}
    assert files == set(archive.labels["file"]) | corrupt
    assert not set(archive.labels["file"]) & corrupt
    assert {"truncated", "zeroed", "text", "no_pixels"} == {entry["kind"] for entry in archive.truth["corrupt_files"]}


def test_files_agree_with_their_rows(archive: Any) -> None:
    for uid, row in archive.labels.iterrows():
        dataset = archive.dataset(uid)
        assert dataset.SOPInstanceUID == uid
        assert dataset.PatientID == row["patient_id"]
        assert dataset.InstitutionName == row["site"]
        assert dataset.ViewPosition == ("LL" if row["view"] == "LATERAL" else row["view"])
        assert list(dataset.PatientOrientation) == (["P", "F"] if row["view"] == "LATERAL" else ["L", "F"])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_the_validator_finds_no_error_in_any_good_file(archive: Any) -> None:
    for file in archive.labels["file"]:
        command = ["dciodvfy", str(archive.path / "archive" / file)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Error" not in run.stdout + run.stderr, file


def test_labels_are_the_truth_where_they_are_known(archive: Any) -> None:
    for uid, film in archive.truth["films"].items():
        findings = film["findings"]
        present = {
            "Cardiomegaly": findings["cardiomegaly"],
            "Pleural Effusion": bool(findings["effusions"]),
            "Pneumothorax": findings["pneumothorax"] is not None,
            "Consolidation": bool(findings["consolidations"]),
            "Nodule": bool(findings["nodules"]),
        }
        present[NO_FINDING] = not any(present.values())
        known = archive.labels.loc[uid, list(LABELS)].dropna()
        assert all(known[name] == present[name] for name in known.index)


def test_masks_are_there_exactly_for_what_is_present_on_frontal_films(archive: Any) -> None:
    for uid, film in archive.truth["films"].items():
        frontal = film["view"] != "LATERAL"
        dataset = archive.dataset(uid)
        for name in ("lungs", "heart"):
            assert (archive.mask(name, uid) is not None) == frontal
        for name, folder in FOLDERS.items():
            mask, label = archive.mask(folder, uid), archive.labels.loc[uid, name]
            if mask is not None:
                assert mask.shape == (dataset.Rows, dataset.Columns)
                assert set(np.unique(mask)) == {0, 255}
            if not np.isnan(label):
                assert (mask is not None) == (frontal and label == 1)


def test_the_cardiothoracic_ratio_on_masks_is_that_of_the_truth(archive: Any) -> None:
    for uid, film in archive.truth["films"].items():
        if film["view"] != "LATERAL":
            heart, lungs = (np.flatnonzero(archive.mask(name, uid).any(axis=0)) for name in ("heart", "lungs"))
            ratio = np.ptp(heart) / np.ptp(lungs)
            assert ratio == pytest.approx(film["cardiothoracic_ratio"], abs=0.03)
            assert (ratio > 0.515) == film["findings"]["cardiomegaly"]


def test_every_good_film_has_the_report_of_its_study(archive: Any) -> None:
    reports = pd.read_csv(archive.path / "reports.csv").set_index("sop_instance_uid")
    assert set(reports.index) == set(archive.labels.index)
    assert (reports.groupby("study_instance_uid")["text"].nunique() == 1).all()
    assert reports["text"].str.len().between(15, 700).all()


def test_duplicates_are_what_the_truth_says(archive: Any, displayed: Callable[[pydicom.Dataset], np.ndarray]) -> None:
    (exact,), (near,) = archive.truth["exact_duplicates"], archive.truth["near_duplicates"]
    original, copy = (archive.dataset(exact[role]) for role in ("original", "duplicate"))
    np.testing.assert_array_equal(original.pixel_array, copy.pixel_array)
    assert original.SOPInstanceUID != copy.SOPInstanceUID
    original, copy = (archive.dataset(near[role]) for role in ("original", "duplicate"))
    assert original.file_meta.TransferSyntaxUID != copy.file_meta.TransferSyntaxUID
    assert copy.Rows < original.Rows
    assert displayed(copy).mean() == pytest.approx(displayed(original).mean(), abs=0.04)


def test_without_the_bias_no_film_is_faded(clean: Path, archive: Any) -> None:
    import json

    truth = json.loads((clean / "truth.json").read_text())
    assert truth["planted_bias"] is None
    assert {film["effusion_contrast"] for film in truth["films"].values()} == {1.0}
    assert archive.truth["planted_bias"]["finding"] == "Pleural Effusion"
    planted = archive.truth["planted_bias"]
    for film in archive.truth["films"].values():
        stratum = film["sex"] == planted["sex"] and film["site"] == planted["site"]
        assert film["effusion_contrast"] == (planted["contrast_factor"] if stratum else 1.0)


def test_what_exists_is_not_overwritten_unasked(clean: Path) -> None:
    before = fingerprint(clean)
    with pytest.raises(UserError, match="already exists"):
        write_archive(clean, patients=1, seed=0)
    assert fingerprint(clean) == before
