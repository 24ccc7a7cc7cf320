"""One source image → a ``Reading``: what a worker process does with one file. It never raises.

Header screening comes before pixels are read, so a CT series costs its headers only.
Neighbours: ``pixels`` makes the film, ``pool`` runs this in processes that may die.
"""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from raydino.artifacts.images import encode_png
from raydino.dicom.contrast import Contrast
from raydino.dicom.header import FilmHeader, read_film_header
from raydino.dicom.pixels import PixelRecipe, Rendered, render_dicom, render_image
from raydino.dicom.screen import Rejected, require_chest_radiograph
from raydino.readers.base import MaskMaker, RawPixels, SourceGone, SourceImage
from raydino.readers.mask_folder import MaskFolder

SOURCE_GONE = "source_gone"  # a reason that is none of the film's: ``collect`` stops the run
_CHANNEL_TOLERANCE = 2  # grey levels of 255 by which the channels of a grey JPEG may differ
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")  # of a file without preamble


@dataclass(frozen=True)
class Work:
    """What every worker needs to know."""

    recipe: PixelRecipe
    masks: MaskFolder | None = None


@dataclass(frozen=True)
class StoredFilm:
    """A film as it goes into the dataset. ``masks`` are PNG bytes by structure."""

    png: bytes
    sha256: str
    rows: int
    cols: int
    spacing_mm: float | None
    voi: str
    turn: str | None
    masks: Mapping[str, bytes] = field(default_factory=dict)
    unusable_masks: int = 0


@dataclass(frozen=True)
class Reading:
    """The outcome for one image: a film, or a reason (a key of ``screen.REASONS``) with a detail."""

    header: FilmHeader | None = None
    film: StoredFilm | None = None
    reason: str | None = None
    detail: str | None = None
    source_bits: int | None = None


def prepare_worker() -> None:
    """One thread a worker, and no messages: those of pydicom and of decoders may quote header values."""
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def read_film(work: Work, image: SourceImage) -> Reading:
    """Screen, render and encode one image."""
    header: FilmHeader | None = None
    try:
        if image.known_corrupt:
            raise Rejected("known_corrupt", image.known_corrupt)
        if not image.is_dicom:
            return _read_image(work, image)
        with _opened(image) as file:
            header = _screened_header(file)
            require_chest_radiograph(header)
            dataset = _read_dataset(file, with_pixels=True)
        if "PixelData" not in dataset:
            raise Rejected("no_pixels", "no pixel data")
        rendered = render_dicom(dataset, header, work.recipe)
        sizes = (header.rows or 0, header.cols or 0)
        film = _stored(rendered, sizes, _mask_files(work, image, header.sop_instance_uid))
        return Reading(header, film, source_bits=header.bits_stored)
    except SourceGone as gone:
        return Reading(reason=SOURCE_GONE, detail=gone.strerror)
    except Rejected as rejected:
        return Reading(header, reason=rejected.reason, detail=rejected.detail)
    except Exception as error:  # a file can be broken in any way; its message could quote the file
        return Reading(header, reason="unreadable", detail=f"{type(error).__name__} while reading")


def _opened(image: SourceImage) -> BinaryIO:
    if image.content is not None:
        return io.BytesIO(image.content)
    try:
        if image.opener is not None:
            return image.opener()
        assert image.path is not None
        return image.path.open("rb")
    except SourceGone:
        raise
    except OSError as error:
        raise Rejected("unreadable", f"cannot be opened ({error.strerror})") from None


def _screened_header(file: BinaryIO) -> FilmHeader:
    start = file.read(132)
    has_preamble = start[128:] == b"DICM"
    if not has_preamble and start[:2] not in _FIRST_GROUPS:
        raise Rejected("not_dicom", "neither a DICOM preamble nor a DICOM element at the start")
    reason = "unreadable" if has_preamble else "not_dicom"
    try:
        dataset = _read_dataset(file, with_pixels=False)
    except Exception as error:
        raise Rejected(reason, f"the elements cannot be parsed ({type(error).__name__})") from None
    if not any(keyword in dataset for keyword in ("SOPClassUID", "Modality", "Rows")):
        is_object = "MediaStorageSOPClassUID" in dataset.file_meta  # an index of files (DICOMDIR), for one
        raise Rejected("no_pixels" if is_object else reason, "holds no attribute of a DICOM image")
    return read_film_header(dataset)


def _read_dataset(file: BinaryIO, *, with_pixels: bool) -> Dataset:
    """Read from the start; a file without a transfer syntax gets the one that it was parsed with."""
    file.seek(0)
    dataset = pydicom.dcmread(file, force=True, stop_before_pixels=not with_pixels)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _read_image(work: Work, image: SourceImage) -> Reading:
    with _opened(image) as file:
        content = file.read()
    if image.raw is not None:
        grey, bits, inverted = _raw_pixels(content, image.raw), image.raw.bits, image.raw.inverted
    else:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
        if pixels is None:
            raise Rejected("not_image", "neither PNG nor JPEG nor TIFF, or broken")
        grey = _single_channel(np.asarray(pixels))
        bits, inverted = 8 * grey.dtype.itemsize, False
    contrast = Contrast(bits, inverted=inverted)
    rendered = render_image(grey, contrast, work.recipe, spacing_mm=image.known.spacing_mm)
    film = _stored(rendered, (grey.shape[0], grey.shape[1]), _mask_files(work, image, ""))
    return Reading(film=film, source_bits=bits)


def _raw_pixels(content: bytes, layout: RawPixels) -> npt.NDArray[np.uint8 | np.uint16]:
    """[rows, cols] of a file without a header. Raises Rejected where its size is another."""
    dtype = np.dtype(layout.dtype)
    if len(content) != layout.rows * layout.cols * dtype.itemsize:
        raise Rejected("unreadable", f"not the size of {layout.rows} × {layout.cols} pixels of {dtype.itemsize} bytes")
    values = np.frombuffer(content, dtype).reshape(layout.rows, layout.cols)
    return values.astype(dtype.newbyteorder("=")) & dtype.type(2**layout.bits - 1)


def _single_channel(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8 | np.uint16]:
    """A grey image's one channel. Raises Rejected for colour and for other than 8 or 16 bits."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise Rejected("unsupported_pixels", f"{pixels.dtype} pixels")
    grey: npt.NDArray[np.uint8 | np.uint16] = pixels  # type: ignore[assignment]
    if grey.ndim == 2:
        return grey
    channels = grey[..., :3].astype(np.int32)  # a fourth is opacity
    tolerance = _CHANNEL_TOLERANCE if grey.dtype == np.uint8 else 256 * _CHANNEL_TOLERANCE
    if (channels.max(axis=2) - channels.min(axis=2)).max() > tolerance:
        raise Rejected("unsupported_pixels", "colour")
    return np.ascontiguousarray(grey[..., 1 if grey.shape[2] > 2 else 0])


def _mask_files(work: Work, image: SourceImage, sop_instance_uid: str) -> dict[str, Path | MaskMaker]:
    beside = work.masks.of(sop_instance_uid, image.name) if work.masks else {}
    return {**image.masks, **beside}


def _stored(rendered: Rendered, source_size: tuple[int, int], mask_files: Mapping[str, Path | MaskMaker]) -> StoredFilm:
    film = rendered.film
    digest = hashlib.sha256(f"{film.dtype} {film.shape}\0".encode() + film.tobytes()).hexdigest()
    masks = {}
    for structure, source in mask_files.items():
        mask = _read_mask(source)
        if mask is not None and mask.shape == source_size:
            inside = rendered.geometry.resize_mask(mask)
            masks[structure] = encode_png(np.where(inside, 255, 0).astype(np.uint8))
    return StoredFilm(
        encode_png(film),
        digest,
        film.shape[0],
        film.shape[1],
        spacing_mm=rendered.spacing_mm,
        voi=rendered.voi,
        turn=rendered.geometry.turn.describe(),
        masks=masks,
        unusable_masks=len(mask_files) - len(masks),
    )


def _read_mask(source: Path | MaskMaker) -> npt.NDArray[np.bool_] | None:
    """The mask at the source's size; None where it cannot be had."""
    if not isinstance(source, Path):
        try:
            return source()
        except (OSError, ValueError):
            return None
    mask = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE)
    return None if mask is None else np.asarray(mask > (127 if mask.max() > 1 else 0))
