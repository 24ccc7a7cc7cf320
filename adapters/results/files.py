"""A reading on disk: ``ID.json``, ``ID.seg.dcm`` (where there are masks), ``ID.sr.dcm`` and ``ID.pdf.dcm``.

``ID`` is 16 hex digits that follow from the film's SOP Instance UID and the model, so the same film read again by the
same model gives the same files. The JSON is written last: where it is, the others are whole.

The JSON, schema ``raydino.reading`` version 1::

    schema, version     "raydino.reading", 1
    notice              that this is research, never a diagnosis
    film                sop_instance_uid, study_instance_uid; rows, cols of the stored image
    model               version of raydino, encoder (fingerprint), adapters: [task, kind, labels, fingerprint]
    findings            by label: code, logit (any real), probability (0..1), threshold (0..1 or null),
                        called ("present", "absent", or null without a threshold)
    structures          by structure: code, share (0..1, of the film's area), segment (its number in the DICOM SEG)
    measurements        by name: value, unit (UCUM)
    draft               text, verified (false), contradictions: [sentence, label, reason]; or null
    files               segmentation, report and document: the names of the DICOM files; segmentation is null without
                        masks

A code is {value, scheme, meaning}. The two UIDs are the archive's own: who holds them can find the patient there.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from adapters.reading import Finding, Reading
from adapters.results.codes import finding_code, structure_code, unit_code
from adapters.results.document import document
from adapters.results.frame import NOTICE
from adapters.results.model import Model
from adapters.results.segmentation import segmentation
from adapters.results.structured_report import structured_report
from raydino.artifacts.header import write_json
from raydino.data.film_source import FilmSource
from raydino.errors import UserError

SUFFIXES = {"segmentation": "seg", "report": "sr", "document": "pdf"}


def write_results(out: Path, reading: Reading, source: FilmSource, model: Model) -> Path:
    """Write the files into the folder ``out`` and return the JSON's path.

    Raises UserError where highdicom finds the film's header unfit to be referred to.
    """
    name = result_id(source, model)
    made: dict[str, Dataset | None] = {"segmentation": None}
    try:
        if reading.masks:
            made["segmentation"] = segmentation(reading.masks, source, model)
        made["report"] = structured_report(reading, source, model, made["segmentation"])
        made["document"] = document(reading, source, model)
    except (ValueError, TypeError, AttributeError) as error:  # its message may quote the header
        raise UserError(f"its header is unfit for results in DICOM ({type(error).__name__})") from None
    files = {kind: f"{name}.{suffix}.dcm" for kind, suffix in SUFFIXES.items() if made[kind]}
    for kind, file in files.items():
        _save(made[kind], out / file)
    written = out / f"{name}.json"
    write_json(written, reading_record(reading, source, model) | {"files": {"segmentation": None} | files})
    return written


def result_id(source: FilmSource, model: Model) -> str:
    """16 hex digits for what this model says of that film."""
    return hashlib.sha256(model.uid(source.sop_instance_uid, "result").encode()).hexdigest()[:16]


def reading_record(reading: Reading, source: FilmSource, model: Model) -> dict[str, Any]:
    """All of the JSON but ``files``."""
    header = source.header
    draft = reading.report and {
        "text": reading.report,
        "verified": False,
        "contradictions": [
            {"sentence": one.sentence, "label": one.label, "reason": one.reason} for one in reading.contradictions
        ],
    }
    return {
        "schema": "raydino.reading",
        "version": 1,
        "notice": NOTICE,
        "film": {
            "sop_instance_uid": str(header.SOPInstanceUID),
            "study_instance_uid": str(header.StudyInstanceUID),
            "rows": source.rows,
            "cols": source.cols,
        },
        "model": {
            "version": model.version,
            "encoder": model.encoder,
            "adapters": [asdict(author) for author in model.authors],
        },
        "findings": {label: _finding(label, finding) for label, finding in reading.findings.items()},
        "structures": {
            structure: {"code": _code(structure_code(structure)), "share": float(mask.mean()), "segment": number}
            for number, (structure, mask) in enumerate(reading.masks.items(), start=1)
        },
        "measurements": {
            measured: {"value": float(value), "unit": unit_code(measured).value}
            for measured, value in reading.measurements.items()
        },
        "draft": draft or None,
    }


def _finding(label: str, finding: Finding) -> dict[str, Any]:
    called = {True: "present", False: "absent", None: None}[finding.present]
    return {
        "code": _code(finding_code(label)),
        "logit": finding.logit,
        "probability": finding.probability,
        "threshold": finding.threshold,
        "called": called,
    }


def _code(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme_designator, "meaning": code.meaning}


def _save(made: Dataset | None, path: Path) -> None:
    """Through a temporary name, so that nobody finds half an object."""
    assert made is not None
    partial = path.with_name(f".{path.name}.partial")
    made.save_as(partial, enforce_file_format=True)
    os.replace(partial, path)
