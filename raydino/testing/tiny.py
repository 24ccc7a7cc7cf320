"""Tiny artifacts for tests, ours and third parties': a dataset of small phantoms and a random encoder.

A film is a grey body with two dark lungs and a bright heart; an effusion whitens the lungs' base, a
nodule is a bright dot, a large heart is cardiomegaly. Labels, masks and reports tell the truth, with
some left unknown, so that every adapter has something to learn within a second.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from raydino.artifacts.dataset import DATASET, DEMOGRAPHICS, LABELS, MANIFEST, MEASUREMENTS, REPORTS, Dataset
from raydino.artifacts.encoder import EncoderCard
from raydino.artifacts.header import creating
from raydino.artifacts.images import ShardWriter, encode_png
from raydino.encoder import Encoder, save_encoder
from raydino.nn.vit import VisionTransformer, ViTConfig

PIXELS = {"shorter_side": 48, "bits": 8}
LABEL_NAMES = ("No Finding", "Cardiomegaly", "Pleural Effusion", "Nodule")
STRUCTURES = ("heart", "lungs")
ROWS, COLS = 56, 48
_SPLITS = ("train", "train", "train", "val", "test")
_VIEWS = ("PA", "PA", "PA", "AP", "PA", "PA", "UNKNOWN", "PA", "PA", "AP", "LATERAL")  # 11: no multiple of a split


def tiny_dataset(path: str | Path, *, n_patients: int = 20, seed: int = 0, overwrite: bool = False) -> Dataset:
    """Write a dataset artifact at ``path``: two films a patient, [56, 48] uint8, and one rejected row.

    Three fifths of the patients are train, one fifth each val and test. Every eleventh film is LATERAL and
    every eleventh of unknown view; every seventh has no masks, every eighth no spacing, every ninth no
    report, a label is unknown (NaN) on every eleventh, and the cardiothoracic ratio on every thirteenth.
    """
    path = Path(path)
    rng = np.random.default_rng(seed)
    config = {"pixels": PIXELS, "labels": list(LABEL_NAMES), "structures": list(STRUCTURES)}
    with creating(path, DATASET, config=config, seed=seed, overwrite=overwrite) as directory:
        rows, people, labels, reports, ratios = [], [], [], [], []
        for structure in STRUCTURES:
            (directory / "masks" / structure).mkdir(parents=True)
        with ShardWriter(directory / "images") as shards:
            for index in range(2 * n_patients):
                patient, findings = index // 2, rng.random(3) < 0.4
                sample_id, patient_id = f"s{index:04d}", f"p{patient:04d}"
                film, masks = phantom(findings, rng)
                location = shards.add(sample_id, encode_png(film))
                rows.append(_row(sample_id, patient_id, index, film) | location.__dict__)
                if index % 7 != 3:
                    for structure, mask in masks.items():
                        png = encode_png(mask.astype(np.uint8) * 255)
                        (directory / "masks" / structure / f"{sample_id}.png").write_bytes(png)
                if index % 13 != 6:
                    heart, lungs = (np.ptp(np.flatnonzero(masks[name].any(axis=0))) + 1 for name in STRUCTURES)
                    ratios.append({"sample_id": sample_id, "cardiothoracic_ratio": float(heart / lungs)})
                people.append(_person(sample_id, patient_id, patient, rng))
                values = [float(not findings.any()), *findings.astype(float)]
                if index % 11 == 5:
                    values[1 + index % 3] = np.nan
                labels.append({"sample_id": sample_id, **dict(zip(LABEL_NAMES, values, strict=True))})
                if index % 9 != 4:
                    text = report_of(findings, rng)
                    reports.append({"sample_id": sample_id, "study_id": f"t{patient:04d}", "text": text})
        rows.append({"sample_id": "rejected", "source": "tiny", "status": "rejected", "reason": "not_chest"})
        frame = pd.DataFrame(rows).reindex(columns=[c.name for c in MANIFEST.columns])
        MANIFEST.write(frame, directory / "manifest.parquet")
        DEMOGRAPHICS.write(pd.DataFrame(people), directory / "demographics.parquet")
        LABELS.write(pd.DataFrame(labels), directory / "labels.parquet")
        MEASUREMENTS.write(pd.DataFrame(ratios), directory / "measurements.parquet")
        REPORTS.write(pd.DataFrame(reports), directory / "reports.parquet")
    return Dataset.open(path)


def tiny_encoder(
    path: str | Path, *, seed: int = 0, image_size: int = 32, patch_size: int = 8, overwrite: bool = False
) -> Encoder:
    """Write an encoder artifact at ``path``: a random ViT of width 32, two blocks and one register."""
    config = ViTConfig(image_size=image_size, patch_size=patch_size, embed_dim=32, depth=2, n_heads=2, n_registers=1)
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(seed))
    card = EncoderCard(vit=config.resolved(), pixels=PIXELS, mean=0.4, std=0.25, steps=0)
    save_encoder(Path(path), vit, card, inputs={}, overwrite=overwrite)
    return Encoder.load(path)


def phantom(
    findings: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], dict[str, npt.NDArray[np.bool_]]]:
    """A film [56, 48] uint8 with cardiomegaly, effusion and nodule as asked, and its masks by structure."""
    large_heart, effusion, nodule = findings
    shift = rng.integers(-2, 3, size=2)
    lungs, heart = np.zeros((ROWS, COLS), np.uint8), np.zeros((ROWS, COLS), np.uint8)
    for centre in (13, 35):
        cv2.ellipse(lungs, (centre + int(shift[0]), 26 + int(shift[1])), (8, 17), 0, 0, 360, 1, -1)
    heart_width = 12 if large_heart else 7
    cv2.ellipse(heart, (26 + int(shift[0]), 35 + int(shift[1])), (heart_width, 8), 0, 0, 360, 1, -1)
    film = np.full((ROWS, COLS), 150.0)
    film[lungs > 0] = 60.0
    film[heart > 0] = 200.0
    if effusion:
        base = np.arange(ROWS)[:, None] > 34 + shift[1]
        film[(lungs > 0) & base & (heart == 0)] = 170.0
    if nodule:
        cv2.circle(film, (13 + int(shift[0]), int(rng.integers(16, 30))), 3, (230.0,), -1)
    film += rng.normal(0, 6, film.shape)
    return film.clip(0, 255).astype(np.uint8), {"heart": heart > 0, "lungs": lungs > 0}


def report_of(findings: npt.NDArray[np.bool_], rng: np.random.Generator) -> str:
    """A short report that says which of cardiomegaly, effusion and nodule are there."""
    pairs = (
        ("The heart is enlarged.", "Heart size is normal."),
        ("There is a pleural effusion.", "No pleural effusion."),
        ("A nodule is seen in the right lung.", "No nodule."),
    )
    opening = ("Chest radiograph.", "Frontal view.")[int(rng.integers(2))]
    return " ".join([opening, *(pair[0 if found else 1] for pair, found in zip(pairs, findings, strict=True))])


def _row(sample_id: str, patient_id: str, index: int, film: npt.NDArray[np.uint8]) -> dict[str, object]:
    return {
        "sample_id": sample_id,
        "patient_id": patient_id,
        "study_id": f"t{index // 2:04d}",
        "study_year": 2019.0 + index // 2 % 3,
        "source": "tiny",
        "split": _SPLITS[index // 2 % len(_SPLITS)],
        "modality": "DX",
        "manufacturer": ("SIEMENS", "OTHER")[index // 2 % 2],
        "view": _VIEWS[index % len(_VIEWS)],
        "rows": float(film.shape[0]),
        "cols": float(film.shape[1]),
        "bits_stored": 8.0,
        "spacing_mm": None if index % 8 == 6 else 5.0,
        "photometric": "MONOCHROME2",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "voi": "none",
        "content_sha256": hashlib.sha256(film.tobytes()).hexdigest(),
        "status": "accepted",
    }


def _person(sample_id: str, patient_id: str, patient: int, rng: np.random.Generator) -> dict[str, object]:
    return {
        "sample_id": sample_id,
        "patient_id": patient_id,
        "age_years": None if patient % 9 == 8 else float(rng.integers(18, 90)),
        "sex": ("F", "M", "F", "M", "UNKNOWN")[patient % 5],
        "population": "UNKNOWN",
        "site": ("north", "south")[patient % 2],
        "race": "UNKNOWN",
        "insurance": "UNKNOWN",
    }
