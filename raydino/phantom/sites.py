"""The two hospitals of the embedded archive: where they are and how their films look and are filed.

Sites differ in country, equipment, exposure, noise, collimation and file conventions, and in
nothing that makes a finding easier or harder to see (the planted bias is set apart, in lesions).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """One hospital."""

    name: str
    folder: str
    country: str  # Country of Residence of its patients
    manufacturer: str
    model: str
    station: str
    suffix: str  # of its file names
    dx_share: float  # of its films that are DX; the others are CR
    monochrome1_share: float
    bits: tuple[int, ...]  # stored bits it uses
    syntaxes: tuple[tuple[str, float], ...]  # transfer syntax keyword and its share
    fields_mm: tuple[tuple[int, int], ...]  # detector width and height
    short_side_px: int
    noise: float  # standard deviation in the log signal over the lung
    scatter_to_primary: float
    toe: float  # bend of the exposure curve, 1 = straight
    detail_gain: float  # strength of edge enhancement
    shutter_share: float  # films with blackened collimation; otherwise the border is bare, bright film
    tall_marker: bool


# About 512 px on the shorter side keeps a film of the demo near a third of a megabyte.
SHORT_SIDE_PX = 512

NORTHGATE = Site(
    name="Northgate Hospital",
    folder="northgate",
    country="Norland",
    manufacturer="Synthetic Imaging AB",
    model="PhantomView DX",
    station="NG-DX-01",
    suffix=".dcm",
    dx_share=0.7,
    monochrome1_share=0.15,
    bits=(12, 12, 16),
    syntaxes=(
        ("ExplicitVRLittleEndian", 0.25),
        ("JPEGLSLossless", 0.55),
        ("JPEG2000Lossless", 0.20),
    ),
    fields_mm=((430, 430), (350, 430)),
    short_side_px=SHORT_SIDE_PX,
    noise=0.016,
    scatter_to_primary=0.25,
    toe=1.0,
    detail_gain=0.8,
    shutter_share=0.8,
    tall_marker=False,
)
LAKESIDE = Site(
    name="Lakeside Clinic",
    folder="lakeside",
    country="Sudmark",
    manufacturer="Example Radiography Ltd",
    model="PlateReader 3",
    station="LAKE-CR-2",
    suffix="",
    dx_share=0.2,
    monochrome1_share=0.35,
    bits=(10, 10, 12),
    syntaxes=(
        ("ImplicitVRLittleEndian", 0.25),
        ("RLELossless", 0.30),
        ("JPEGLSLossless", 0.25),
        ("JPEG2000Lossless", 0.20),
    ),
    fields_mm=((350, 430), (430, 350)),
    short_side_px=SHORT_SIDE_PX - 16,
    noise=0.022,
    scatter_to_primary=0.45,
    toe=1.2,
    detail_gain=0.5,
    shutter_share=0.3,
    tall_marker=True,
)
SITES = (NORTHGATE, LAKESIDE)
