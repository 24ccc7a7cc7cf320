"""Readers of public data sets through the whole of ingest: one of DICOM, one of images; and what is trained on."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset as DicomDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from raydino.artifacts.dataset import Dataset
from raydino.config import parse_config
from raydino.data.films import Films
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.readers.cohort import train_or_val
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.run import pretrain

SMALL = PixelRecipe(shorter_side=16)
RECIPE = {
    "seed": 3,
    "steps": 4,
    "batch_size": 7,
    "vit": {"image_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "n_heads": 2, "layerscale_init": 0.1},
    "augmentation": {"policy": "crop_resize", "options": {"global_size": 16, "local_size": 8, "n_locals": 2}},
    "head": {"hidden_dim": 16, "bottleneck_dim": 8, "n_prototypes": 32},
    "optimizer": {"peak_lr": 1e-3, "warmup_steps": 1, "frozen_prototypes_steps": 1},
}
FINDINGS = "Aortic enlargement,Pleural effusion,Other lesion,No finding"


def pixels(number: int) -> Any:
    row, col = np.mgrid[0:40, 0:32]
    return np.clip(3 * row + 2 * col + np.random.default_rng(number).integers(0, 30, (40, 32)), 0, 255).astype(np.uint8)


def silent_dicom(path: Path, number: int, **attributes: Any) -> None:
    """As VinDr-CXR's: nothing of modality, body part or patient."""
    film = DicomDataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.Rows, film.Columns, film.SamplesPerPixel = 40, 32, 1
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in attributes.items():
        setattr(film, keyword, value)
    film.PixelData = pixels(number).tobytes()
    film["PixelData"].VR = "OB"
    path.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(path, enforce_file_format=False)


def by_split(dataset: Dataset) -> dict[str, int]:
    return dataset.accepted["split"].value_counts().to_dict()


def test_dicom_films_without_modality_and_body_part(tmp_path: Path) -> None:
    root = tmp_path / "vindr-cxr"
    train = [f"t{number}" for number in range(40)]
    rows = [f"{name},R{reader},{int(reader < 2)},0,0,0\n" for name in train for reader in range(3)]
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/image_labels_train.csv").write_text(f"image_id,rad_ID,{FINDINGS}\n" + "".join(rows))
    tested = "".join(f"x{number},0,1,0,0\n" for number in range(5))
    (root / "annotations/image_labels_test.csv").write_text(f"image_id,{FINDINGS}\n" + tested)
    for number, name in enumerate(train[1:]):
        silent_dicom(root / f"train/{name}.dicom", number, PatientSex="F", PatientAge="050Y")
    for number in range(4):
        silent_dicom(root / f"test/x{number}.dicom", 1000 + number)
    silent_dicom(root / "test/x4.dicom", 2000, Modality="CT")
    ingest(root, tmp_path / "out", IngestOptions(recipe=SMALL))
    dataset = Dataset.open(tmp_path / "out")
    validated = sum(train_or_val(f"train/{name}") == "val" for name in train[1:])
    assert validated > 0
    assert by_split(dataset) == {"train": 39 - validated, "val": validated, "test": 4}
    rejected = dataset.manifest[dataset.manifest["status"] == "rejected"]
    assert dict(rejected["reason"].value_counts()) == {"unreadable": 1, "modality": 1}
    assert set(dataset.manifest["source"]) == {"vindr-cxr"}
    assert dataset.accepted["patient_id"].nunique() == 43
    assert dataset.label_names == ("No Finding", "Pleural Effusion", "Aortic Enlargement")
    in_test = dataset.labels.loc[dataset.sample_ids("test")]
    assert in_test["Pleural Effusion"].tolist() == [1.0] * 4
    people = dataset.demographics
    assert set(people["population"]) == {"Vietnam"}
    assert set(people.loc[dataset.sample_ids("train"), "sex"]) == {"F"}
    assert set(people.loc[dataset.sample_ids("train"), "age_years"]) == {50.0}


@pytest.fixture(scope="module")
def mimic(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve patients of two films; the last four are test, the one before validation."""
    root = tmp_path_factory.mktemp("mimic") / "mimic-cxr-jpg"
    metadata = "dicom_id,subject_id,study_id,ViewPosition,StudyDate,ViewCodeSequence_CodeMeaning\n"
    split = "dicom_id,study_id,subject_id,split\n"
    labels = "subject_id,study_id,Cardiomegaly,No Finding\n"
    for patient in range(12):
        subject, study = 10_000_000 + patient, 50_000_000 + patient
        part = "test" if patient > 7 else "validate" if patient == 7 else "train"
        labels += f"{subject},{study},{'1.0,' if patient % 2 else ',1.0'}\n"
        for number in range(2):
            film = f"{patient:08x}-{number}"
            metadata += f"{film},{subject},{study},{'PA' if number else 'LATERAL'},21500101,\n"
            split += f"{film},{study},{subject},{part}\n"
            path = root / f"files/p10/p{subject}/s{study}/{film}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), pixels(2 * patient + number))
    for name, text in (("metadata", metadata), ("split", split), ("chexpert", labels)):
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    (root / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year\n"
        + "".join(f"{10_000_000 + patient},M,{40 + patient},2150\n" for patient in range(12))
    )
    out = root.parent / "out"
    ingest(root, out, IngestOptions(recipe=SMALL))
    return Dataset.open(out)


def test_image_films_with_splits_labels_and_demographics(mimic: Dataset) -> None:
    assert by_split(mimic) == {"train": 14, "val": 2, "test": 8}
    mimic.require_disjoint_patients()
    assert set(mimic.accepted["view"]) == {"PA", "LATERAL"}
    assert set(mimic.accepted["official_split"]) == {"train", "val", "test"}
    assert sorted(set(mimic.demographics["age_years"])) == [float(age) for age in range(40, 52)]
    assert mimic.demographics["site"].nunique() == 1
    assert not mimic.labels.isna().to_numpy().any()


def test_pretraining_sees_no_film_of_the_official_test_set(
    mimic: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder that has seen the test films cannot be tested on them."""
    seen: set[str] = set()

    class Recording(Films):
        def __getitem__(self, index: int) -> Any:
            seen.add(self.sample_ids[index])
            return super().__getitem__(index)

    monkeypatch.setattr("raydino.ssl.run.Films", Recording)
    monkeypatch.setattr("raydino.train.probe.Films", Recording)
    config = parse_config({"recipe": RECIPE, "runtime": {"n_workers": 0, "probe_every_steps": 4}}, PretrainConfig)
    options = {"resume": False, "overwrite": False, "stop_after": None, "stop": threading.Event()}
    pretrain(config, mimic, tmp_path / "run", **options)
    official = mimic.accepted["official_split"]
    assert seen == set(official.index[official != "test"])
