"""What is done with files of others: in a process of its own, which may crash, hang or run out of memory.

The service never parses DICOM itself. ``do`` is the function of a ``raydino.processes.Worker``; it gets one of the
requests below and answers with what is said there, or with ``Unfit`` or ``Trouble``.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import textwrap
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import pydicom
import torch

from adapters.reading import Reading
from adapters.results.files import result_id, write_results
from adapters.results.model import Model
from adapters.serving.display import display_film, mask_pngs
from raydino.artifacts.durable import on_disk
from raydino.artifacts.header import write_json
from raydino.data.film_source import FilmSource, Groups, source_of_film
from raydino.data.one_film import OneFilm, film_of_dicom
from raydino.errors import UserError

DRAWN = "drawn.json"
_LONGEST_REASON = 240  # characters; three decoders may each have something to say
SECONDS = 60.0  # for one request: the slowest decoder takes some 10 s for the largest films


@dataclass(frozen=True)
class Unfit:
    """The file is not a film that can be read; ``reason`` is one line without anything of the file's header."""

    reason: str


@dataclass(frozen=True)
class Trouble:
    """The machine failed, not the file: a full disk. The same may be asked again."""

    reason: str


@dataclass(frozen=True)
class Parse:
    """Make the film by the pixel recipe ``pixels``. Answer: ``Parsed``."""

    path: Path
    pixels: dict[str, Any]


@dataclass(frozen=True)
class Parsed:
    """The film, and the file behind it."""

    film: OneFilm
    source: FilmSource


@dataclass(frozen=True)
class Write:
    """Write the results into the folder ``out / ID``. Answer: the path of the JSON, ``out / ID / ID.json``."""

    out: Path
    reading: Reading
    source: FilmSource
    model: Model


@dataclass(frozen=True)
class Draw:
    """Draw a film that was read, and the masks of its ``segmentation``, for the page. Answer: ``Drawn``.

    ``out`` then holds film.u16 (rows × cols words, little endian), masks as 1.png, 2.png, … and drawn.json.
    """

    path: Path
    segmentation: Path | None
    pixels: dict[str, Any]
    out: Path


@dataclass(frozen=True)
class Drawn:
    """``structures`` in the order of their pictures; ``patient``: the groups that the film's header tells of."""

    rows: int
    cols: int
    structures: tuple[str, ...]
    patient: Groups


def prepare() -> None:
    """One thread each, and no messages: those of decoders may quote header values."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def do(request: Parse | Write | Draw) -> Parsed | Path | Drawn | Unfit | Trouble:
    """Never raises: what is wrong with the file is an answer."""
    try:
        if isinstance(request, Parse):
            film = film_of_dicom(request.path, request.pixels)
            return Parsed(film, source_of_film(request.path, film))
        return _write(request) if isinstance(request, Write) else _draw(request)
    except UserError as error:
        said = " ".join(filter(None, (error.what, error.remedy and f"({error.remedy})")))
        return Unfit(textwrap.shorten(said, _LONGEST_REASON, placeholder=" …"))
    except OSError as error:
        if isinstance(request, Parse):  # a decoder's word for a file that is broken
            return Unfit(f"it cannot be read ({type(error).__name__})")
        return Trouble(f"results cannot be written ({error.strerror})")
    except Exception as error:  # a decoder raises anything, and its text may quote the header
        return Unfit(f"it cannot be read ({type(error).__name__})")


def _write(request: Write) -> Path:
    """Under a lock, for the same film may be at work twice: from two files whose headers differ.

    Another image under the same SOP Instance UID (which DICOM forbids) must not be taken for the first one.
    """
    film = request.reading.film
    name = result_id(request.source, request.model)
    folder = request.out / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    image = hashlib.sha256(repr((film.pixels.shape, film.spacing_mm)).encode() + film.pixels.tobytes()).hexdigest()
    with (folder / ".image").open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read()
        if len(known) != len(image):  # a new folder, or one that was left when the disk was full
            file.truncate(0)
            file.write(image)
            file.flush()
        elif known != image:
            raise UserError("another image with its SOP Instance UID was read before")
        written = folder / f"{name}.json"
        if not written.exists():
            write_results(folder, request.reading, request.source, request.model)
        # The job is called read afterwards, and a power cut must not make that untrue.
        on_disk(*filter(Path.is_file, folder.iterdir()), folder, request.out)
        return written


def _draw(request: Draw) -> Drawn:
    film = display_film(request.path, pixels=request.pixels)
    masks = mask_pngs(request.segmentation, request.path, film) if request.segmentation else {}
    request.out.mkdir(mode=0o700, exist_ok=True)
    (request.out / "film.u16").write_bytes(film.astype("<u2").tobytes())
    for number, png in enumerate(masks.values(), start=1):
        (request.out / f"{number}.png").write_bytes(png)
    patient = source_of_film(request.path, OneFilm(film, None)).groups
    rows, cols = film.shape
    drawn = Drawn(rows, cols, tuple(masks), patient)
    write_json(request.out / DRAWN, asdict(drawn))  # last: where it is, the others are whole
    return drawn
