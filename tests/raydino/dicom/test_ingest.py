"""Ingest from end to end, by its function."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import read_header
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.screen import REASONS
from raydino.dicom.splits import split_by_hash
from raydino.errors import UserError

SMALL = PixelRecipe(shorter_side=16)


def options(**changes: Any) -> IngestOptions:
    return IngestOptions(recipe=SMALL, **changes)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("00112233445566778899aabbccddeeff" * 2)
    return path


@pytest.fixture
def archive(tmp_path: Path, write_dicom: Any) -> Path:
    """Six films of five patients, two copies, and four files that are none."""
    root = tmp_path / "archive"
    write_dicom(root / "one" / "a", uid="1.2.1", PatientID="A", PatientAge="040Y", PatientSex="F")
    write_dicom(root / "one" / "b.dcm", uid="1.2.2", PatientID="A", ViewPosition="LL", InstitutionName="St. Elsewhere")
    write_dicom(root / "two" / "c", uid="1.2.3", PatientID="B", CountryOfResidence="Peru", PatientSex="M")
    write_dicom(root / "two" / "d", uid="1.2.4", PatientID="C", ViewPosition="")
    write_dicom(root / "two" / "e", uid="1.2.5", PatientID="")
    write_dicom(root / "two" / "f", uid="1.2.6", PatientID="D")
    copy = (root / "one" / "a").read_bytes()
    (root / "zz same file again").write_bytes(copy)
    write_dicom(root / "same pixels", uid="1.2.9", PatientID="Z")
    pixels = copy[copy.index(b"\xe0\x7f\x10\x00") :]
    other = (root / "same pixels").read_bytes()
    (root / "same pixels").write_bytes(other[: other.index(b"\xe0\x7f\x10\x00")] + pixels)
    write_dicom(root / "hand", uid="1.2.7", BodyPartExamined="HAND")
    write_dicom(root / "ct", uid="1.2.8", Modality="CT")
    (root / "broken").write_bytes(copy[:-50])
    (root / "notes.txt").write_text("no film")
    (root / "DICOMDIR").write_bytes(copy)
    (root / ".hidden").write_bytes(copy)
    return root


def test_everything_is_accounted_for(archive: Path, tmp_path: Path) -> None:
    summary = ingest(archive, tmp_path / "out", options(workers=2))
    dataset = Dataset.open(tmp_path / "out")
    manifest = dataset.manifest
    assert len(manifest) == 12
    assert manifest.index.is_unique
    assert (summary.accepted, summary.patients) == (6, 5)
    assert summary.rejected == {"duplicate": 2, "not_chest": 1, "modality": 1, "unreadable": 1, "not_dicom": 1}
    assert set(manifest["reason"].dropna()) <= REASONS.keys()
    assert (manifest["reason"].isna() == (manifest["status"] == "accepted")).all()
    duplicates = manifest[manifest["reason"] == "duplicate"]
    assert set(duplicates["detail"]) == {
        "the same SOP Instance UID and content as another film",
        "the same content as another film",
    }
    assert set(duplicates["duplicate_of"]) <= set(dataset.sample_ids())
    dataset.require_disjoint_patients()
    assert dataset.film(dataset.sample_ids()[0]).shape == (19, 16)
    assert dataset.header.config["pixels"] == SMALL.resolved()


def test_what_is_known_of_each_film(archive: Path, tmp_path: Path, key: Path) -> None:
    crosswalk = tmp_path / "crosswalk.csv"
    ingest(archive, tmp_path / "out", options(key=key, crosswalk=crosswalk))
    dataset = Dataset.open(tmp_path / "out")
    names = pd.read_csv(crosswalk, dtype=str, keep_default_na=False).set_index("path")
    assert len(names) == 12
    assert names.loc["one/a", "patient_id"] == "A"
    assert names.loc["two/c", "sop_instance_uid"] == "1.2.3"
    people, films = dataset.demographics, dataset.accepted
    first, second = names.loc["one/a", "sample_id"], names.loc["one/b.dcm", "sample_id"]
    assert (people.loc[first, "age_years"], people.loc[first, "sex"]) == (40, "F")
    assert (people.loc[first, "population"], people.loc[first, "site"]) == ("UNKNOWN", "UNKNOWN")
    assert people.loc[second, "site"].startswith("site-")
    assert people.loc[names.loc["two/c", "sample_id"], "population"] == "Peru"
    assert (films.loc[first, "view"], films.loc[second, "view"]) == ("PA", "LATERAL")
    assert films.loc[names.loc["two/d", "sample_id"], "view"] == "UNKNOWN"
    assert films.loc[first, "patient_id"] == films.loc[second, "patient_id"]
    assert films.loc[first, "split"] == split_by_hash("A", 0)
    assert stat.S_IMODE(crosswalk.stat().st_mode) == 0o600


def test_same_key_same_bytes_whatever_the_workers(archive: Path, tmp_path: Path, key: Path) -> None:
    ingest(archive, tmp_path / "one", options(key=key, workers=1))
    ingest(archive, tmp_path / "three", options(key=key, workers=3))
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "three") for p in (tmp_path / "three").rglob("*") if p.is_file())
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "three" / file).read_bytes(), file


def test_another_key_gives_other_names_but_the_same_splits(archive: Path, tmp_path: Path, key: Path) -> None:
    ingest(archive, tmp_path / "one", options(key=key, crosswalk=tmp_path / "one.csv"))
    ingest(archive, tmp_path / "two", options(crosswalk=tmp_path / "two.csv"))
    one, two = (Dataset.open(tmp_path / name) for name in ("one", "two"))
    assert not set(one.manifest.index) & set(two.manifest.index)
    assert one.header.fingerprint != two.header.fingerprint
    paths = [pd.read_csv(tmp_path / f"{n}.csv", dtype=str).set_index("sample_id")["path"] for n in ("one", "two")]
    splits = [d.accepted["split"].rename(p).sort_index().to_dict() for d, p in zip((one, two), paths, strict=True)]
    assert splits[0] == splits[1]


def test_a_key_is_made_private_and_used_again(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = ingest(archive, out, options())
    assert summary.key == tmp_path / "out.key"
    assert stat.S_IMODE(summary.key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(summary.key.read_text().strip())) == 32
    first = read_header(out).fingerprint
    ingest(archive, out, options(overwrite=True))
    assert read_header(out).fingerprint == first


def test_labels_reports_and_masks(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "sop_instance_uid,patient_id,site,view,split,Effusion,Nodule,grade,empty\n"
        "1.2.1,A,here,PA,test,1,,mild,\n1.2.2,A,here,,test,0,0,,\n1.2.4,C,there,AP,val,,1,,\n1.2.77,Q,x,,,1,1,,\n"
    )
    (tmp_path / "reports.csv").write_text("study_instance_uid,text\n1.2.1.1,No effusion.\n9.9,Nobody's\n")
    (tmp_path / "masks" / "heart").mkdir(parents=True)
    mask = np.zeros((24, 20), np.uint8)
    mask[6:18, 5:15] = 255
    cv2.imwrite(str(tmp_path / "masks" / "heart" / "1.2.1.png"), mask)
    cv2.imwrite(str(tmp_path / "masks" / "heart" / "1.2.99.png"), mask)
    beside = {name: tmp_path / f"{name}.csv" for name in ("labels", "reports", "crosswalk")}
    summary = ingest(archive, tmp_path / "out", options(masks=tmp_path / "masks", retain_institution=True, **beside))
    assert summary.labels == {"Effusion": (1, 1, 4), "Nodule": (1, 1, 4)}
    assert summary.left_out == {"grade": "holds values other than 1, 0 and empty", "empty": "is empty"}
    assert (summary.rows_without_film, summary.films_without_row) == (1, 3)
    assert (summary.reports, summary.reports_without_film) == (1, 1)
    assert (summary.masks, summary.masks_without_film) == ({"heart": 1}, 1)
    dataset = Dataset.open(tmp_path / "out")
    ids = pd.read_csv(beside["crosswalk"], dtype=str).set_index("path")["sample_id"]
    assert dataset.label_names == ("Effusion", "Nodule")
    assert dataset.labels.loc[ids["one/a"], "Effusion"] == 1
    assert np.isnan(dataset.labels.loc[ids["one/a"], "Nodule"])
    assert dataset.labels.loc[ids["two/c"]].isna().all()
    assert dataset.reports.loc[ids["one/a"], "text"] == "No effusion."
    # 24 × 20 becomes 19 × 16: rows 6..18 of 24 are 4.75..14.25 of 19, columns 5..15 of 20 are 4..12 of 16
    expected = np.zeros((19, 16), bool)
    expected[5:14, 4:12] = True
    np.testing.assert_array_equal(dataset.mask("heart", ids["one/a"]), expected)
    assert dataset.mask("heart", ids["two/c"]) is None
    people, films = dataset.demographics, dataset.accepted
    assert people.loc[ids["one/a"], "site"] == "here"  # the header is silent, so the CSV speaks
    assert people.loc[ids["one/b.dcm"], "site"] == "St. Elsewhere"
    assert films.loc[ids["two/d"], "view"] == "AP"
    assert list(films.loc[[ids["one/a"], ids["one/b.dcm"], ids["two/d"]], "split"]) == ["test", "test", "val"]


def test_measurements_of_the_labels_csv_are_kept(archive: Path, tmp_path: Path, key: Path) -> None:
    (tmp_path / "labels.csv").write_text("sop_instance_uid,cardiothoracic_ratio,Effusion\n1.2.1,0.52,1\n1.2.2,,0\n")
    ingest(archive, tmp_path / "out", options(labels=tmp_path / "labels.csv", key=key))
    dataset = Dataset.open(tmp_path / "out")
    known = dataset.measurements["cardiothoracic_ratio"].dropna()
    assert list(known) == [0.52]
    assert dataset.labels.loc[known.index[0], "Effusion"] == 1
    assert list(dataset.measurements.index) == dataset.sample_ids()
    ingest(archive, tmp_path / "none", options(key=key))
    assert not (tmp_path / "none" / "measurements.parquet").exists()
    assert Dataset.open(tmp_path / "none").measurements.shape == (len(dataset.sample_ids()), 0)


def test_a_torn_patient_stops_it(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("sop_instance_uid,split,L\n1.2.1,train,1\n1.2.2,test,1\n")
    with pytest.raises(UserError, match="different splits"):
        ingest(archive, tmp_path / "out", options(labels=tmp_path / "labels.csv"))
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.key").exists()


def test_images_with_a_csv(tmp_path: Path, ramp: Any) -> None:
    source = tmp_path / "images"
    (source / "deep").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.jpg", "deep/c.tif")):
        cv2.imwrite(str(source / name), np.clip(ramp(30, 40) + 9 * index, 0, 255).astype(np.uint8))
    (source / "images.csv").write_text(
        "file,patient_id,study_id,age_years,sex,population,site,view,split,spacing_mm,Effusion\n"
        "a.png,P1,S1,63,M,Chile,Lab,PA,test,0.4,1\nb.jpg,P1,S1,,F,,Lab,LL,,,0\ndeep/c.tif,P2,,,,,,,,,\ngone.png,P3,,,,,,,,,\n"
    )
    summary = ingest(source, tmp_path / "out", options(crosswalk=tmp_path / "x.csv"))
    assert (summary.accepted, summary.rejected, summary.patients) == (3, {"unreadable": 1}, 2)
    dataset = Dataset.open(tmp_path / "out")
    ids = pd.read_csv(tmp_path / "x.csv", dtype=str).set_index("path")["sample_id"]
    film, person = dataset.accepted.loc[ids["a.png"]], dataset.demographics.loc[ids["a.png"]]
    assert (film["source"], film["view"], film["split"], film["voi"]) == ("images", "PA", "test", "percentile")
    assert film["spacing_mm"] == pytest.approx(0.4 * 30 / 16)
    assert (person["age_years"], person["sex"], person["population"]) == (63, "M", "Chile")
    assert dataset.accepted.loc[ids["b.jpg"], "split"] == "test"  # of the same patient
    assert list(dataset.labels["Effusion"].sort_values()) == [0, 1] or dataset.labels["Effusion"].isna().sum() == 1
    assert dataset.film(ids["a.png"]).shape == (16, 21)


def test_sixteen_bits(archive: Path, tmp_path: Path) -> None:
    ingest(archive, tmp_path / "out", IngestOptions(recipe=PixelRecipe(16, 16)))
    dataset = Dataset.open(tmp_path / "out")
    film = dataset.film(dataset.sample_ids()[0])
    assert film.dtype == np.uint16
    assert film.max() > 60_000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: None, "no such file or directory"),
        (lambda d: d.write_text("x"), "is a file"),
        (lambda d: d.mkdir(), "the directory is empty"),
        (lambda d: (d.mkdir(), (d / "a.txt").write_text("x")), "no chest radiograph found among 1 files (not_dicom 1)"),
    ],
)
def test_bad_sources_leave_nothing(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "source")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        ingest(tmp_path / "source", tmp_path / "out", options())
    assert message in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "nokey"}, "cannot read the key"),
        ({"key": "archive/notes.txt"}, "is not a key"),
        ({"crosswalk": "out/x.csv"}, "must not lie inside the dataset"),
        ({"labels": "archive/notes.txt"}, "lacks a column sop_instance_uid or file"),
        ({"labels": "missing.csv"}, "cannot be read"),
        ({"labels": "archive/one/a"}, "is not a CSV"),
        ({"masks": "archive"}, "holds no masks"),
        ({"reports": "archive/notes.txt"}, "lacks a column"),
    ],
)
def test_bad_options_leave_nothing(archive: Path, tmp_path: Path, changes: dict[str, str], message: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        ingest(archive, tmp_path / "out", options(**{name: tmp_path / value for name, value in changes.items()}))
    assert message in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_existing_dataset_is_not_touched(archive: Path, tmp_path: Path) -> None:
    ingest(archive, tmp_path / "out", options())
    with pytest.raises(UserError, match="already exists"):
        ingest(archive, tmp_path / "out", options())


def test_previews_of_rejected_films_when_asked_for(tmp_path: Path, write_dicom: Any) -> None:
    root = tmp_path / "source"
    write_dicom(root / "chest.dcm")
    write_dicom(root / "hand.dcm", BodyPartExamined="HAND")
    ingest(root, tmp_path / "without", options())
    assert not (tmp_path / "without" / "previews").exists()
    ingest(root, tmp_path / "with", options(previews=True))
    manifest = Dataset.open(tmp_path / "with").manifest
    (rejected,) = manifest.loc[manifest["reason"] == "not_chest", "sample_id"]
    assert [path.stem for path in (tmp_path / "with" / "previews").iterdir()] == [rejected]
