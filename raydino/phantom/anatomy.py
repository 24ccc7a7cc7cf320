"""What a synthetic patient's chest is like: continuous parameters drawn from sex and age.

Lengths are those on a film of full inspiration, in mm. ``sample_anatomy`` draws a patient once;
``sample_pose`` draws how the patient stands on each film. Used by thorax, skeleton and lateral.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Anatomy:
    """One patient's chest; the same on all films except for growth of age."""

    half_width_mm: float  # midline to the inner chest wall at its widest
    lung_height_mm: float  # apex to the top of the right hemidiaphragm
    lung_depth_mm: float  # front to back
    left_dome_drop_mm: float  # how much lower the left hemidiaphragm stands
    sulcus_mm: float  # costophrenic angle below the dome
    chest_shape: float  # -1 bell, +1 barrel
    wall_mm: float  # lateral chest wall
    fat_mm: float  # added tissue in the beam
    shoulder_slope: float
    healthy_ctr: float  # cardiothoracic ratio without disease
    heart_tilt: float  # -1 upright, +1 lying
    knob_radius_mm: float  # aortic arch
    unfolding_mm: float  # how far the aorta bulges to the left
    calcified_knob: bool
    bone_density: float  # relative
    rib_half_width_mm: float
    rib_drop: float  # relative slope of the ribs
    clavicle_rise_mm: float
    vertebra_mm: float  # height of a thoracic vertebra with its disc
    kyphosis_mm: float
    breast_mm: float  # thickness at its centre, 0 in men
    breast_radius_mm: float
    bubble_mm: float  # stomach bubble
    vessel_seed: int
    vessel_calibre: float


@dataclass(frozen=True)
class Pose:
    """How the patient stands on one film."""

    inspiration: float  # share of the full lung height
    apex_mm: float  # lung apex below the film's upper edge
    shift_mm: float  # midline from the film's middle
    turn_mm: float  # shift of the front of the chest against the spine
    tilt_deg: float  # rotation in the film's plane
    heart_magnification: float
    shoulders_forward: float  # 1 = scapulae clear of the lungs, 0 = over them


def sample_anatomy(rng: np.random.Generator, sex: str, age_years: float) -> Anatomy:
    """Draw a patient of ``sex`` (F or M) and ``age_years`` (18..95)."""
    female = sex == "F"
    old = (age_years - 55.0) / 40.0  # about -1..1
    elderly = max(0.0, (age_years - 55.0) / 40.0)
    height = rng.normal(226.0 if female else 246.0, 10.0) - 16.0 * elderly
    ctr = np.clip(rng.normal(0.432, 0.022) + 0.012 * old, 0.38, 0.472)
    density = np.clip(rng.normal(1.0, 0.07) - (0.24 if female else 0.14) * elderly, 0.6, 1.2)
    return Anatomy(
        half_width_mm=float(np.clip(rng.normal(131.0 if female else 144.0, 6.0), 116.0, 158.0)),
        lung_height_mm=float(np.clip(height, 185.0, 272.0)),
        lung_depth_mm=float(rng.normal(140.0 if female else 158.0, 9.0) + 12.0 * elderly),
        left_dome_drop_mm=float(np.clip(rng.normal(12.0, 5.0), 2.0, 25.0)),
        sulcus_mm=float(np.clip(rng.normal(44.0, 6.0), 30.0, 60.0)),
        chest_shape=float(np.clip(rng.normal(0.3 * old, 0.5), -1.0, 1.0)),
        wall_mm=float(np.clip(rng.normal(30.0, 6.0), 18.0, 46.0)),
        fat_mm=float(np.clip(rng.normal(12.0, 12.0), -8.0, 45.0)),
        shoulder_slope=float(rng.normal(0.0, 1.0)),
        healthy_ctr=float(ctr),
        heart_tilt=float(np.clip(rng.normal(0.3 * old, 0.45), -1.0, 1.0)),
        knob_radius_mm=float(np.clip(rng.normal(15.0 + 3.5 * old, 1.5), 11.0, 23.0)),
        unfolding_mm=float(np.clip(rng.normal(2.0 + 12.0 * elderly, 3.0), 0.0, 22.0)),
        calcified_knob=bool(rng.random() < 0.6 * elderly),
        bone_density=float(density),
        rib_half_width_mm=float(np.clip(rng.normal(6.2 if female else 7.0, 0.5), 5.0, 8.5)),
        rib_drop=float(np.clip(rng.normal(1.0 + 0.08 * elderly, 0.12), 0.7, 1.35)),
        clavicle_rise_mm=float(rng.normal(14.0, 9.0)),
        vertebra_mm=float((height / 10.2) * rng.normal(1.0, 0.02)),
        kyphosis_mm=float(np.clip(rng.normal(8.0 + 18.0 * elderly, 5.0), 0.0, 40.0)),
        breast_mm=float(np.clip(rng.normal(27.0, 9.0), 10.0, 50.0)) if female else 0.0,
        breast_radius_mm=float(np.clip(rng.normal(62.0, 8.0), 45.0, 85.0)),
        bubble_mm=float(np.clip(rng.normal(16.0, 8.0), 0.0, 34.0)),
        vessel_seed=int(rng.integers(2**31)),
        vessel_calibre=float(np.clip(rng.normal(1.0, 0.1), 0.75, 1.3)),
    )


def sample_pose(rng: np.random.Generator, view: str, field_height_mm: float) -> Pose:
    """Draw the pose of one film; ``view`` is PA, AP or LATERAL."""
    supine = view == "AP"
    return Pose(
        inspiration=float(np.clip(rng.normal(0.88 if supine else 0.96, 0.04), 0.78, 1.03)),
        apex_mm=float(np.clip(rng.normal(0.118 * field_height_mm, 6.0), 28.0, 75.0)),
        shift_mm=float(rng.normal(0.0, 4.0)),
        turn_mm=float(rng.normal(0.0, 4.5 if supine else 2.5)),
        tilt_deg=float(np.clip(rng.normal(0.0, 1.8 if supine else 1.0), -4.0, 4.0)),
        heart_magnification=1.05 if supine else 1.0,
        shoulders_forward=float(np.clip(rng.normal(0.25 if supine else 0.85, 0.15), 0.0, 1.0)),
    )
