"""One source image → a ``Reading``: what a worker process does with one file. It never raises.

Header screening comes before pixels are read, so a CT series costs its headers only.
Neighbours: ``screen`` decides by the header, ``pixels`` makes the film, ``burned_in`` looks for text in it,
``pool`` runs this in processes that may die.
"""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from raydino.artifacts.images import encode_mask, encode_png
from raydino.dicom.allocator import keep_memory
from raydino.dicom.burned_in import without_text
from raydino.dicom.contrast import Contrast
from raydino.dicom.decode import read_pixels
from raydino.dicom.header import FilmHeader, read_film_header
from raydino.dicom.pixels import Film, PixelRecipe, Rendered, render_dicom, render_image
from raydino.dicom.screen import SMALLEST_SHARE, Rejected, Screening, require_chest_radiograph, require_size
from raydino.readers.base import MaskMaker, RawPixels, SourceGone, SourceImage
from raydino.readers.mask_source import MaskSource

SOURCE_GONE = "source_gone"  # a reason that is none of the film's: ``collect`` stops the run
PREVIEW_SIDE = 64  # pixels of a rejected film's preview
PREVIEWED = (
    "not_chest",
    "not_human",
    "derived",
    "for_processing",
    "too_small",
)  # reasons that leave no film to look at
_CHANNEL_TOLERANCE = 2  # grey levels of 255 by which the channels of a grey JPEG may differ
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")  # of a file without preamble


@dataclass(frozen=True)
class Work:
    """What every worker needs to know."""

    recipe: PixelRecipe
    masks: MaskSource | None = None
    screening: Screening = field(default_factory=Screening)
    previews: bool = False  # small pictures of rejected films, for a contact sheet
    identify: bool = True  # collect what reports are scrubbed of; where there are none it is time lost

    @property
    def smallest_side(self) -> int:
        """Pixels that the shorter side of a source must have."""
        chosen = self.screening.smallest_side
        return self.recipe.shorter_side // SMALLEST_SHARE if chosen is None else chosen


@dataclass(frozen=True)
class StoredFilm:
    """A film as it goes into the dataset. ``masks`` are PNG bytes by structure."""

    png: bytes
    sha256: str
    rows: int
    cols: int
    spacing_mm: float | None
    voi: str
    detail: str | None  # what was out of the ordinary in rendering it, and what was done about burned-in text
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
    preview: bytes | None = None  # PNG of a rejected film, where ``Work.previews`` asks for it and it is safe


def prepare_worker() -> None:
    """One thread, memory kept from film to film, and no messages: pydicom's and decoders' may quote header values."""
    keep_memory()
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
            dataset = _header_dataset(file)
            header = read_film_header(dataset, identify=work.identify)
            try:
                require_chest_radiograph(_vouched_for(header) if image.chest_film else header, work.screening)
                require_size(header.rows or 0, header.cols or 0, work.smallest_side)
            except Rejected as rejected:
                is_shown = work.previews and rejected.reason in PREVIEWED
                preview = _preview(work, header, dataset, file) if is_shown else None
                return Reading(header, reason=rejected.reason, detail=rejected.detail, preview=preview)
            read_pixels(file, dataset)
        rendered = _rendered(dataset, header, work.recipe)
        film, text = without_text(rendered.film, header.burned_in, work.screening.burned_in)
        rendered = replace(rendered, film=film)
        sizes = (header.rows or 0, header.cols or 0)
        masks = _mask_files(work, image, header.sop_instance_uid)
        return Reading(header, _stored(rendered, sizes, masks, text), source_bits=header.bits_stored)
    except SourceGone as gone:
        return Reading(reason=SOURCE_GONE, detail=gone.strerror)
    except Rejected as rejected:
        return Reading(header, reason=rejected.reason, detail=rejected.detail)
    except Exception as error:  # a file can be broken in any way; its message could quote the file
        return Reading(header, reason="unreadable", detail=f"{type(error).__name__} while reading")


def _vouched_for(header: FilmHeader) -> FilmHeader:
    """For the screening of a film whose publisher removed what a header says of it; what it does say stands."""
    return replace(header, modality=header.modality or "DX", body_part=header.body_part or "CHEST")


def _rendered(dataset: Dataset, header: FilmHeader, recipe: PixelRecipe) -> Rendered:
    if "PixelData" not in dataset:
        raise Rejected("no_pixels", "no pixel data")
    return render_dicom(dataset, header, recipe)


def _preview(work: Work, header: FilmHeader, dataset: Dataset, file: BinaryIO) -> bytes | None:
    """A small PNG of a film that was rejected by its header; None where text is or may be in it, or it is broken."""
    try:
        read_pixels(file, dataset)
        rendered = _rendered(dataset, header, work.recipe)
        film, text = without_text(rendered.film, header.burned_in, work.screening.burned_in)
        return None if text or header.burned_in else encode_png(_shrunk(film))
    except Exception:  # it is rejected anyway
        return None


def _shrunk(film: Film) -> npt.NDArray[np.uint8]:
    """8 bits, the shorter side PREVIEW_SIDE pixels."""
    grey = film if film.dtype == np.uint8 else (film >> 8).astype(np.uint8)
    scale = min(1.0, PREVIEW_SIDE / min(grey.shape))
    rows, cols = (max(1, round(side * scale)) for side in grey.shape)
    return np.asarray(cv2.resize(np.asarray(grey), (cols, rows), interpolation=cv2.INTER_AREA), np.uint8)


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


def _header_dataset(file: BinaryIO) -> Dataset:
    """All before the pixels, where ``file`` then stands. Raises Rejected for what is no DICOM image."""
    start = file.read(132)
    has_preamble = start[128:] == b"DICM"
    if not has_preamble and start[:2] not in _FIRST_GROUPS:
        raise Rejected("not_dicom", "neither a DICOM preamble nor a DICOM element at the start")
    reason = "unreadable" if has_preamble else "not_dicom"
    try:
        dataset = _read_dataset(file)
    except Exception as error:
        raise Rejected(reason, f"the elements cannot be parsed ({type(error).__name__})") from None
    if not any(keyword in dataset for keyword in ("SOPClassUID", "Modality", "Rows")):
        is_object = "MediaStorageSOPClassUID" in dataset.file_meta  # an index of files (DICOMDIR), for one
        raise Rejected("no_pixels" if is_object else reason, "holds no attribute of a DICOM image")
    return dataset


def _read_dataset(file: BinaryIO) -> Dataset:
    """Read from the start; a file without a transfer syntax gets the one that it was parsed with."""
    file.seek(0)
    dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True)
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
    require_size(grey.shape[0], grey.shape[1], work.smallest_side)
    contrast = Contrast(bits, inverted=inverted)
    rendered = render_image(grey, contrast, work.recipe, spacing_mm=image.known.spacing_mm)
    film, text = without_text(rendered.film, None, work.screening.burned_in)
    rendered = replace(rendered, film=film)
    stored = _stored(rendered, (grey.shape[0], grey.shape[1]), _mask_files(work, image, ""), text)
    return Reading(film=stored, source_bits=bits)


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


def _stored(
    rendered: Rendered, source_size: tuple[int, int], mask_files: Mapping[str, Path | MaskMaker], text: str | None
) -> StoredFilm:
    film = rendered.film
    digest = hashlib.sha256(f"{film.dtype} {film.shape}\0".encode() + film.tobytes()).hexdigest()
    masks = {}
    for structure, source in mask_files.items():
        mask = _read_mask(source)
        if mask is not None and mask.shape == source_size:
            masks[structure] = encode_mask(rendered.geometry.resize_mask(mask))
    return StoredFilm(
        encode_png(film),
        digest,
        film.shape[0],
        film.shape[1],
        spacing_mm=rendered.spacing_mm,
        voi=rendered.voi,
        detail="; ".join(filter(None, (rendered.detail, text))) or None,
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
