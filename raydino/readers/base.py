"""The ``Reader`` protocol: what a source of films gives, whatever it is, and the registry of readers.

A reader names images and hands on what the source knows of each; it never decodes. Third parties
register theirs in the entry-point group ``raydino.readers``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from raydino.errors import UserError
from raydino.registry import Registry


@dataclass(frozen=True)
class Known:
    """What a source says about a film beside its pixels; None where it says nothing."""

    patient_id: str | None = None
    study_id: str | None = None
    view: str | None = None
    split: str | None = None  # the official one: train, val or test
    age_years: float | None = None
    sex: str | None = None
    population: str | None = None
    site: str | None = None
    spacing_mm: float | None = None  # between the rows of the source image


@dataclass(frozen=True)
class SourceImage:
    """One image of a source: a file's path, or its bytes, and what else is known."""

    name: str  # unique within the source and the same wherever it lies; never written into a dataset
    path: Path | None = None
    content: bytes | None = None
    is_dicom: bool = True
    known: Known = Known()
    labels: Mapping[str, float | None] = field(default_factory=dict)  # 1 / 0 / None = present / absent / unknown
    report: str | None = None
    masks: Mapping[str, Path] = field(default_factory=dict)  # structure → grayscale file at the image's size


class Reader(Protocol):
    """Made with ``(source, table)``; ``table`` is the CSV of an image source, None elsewhere."""

    labels: tuple[str, ...]  # the ordered label set of the source, empty where it has none
    left_out: Mapping[str, str]  # columns of the source that are no labels, and why

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether ``source`` looks like this reader's."""

    def __len__(self) -> int:
        """How many images will come."""

    def images(self) -> Iterator[SourceImage]:
        """Every image, broken ones included, in an order that depends on the source alone."""


READERS = Registry(
    "reader",
    "raydino.readers",
    {
        "images": "raydino.readers.image_table:ImageTable",
        "dicom": "raydino.readers.dicom_tree:DicomTree",
    },
)


def open_reader(source: Path, name: str | None = None, table: Path | None = None) -> tuple[str, Reader]:
    """The reader called ``name``, or the one that recognises ``source``. Raises UserError."""
    if not source.is_dir():
        what = "is a file, not a directory" if source.exists() else "no such directory"
        raise UserError(what, where=source, remedy="pass the top folder of an archive")
    if name is None and table is not None:
        name = "images"
    if name is None:
        general = ("dicom",)  # takes any directory, so it is asked last
        names = [n for n in READERS.plugins() if n not in general] + list(general)
        name = next(n for n in names if READERS.get(n).recognises(source))
    return name, READERS.get(name)(source, table)
