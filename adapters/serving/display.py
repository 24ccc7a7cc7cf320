"""What the page draws of a film: itself, its masks and where the encoder looks, all of one size and upright.

A film to look at is larger and deeper than the one that was read (``raydino.data.one_film``). Masks come back from the
DICOM Segmentation, so what the page shows is what the archive holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import torch
from pydicom.dataset import Dataset
from pydicom.pixels import unpack_bits

from raydino.artifacts.images import encode_mask
from raydino.data.film_cache import Film
from raydino.data.film_source import source_of_film
from raydino.data.films import whole_film
from raydino.data.one_film import OneFilm, film_to_show
from raydino.encoder import Encoder
from raydino.train.attention_maps import attention_rollout

SHORTER_SIDE = 1024
_OPAQUE = 0.7  # of the place that is looked at most


def display_film(
    source: str | Path | bytes, shorter_side: int = SHORTER_SIDE, *, pixels: Mapping[str, Any] | None = None
) -> npt.NDArray[np.uint16]:
    """[rows, cols] uint16 of a DICOM file, upright, white is dense; never enlarged.

    ``pixels`` is the encoder's recipe (``EncoderSpec.pixels``), by which films are screened: one that was refused to
    be read is refused here. Raises UserError.
    """
    return np.asarray(film_to_show(source, shorter_side, pixels or {}).pixels, np.uint16)


def mask_pngs(segmentation: str | Path, source: str | Path | bytes, film: Film) -> dict[str, bytes]:
    """By structure, in the object's order: PNG of 8 bits, 0 or 255, of the size of ``film``, the display film.

    ``segmentation`` is a file of ``adapters.results``, ``source`` the DICOM film that it is of. A structure without a
    frame is empty.
    """
    way = source_of_film(source, OneFilm(film, None))
    stored = stored_masks(pydicom.dcmread(segmentation))
    return {structure: encode_mask(way.film_mask(mask)) for structure, mask in stored.items()}


def stored_masks(segmentation: Dataset) -> dict[str, npt.NDArray[np.bool_]]:
    """[rows, cols] by structure, on the stored image's grid, of a binary Segmentation of one film (PS3.3 A.51)."""
    rows, cols = int(segmentation.Rows), int(segmentation.Columns)
    n_frames = int(segmentation.NumberOfFrames)
    bits = unpack_bits(segmentation.PixelData)[: n_frames * rows * cols]
    frames = np.asarray(bits, np.uint8).astype(bool).reshape(n_frames, rows, cols)
    label_of = {int(item.SegmentNumber): str(item.SegmentLabel) for item in segmentation.SegmentSequence}
    masks = {label: np.zeros((rows, cols), bool) for label in label_of.values()}
    for item, frame in zip(segmentation.PerFrameFunctionalGroupsSequence, frames, strict=True):
        number = int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        masks[label_of[number]] = frame
    return masks


def attention_png(encoder: Encoder, film: Film) -> bytes:
    """RGBA PNG of the size of ``film`` [rows, cols]: attention rollout at the encoder's own size.

    Colour and opacity rise with how much of the class token comes from a place (2005.00928), from nothing to the
    film's own largest value.
    """
    device = next(encoder.parameters()).device
    images = torch.from_numpy(whole_film(film, encoder.spec.image_size))[None].to(device)
    rollout = attention_rollout(encoder.vit, encoder.normalise(images))[0].cpu().numpy()
    share = rollout / max(float(rollout.max()), 1e-12)
    fine = cv2.resize(share, (film.shape[1], film.shape[0]), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    colours = cv2.applyColorMap(np.round(255 * fine).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    opacity = np.round(255 * _OPAQUE * fine).astype(np.uint8)
    done, png = cv2.imencode(".png", np.dstack([colours, opacity]))
    if not done:
        raise ValueError(f"cannot encode a picture of {film.shape}")
    return png.tobytes()
