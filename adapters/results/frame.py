"""What the objects of one film share: the series they stand in, the device that made them, and fixed dates.

An object made twice is the same to the byte: its identifiers follow from film and model, its dates are the film's.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from pydicom.dataset import Dataset

from adapters.results.codes import PRIVATE
from adapters.results.model import Model
from raydino.data.film_source import FilmSource
from raydino.errors import UserError

NOTICE = "Research use only, never a diagnosis"
MANUFACTURER = "raydino"


def require_highdicom() -> None:
    """Raise UserError where it, or what draws the page, is not installed."""
    for package in ("highdicom", "reportlab"):
        if find_spec(package) is None:
            raise UserError(f"results in DICOM need {package}", remedy="pip install 'raydino[reading-room]'")


def frame(source: FilmSource, model: Model, what: str, number: int) -> dict[str, Any]:
    """What highdicom's objects have in common as arguments; ``what`` is SEG, SR or PDF, ``number`` its series'."""
    return {
        "series_instance_uid": model.uid(source.sop_instance_uid, f"{what} series"),
        "series_number": number,
        "series_description": f"raydino {what}: {NOTICE}",
        "sop_instance_uid": model.uid(source.sop_instance_uid, what),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": "raydino",
        "software_versions": model.version,
        "device_serial_number": model.fingerprint[:16],
        "content_date": source.date,
        "content_time": source.time,
        "series_date": source.date,
        "series_time": source.time,
        "specific_character_set": "ISO_IR 192",
    }


@contextmanager
def quietly() -> Iterator[None]:
    """Without the messages of highdicom and pydicom, which quote the patient's name and other values."""
    loggers = [logging.getLogger(name) for name in ("highdicom", "pydicom")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def finish(made: Dataset, source: FilmSource) -> None:
    """In place: the film's date and time wherever the library put those of now, and whose the private codes are."""
    made.InstanceCreationDate, made.InstanceCreationTime = source.date, source.time
    for equipment in made.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE
    scheme.CodingSchemeName = "raydino"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    made.CodingSchemeIdentificationSequence = [scheme]
