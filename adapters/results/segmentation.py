"""The masks of a reading as one binary DICOM Segmentation on the stored image's grid (PS3.3 A.51).

A radiograph has no position in the patient, so the object has no frame of reference: its frames are the film's own
grid, pixel for pixel (Spatial Locations Preserved), whatever way the film was turned to be read.
"""

from __future__ import annotations

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation, SegmentDescription
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
    planes = np.stack([source.mask(mask) for mask in masks.values()])
    stored = np.moveaxis(planes.view(np.uint8), 0, -1)[
        None
    ]  # a view: highdicom sums along the last axis, which is fast over planes
    spacing = source.spacing_mm
    made = Segmentation(
        source_images=[source.header],
        pixel_array=stored,
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(number, structure, source, model) for number, structure in enumerate(masks, start=1)
        ],
        pixel_measures=spacing and hd.PixelMeasuresSequence(pixel_spacing=spacing, slice_thickness=NO_THICKNESS_MM),
        omit_empty_frames=bool(stored.any()),
        content_label="RAYDINO",
        content_description=NOTICE,
        **frame(source, model, "SEG", SERIES_NUMBER),
    )
    made.PatientOrientation = list(source.orientation)  # type 2C: of an image without a plane orientation
    organization = model.uid(source.sop_instance_uid, "SEG dimensions")
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    finish(made, source)
    return made


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
