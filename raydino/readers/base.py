"""The ``Reader`` protocol: what a source of films gives, whatever it is, and the registry of readers.

A reader names images and hands on what the source knows of each; it never decodes. Third parties
register theirs in the entry-point group ``raydino.readers``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import numpy as np
import numpy.typing as npt

from raydino.errors import UserError
from raydino.registry import Registry

# Called in a worker process, so they must be picklable: an instance of a frozen dataclass with ``__call__``.
# They raise OSError (its strerror becomes the reason's detail) where the source does not give the bytes,
# and SourceGone where that is no fault of the film.
Opener = Callable[[], BinaryIO]  # seekable
MaskMaker = Callable[[], npt.NDArray[np.bool_]]  # [rows, cols] of the source image
Uncertain = Literal["unknown", "present", "absent"]
LARGEST_FILE_BYTES = 256 * 2**20  # that is taken into memory whole; the largest films have some 100 MB


class SourceGone(ConnectionError):
    """The source itself stopped serving (an outage, a login that ran out): the run stops, no film is rejected."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EHOSTUNREACH, why)


@dataclass(frozen=True)
class Refused:
    """Opens nothing: a file that is there but isn't read. ``why`` quotes neither names nor values."""

    why: str

    def __call__(self) -> BinaryIO:
        raise OSError(errno.EIO, self.why)


@dataclass(frozen=True)
class LocalFile:
    """Opens a file of this machine."""

    path: Path

    def __call__(self) -> BinaryIO:
        return self.path.open("rb")


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
    race: str | None = None  # race or ethnicity, in the source's words
    insurance: str | None = None
    spacing_mm: float | None = None  # between the rows of the source image
    cardiothoracic_ratio: float | None = None


@dataclass(frozen=True)
class RawPixels:
    """The layout of a file that is nothing but pixels (JSRT's ``.IMG``), row by row."""

    rows: int
    cols: int
    dtype: str  # numpy's name with byte order, 8 or 16 bits unsigned: ``>u2``
    bits: int  # of a stored value
    inverted: bool = False  # the lowest value is white


@dataclass(frozen=True)
class SourceImage:
    """One image of a source: exactly one of ``path``, ``content`` and ``opener``, and what else is known."""

    name: str  # unique within the source and the same wherever it lies; never written into a dataset
    path: Path | None = None
    content: bytes | None = None
    opener: Opener | None = None
    is_dicom: bool = True
    raw: RawPixels | None = None  # only where is_dicom is False
    known: Known = Known()
    labels: Mapping[str, float | None] = field(default_factory=dict)  # 1 / 0 / None = present / absent / unknown
    report: str | None = None
    # structure → grayscale file at the image's size, or a maker of the mask
    masks: Mapping[str, Path | MaskMaker] = field(default_factory=dict)
    known_corrupt: str | None = None  # why a file that is known to be broken is not even opened
    chest_film: bool = False  # the publisher says so: a header silent about modality or body part is no fault


@dataclass(frozen=True)
class ReaderOptions:
    """What a user may say to a reader. ``uncertain``: what an uncertain mention counts as."""

    table: Path | None = None  # the CSV of an image source
    uncertain: Uncertain = "unknown"


class Reader(Protocol):
    """Made with ``(source, options)``; ``source`` is a path or an address, as the user gave it."""

    labels: tuple[str, ...]  # the ordered label set of the source, empty where it has none
    left_out: Mapping[str, str]  # columns of the source that are no labels, and why
    notes: Sequence[str]  # a line each: counts that differ from the published ones, files that are missing

    @classmethod
    def recognises(cls, source: str) -> bool:
        """Whether ``source`` looks like this reader's; quick, never raises."""

    def total(self) -> int | None:
        """How many images will come; None where only reading tells."""

    def images(self) -> Iterator[SourceImage]:
        """Every image, broken ones included, in an order that depends on the source alone."""


READERS = Registry(
    "reader",
    "raydino.readers",
    {
        "images": "raydino.readers.image_table:ImageTable",
        "archive": "raydino.readers.archive_file:ArchiveFile",
        "dicomweb": "raydino.readers.dicomweb:DicomWeb",
        "dimse": "raydino.readers.dimse:Dimse",
        "remote": "raydino.readers.remote:Remote",
        "mimic-cxr": "raydino.readers.mimic_cxr:MimicCxr",
        "mimic-cxr-jpg": "raydino.readers.mimic_cxr:MimicCxrJpg",
        "chexpert": "raydino.readers.chexpert:CheXpert",
        "nih14": "raydino.readers.nih14:Nih14",
        "padchest": "raydino.readers.padchest:PadChest",
        "brax": "raydino.readers.brax:Brax",
        "vindr-cxr": "raydino.readers.vindr_cxr:VindrCxr",
        "rsna-pneumonia": "raydino.readers.rsna_pneumonia:RsnaPneumonia",
        "openi": "raydino.readers.openi:OpenI",
        "covid-chestxray": "raydino.readers.covid_chestxray:CovidChestXray",
        "dicom": "raydino.readers.dicom_tree:DicomTree",
        "candid-ptx": "raydino.readers.candid_ptx:CandidPtx",
        "jsrt": "raydino.readers.jsrt:Jsrt",
        "montgomery": "raydino.readers.montgomery:Montgomery",
        "pax-ray": "raydino.readers.pax_ray:PaxRay",
        "shenzhen": "raydino.readers.shenzhen:Shenzhen",
        "siim-acr": "raydino.readers.siim_acr:SiimAcr",
        "vindr-ribcxr": "raydino.readers.vindr_ribcxr:VindrRibCxr",
    },
)


def open_reader(source: str, name: str | None = None, options: ReaderOptions | None = None) -> tuple[str, Reader]:
    """The reader called ``name``, or the first in the registry's order that recognises ``source``.

    Raises UserError. ``dicom`` takes any directory, so it is asked last.
    """
    options = options or ReaderOptions()
    if name is None and options.table is not None:
        name = "images"
    if name is None:
        names = sorted(READERS.plugins(), key=lambda reader: reader == "dicom")
        name = next((n for n in names if READERS.get(n).recognises(source)), None)
    if name is None:
        what = "is a file that no reader knows" if os.path.exists(source) else "no such file or directory"
        if "://" in source:
            what = "no reader knows this kind of address"
        remedy = "pass the top folder of an archive, a zip or tar file, or an address as in docs/sources.md"
        raise UserError(what, where=source, remedy=remedy)
    return name, READERS.get(name)(source, options)


def cohort_of(name: str, reader: Reader) -> str:
    """What the manifest's ``source`` column says: the cohort, whichever way its films came.

    Readers that only bring DICOM from elsewhere have an attribute ``cohort``; so a film has the same
    row whether it lay in a folder, in a zip or in a PACS.
    """
    return getattr(reader, "cohort", name)


def refuse_table(name: str, options: ReaderOptions) -> None:
    """Raises UserError where a reader of DICOM is given the list of an image source."""
    if options.table is not None:
        raise UserError(
            f"--images-csv is for image files, and the {name} reader was chosen",
            remedy="leave one of the two out; labels of DICOM files come with --labels",
        )


def require_directory(source: str) -> Path:
    """``source`` as a path. Raises UserError unless it is a directory."""
    path = Path(source)
    if not path.is_dir():
        what = "is a file, not a directory" if path.exists() else "no such directory"
        raise UserError(what, where=path, remedy="pass the top folder of an archive")
    return path


def require_extra(extra: str, *modules: str) -> None:
    """Raises UserError where one of ``modules``, which come with the extra, is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise UserError(f"this source needs {module}", remedy=f"pip install 'raydino[{extra}]'")
