"""The embedded archive on disk: DICOM files, and beside them labels, masks, reports and the truth.

Every patient is drawn from the seed and its own number alone, so any number of workers writes the
same bytes. Neighbours: demographics (who), studio (films), dicom_writer (files), damage (odd files).
"""

from __future__ import annotations

import csv
import hashlib
import io
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from raydino.artifacts.header import Schema, creating, write_json
from raydino.phantom import damage, studio
from raydino.phantom.demographics import Study, sample_patient
from raydino.phantom.dicom_writer import FilmIdentity, dicom_bytes, without_pixels
from raydino.phantom.findings import FINDINGS, LABELS
from raydino.phantom.geometry import Mask
from raydino.phantom.report_text import report_text
from raydino.phantom.stored_values import Encoding, sample_encoding, store
from raydino.phantom.studio import Film, take_film
from raydino.tracking import track

ARCHIVE = Schema("archive", 1)
GENERATOR_VERSION = 3  # raised whenever the same seed gives other bytes
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]  # fast
_UNKNOWN_SHARE = 0.04  # of labels, at random
_PATIENTS, _FILMS, _LABELS, _REPORTS, _ODD = range(5)  # streams of randomness

LABEL_COLUMNS = ("sop_instance_uid", "file", "patient_id", "site", "view", *LABELS)
REPORT_COLUMNS = ("sop_instance_uid", "study_instance_uid", "patient_id", "text")


@dataclass(frozen=True)
class Order:
    """What a worker needs to know to write a patient."""

    directory: Path
    seed: int
    planted_bias: bool
    odd: damage.OddFiles


@dataclass
class Written:
    """What a worker says of a patient that it wrote."""

    labels: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    films: dict[str, dict[str, Any]] = field(default_factory=dict)
    exact_duplicates: list[dict[str, str]] = field(default_factory=list)
    near_duplicates: list[dict[str, str]] = field(default_factory=list)
    corrupt_files: list[dict[str, str]] = field(default_factory=list)


def write_archive(
    out: Path, *, patients: int, seed: int, planted_bias: bool = True, workers: int = 1, overwrite: bool = False
) -> int:
    """Write the archive of ``patients`` patients to ``out`` and return its number of good films.

    The same ``patients``, ``seed`` and ``planted_bias`` give the same bytes. Raises UserError where
    ``out`` exists and may not be replaced.
    """
    config = {"patients": patients, "planted_bias": planted_bias, "generator_version": GENERATOR_VERSION}
    with creating(out, ARCHIVE, config=config, seed=seed, overwrite=overwrite) as directory:
        odd = damage.plan_odd_files(_stream(seed, _ODD), patients)
        order = Order(directory, seed, planted_bias, odd)
        done = list(track(_all_patients(order, patients, workers), "synthesising patients", total=patients))
        _write_csv(directory / "labels.csv", LABEL_COLUMNS, (row for part in done for row in part.labels))
        _write_csv(directory / "reports.csv", REPORT_COLUMNS, (row for part in done for row in part.reports))
        write_json(directory / "truth.json", _truth(order, done))
        key = hashlib.sha256(f"raydino synthetic key {seed}".encode()).hexdigest()
        (directory / "synthetic.key").write_text(key + "\n", encoding="ascii")
    return sum(len(part.labels) for part in done)


def _all_patients(order: Order, patients: int, workers: int) -> Iterator[Written]:
    if workers <= 1:
        for index in range(patients):
            yield write_patient(order, index)
        return
    # spawn: forking a process that already has threads (progress bar, torch) can deadlock
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        yield from pool.map(write_patient, [order] * patients, range(patients), chunksize=4)


def _start_worker() -> None:
    cv2.setNumThreads(1)


def _stream(seed: int, *path: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, *path]))


def write_patient(order: Order, index: int) -> Written:
    """Draw patient ``index`` and write all files of it."""
    patient = sample_patient(_stream(order.seed, _PATIENTS, index), index)
    written = Written()
    for study in patient.studies:
        labels = _labels(_stream(order.seed, _LABELS, index, study.number), study)
        text = report_text(_stream(order.seed, _REPORTS, index, study.number), study.findings, study.views[0])
        for number, view in enumerate(study.views, start=1):
            rng = _stream(order.seed, _FILMS, index, study.number, number)
            film = take_film(rng, patient, study, view, planted_bias=order.planted_bias)
            encoding = sample_encoding(rng, patient.site)
            identity = FilmIdentity(order.seed, patient, study, number, view)
            desk = _Desk(order, written, labels, text)
            desk.file(identity, film, encoding)
            if study.number == 1 and number == 1:
                desk.file_odd(identity, film, encoding, _stream(order.seed, _ODD, index))
    return written


def _labels(rng: np.random.Generator, study: Study) -> dict[str, Any]:
    hidden = rng.random(len(LABELS)) < _UNKNOWN_SHARE
    present = study.findings.present()
    return {name: "" if hide else int(present[name]) for name, hide in zip(LABELS, hidden, strict=True)}


@dataclass(frozen=True)
class _Desk:
    """Where the films of one study are filed."""

    order: Order
    written: Written
    labels: dict[str, Any]
    text: str

    def file(self, identity: FilmIdentity, film: Film, encoding: Encoding) -> bytes:
        """Write one good film with its masks and rows; return the file's bytes."""
        content = dicom_bytes(identity, store(film.brightness, encoding), film.spacing_mm)
        path = self._place(identity, f"IM{_file_number(identity):04d}")
        path.write_bytes(content)
        for name, mask in film.masks.items():
            self._write_mask(name, identity.sop_uid, mask)
        patient, study = identity.patient, identity.study
        row = {
            "sop_instance_uid": identity.sop_uid,
            "file": path.relative_to(self.order.directory / "archive").as_posix(),
            "patient_id": patient.patient_id,
            "site": patient.site.name,
            "view": identity.view,
        }
        self.written.labels.append({**row, **self.labels})
        self.written.reports.append(
            {
                "sop_instance_uid": identity.sop_uid,
                "study_instance_uid": identity.study_uid,
                "patient_id": patient.patient_id,
                "text": self.text,
            }
        )
        self.written.films[identity.sop_uid] = {
            **row,
            "sex": patient.sex,
            "age_years": round(study.age_years, 2),
            "marker": film.marker,
            "effusion_contrast": film.effusion_contrast,
            "cardiothoracic_ratio": round(film.ctr, 4),
            "findings": asdict(study.findings),
            "encoding": asdict(encoding),
        }
        return content

    def file_odd(self, identity: FilmIdentity, film: Film, encoding: Encoding, rng: np.random.Generator) -> None:
        """Write the duplicates and broken files that this patient is to have."""
        odd, index = self.order.odd, identity.patient.index
        names = {"original": identity.sop_uid}
        if index in odd.exact:
            copy = _copy_of(identity, "exact")
            self.file(copy, film, encoding)
            self.written.exact_duplicates.append({**names, "duplicate": copy.sop_uid})
        if index in odd.near:
            copy = _copy_of(identity, "near")
            rows, cols = damage.crop_box(rng, *film.brightness.shape)
            masks = {name: np.ascontiguousarray(mask[rows, cols]) for name, mask in film.masks.items()}
            cropped = replace(film, brightness=film.brightness[rows, cols], masks=masks)
            self.file(copy, cropped, damage.re_export(encoding))
            self.written.near_duplicates.append({**names, "duplicate": copy.sop_uid})
        if index in odd.corrupt:
            kind = odd.corrupt[index]
            copy = _copy_of(identity, kind)
            content = dicom_bytes(copy, store(film.brightness, encoding), film.spacing_mm)
            path = self._place(copy, "IM0090")
            path = path.with_suffix(".dcm") if kind == "text" else path
            path.write_bytes(damage.broken(content, without_pixels(content), kind))
            relative = path.relative_to(self.order.directory / "archive").as_posix()
            self.written.corrupt_files.append({"file": relative, "kind": kind})

    def _place(self, identity: FilmIdentity, name: str) -> Path:
        patient, study = identity.patient, identity.study
        folder = self.order.directory / "archive" / patient.site.folder / patient.patient_id / f"ST{study.number:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (name + patient.site.suffix)

    def _write_mask(self, name: str, sop_uid: str, mask: Mask) -> None:
        folder = self.order.directory / "masks" / name
        folder.mkdir(parents=True, exist_ok=True)
        done, png = cv2.imencode(".png", mask, _PNG)
        if not done:
            raise ValueError(f"cannot encode the mask {name} of {sop_uid}")
        (folder / f"{sop_uid}.png").write_bytes(png.tobytes())


def _copy_of(identity: FilmIdentity, kind: str) -> FilmIdentity:
    return FilmIdentity(identity.seed, identity.patient, identity.study, identity.number, identity.view, kind)


def _file_number(identity: FilmIdentity) -> int:
    return identity.number + {"": 0, "exact": 10, "near": 20}[identity.copy]


def _truth(order: Order, done: list[Written]) -> dict[str, Any]:
    planted = {
        "finding": studio.PLANTED_FINDING,
        "sex": studio.PLANTED_SEX,
        "site": studio.PLANTED_SITE.name,
        "contrast_factor": studio.PLANTED_CONTRAST,
    }
    return {
        "seed": order.seed,
        "generator_version": GENERATOR_VERSION,
        "planted_bias": planted if order.planted_bias else None,
        "findings": list(FINDINGS),
        "exact_duplicates": [pair for part in done for pair in part.exact_duplicates],
        "near_duplicates": [pair for part in done for pair in part.near_duplicates],
        "corrupt_files": [file for part in done for file in part.corrupt_files],
        "films": {uid: film for part in done for uid, film in part.films.items()},
    }


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
