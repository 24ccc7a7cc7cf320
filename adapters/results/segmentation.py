"""The masks of a reading as one binary DICOM Segmentation on the stored image's grid (PS3.3 A.51).

A radiograph has no position in the patient, so the object has no frame of reference: its frames are the film's own
grid, pixel for pixel (Spatial Locations Preserved), whatever way the film was turned to be read.
"""

from __future__ import annotations

from copy import deepcopy

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from adapters.results.codes import ANATOMICAL_STRUCTURE, structure_code
from adapters.results.frame import NOTICE, finish, frame, quietly
from adapters.results.model import Author, Model
from raydino.data.film_source import FilmSource

SERIES_NUMBER = 9901
NO_THICKNESS_MM = 1.0  # a projection has no slices; highdicom reads no file without a thickness


def segmentation(masks: dict[str, npt.NDArray[np.bool_]], source: FilmSource, model: Model) -> Segmentation:
    """One segment a structure of ``masks`` (bool, of the film's size), in their order; one at least.

    A structure that was not found stays as a segment without a frame, unless all of them are empty.
    """
    with quietly():
        return _object(masks, source, model)


def _object(masks: dict[str, npt.NDArray[np.bool_]], source: FilmSource, model: Model) -> Segmentation:
    planes = [source.mask(mask) for mask in masks.values()]
    is_found = [bool(plane.any()) for plane in planes]
    header, sketch = _sketch(is_found, source)
    spacing = source.spacing_mm
    made = Segmentation(
        source_images=[header],
        pixel_array=sketch,
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(number, structure, source, model) for number, structure in enumerate(masks, start=1)
        ],
        pixel_measures=spacing and hd.PixelMeasuresSequence(pixel_spacing=spacing, slice_thickness=NO_THICKNESS_MM),
        omit_empty_frames=any(is_found),
        content_label="RAYDINO",
        content_description=NOTICE,
        **frame(source, model, "SEG", SERIES_NUMBER),
    )
    made.Rows, made.Columns = source.rows, source.cols
    made.SegmentsOverlap = "YES" if _overlap(planes) else "NO"
    made.PixelData = _packed([plane for plane, has in zip(planes, is_found, strict=True) if has or not any(is_found)])
    made.PatientOrientation = list(source.orientation)  # type 2C: of an image without a plane orientation
    organization = model.uid(source.sop_instance_uid, "SEG dimensions")
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    finish(made, source)
    return made


def _sketch(is_found: list[bool], source: FilmSource) -> tuple[Dataset, npt.NDArray[np.uint8]]:
    """An image of one row, and a pixel of it for each structure that was found.

    highdicom looks through all pixels six times, and learns from them only which structures have a frame and whether
    they overlap. Rows, columns, overlap and pixels are put in afterwards (``test_segmentation`` holds the object to
    what highdicom makes of whole masks).
    """
    header = deepcopy(source.header)  # a copy of pydicom's shares its elements
    header.Rows, header.Columns = 1, len(is_found)
    return header, np.diag(np.asarray(is_found, np.uint8))[None, None]


def _overlap(planes: list[npt.NDArray[np.bool_]]) -> bool:
    seen = planes[0].copy()
    for plane in planes[1:]:
        if (seen & plane).any():
            return True
        seen |= plane
    return False


def _packed(frames: list[npt.NDArray[np.bool_]]) -> bytes:
    """One bit a pixel, frames without a gap between them, an even number of bytes (PS3.5 8.1.1)."""
    packed = np.packbits(np.concatenate([frame.ravel() for frame in frames]), bitorder="little").tobytes()
    return packed + b"\0" * (len(packed) % 2)


def _segment(number: int, structure: str, source: FilmSource, model: Model) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=structure,
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=structure_code(structure),
        algorithm_type="AUTOMATIC",
        algorithm_identification=_algorithm(model.author("segmentation", structure), model),
        tracking_uid=tracking_uid(structure, source, model),
        tracking_id=structure,
    )


def tracking_uid(structure: str, source: FilmSource, model: Model) -> str:
    """Of a segment, by which other objects speak of it."""
    return model.uid(source.sop_instance_uid, f"segment {structure}")


def _algorithm(author: Author, model: Model) -> hd.AlgorithmIdentificationSequence:
    return hd.AlgorithmIdentificationSequence(
        name=f"raydino {author.kind}",
        family=codes.DCM.ArtificialIntelligence,
        version=model.version,
        source="raydino",
        parameters={"adapter": author.fingerprint, "encoder": model.encoder},
    )
