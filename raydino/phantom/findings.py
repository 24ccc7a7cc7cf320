"""What is wrong in a synthetic chest: the five findings, drawn alike for every sex, age and site.

Sizes are in mm on the film, places in shares of the lung (u outwards from the midline, v downwards
from the apex). Lesions draws them, report_text words them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydino.phantom.layout import LEFT, RIGHT

CARDIOMEGALY, EFFUSION, PNEUMOTHORAX = "Cardiomegaly", "Pleural Effusion", "Pneumothorax"
CONSOLIDATION, NODULE, NO_FINDING = "Consolidation", "Nodule", "No Finding"
FINDINGS = (CARDIOMEGALY, EFFUSION, PNEUMOTHORAX, CONSOLIDATION, NODULE)
LABELS = (NO_FINDING, *FINDINGS)

NO_FINDING_SHARE = 0.40
_COUNT_SHARES = (0.60, 0.28, 0.12)  # one, two or three findings in the others
# Effusion is the most common: the planted bias must be measurable in one stratum of a small test split.
_WEIGHTS = {CARDIOMEGALY: 1.0, EFFUSION: 2.6, PNEUMOTHORAX: 0.9, CONSOLIDATION: 1.0, NODULE: 0.8}
# Lobes: name, lowest and highest v of the centre, reach in v, and where a fissure cuts the opacity off.
LOBES = {
    RIGHT: {"upper": (0.20, 0.34), "middle": (0.62, 0.74), "lower": (0.72, 0.90)},
    LEFT: {"upper": (0.20, 0.36), "lower": (0.68, 0.88)},
}


@dataclass(frozen=True)
class Effusion:
    """Pleural fluid: height of the meniscus above the costophrenic angle."""

    side: int
    height_mm: float


@dataclass(frozen=True)
class Pneumothorax:
    """Air around the lung: width of the rim at the apex and at the side."""

    side: int
    apex_mm: float
    lateral_mm: float


@dataclass(frozen=True)
class Consolidation:
    """An airless region: ``density`` is the share of air replaced, sizes are half axes."""

    side: int
    lobe: str
    u: float
    v: float
    wide_mm: float
    tall_mm: float
    density: float
    seed: int


@dataclass(frozen=True)
class Nodule:
    """A round lesion."""

    side: int
    u: float
    v: float
    diameter_mm: float


@dataclass(frozen=True)
class Findings:
    """Everything that is true of one study."""

    ctr: float
    cardiomegaly: bool = False
    effusions: tuple[Effusion, ...] = ()
    pneumothorax: Pneumothorax | None = None
    consolidations: tuple[Consolidation, ...] = ()
    nodules: tuple[Nodule, ...] = ()

    def present(self) -> dict[str, bool]:
        """Each label and whether it is true."""
        found = {
            CARDIOMEGALY: self.cardiomegaly,
            EFFUSION: bool(self.effusions),
            PNEUMOTHORAX: self.pneumothorax is not None,
            CONSOLIDATION: bool(self.consolidations),
            NODULE: bool(self.nodules),
        }
        return {NO_FINDING: not any(found.values()), **found}


def sample_findings(rng: np.random.Generator, healthy_ctr: float) -> Findings:
    """Draw the findings of one study; nothing about the patient changes their odds."""
    if rng.random() < NO_FINDING_SHARE:
        return Findings(healthy_ctr)
    count = 1 + int(rng.choice(3, p=_COUNT_SHARES))
    weights = np.array([_WEIGHTS[name] for name in FINDINGS])
    names = set(rng.choice(FINDINGS, size=count, replace=False, p=weights / weights.sum()))
    return _placed(rng, names, healthy_ctr)


def _placed(rng: np.random.Generator, names: set[str], healthy_ctr: float) -> Findings:
    """Give each finding its side and size, on sides where one does not hide another."""
    enlarged = CARDIOMEGALY in names
    ctr = float(rng.uniform(0.545, 0.66)) if enlarged else healthy_ctr
    first = int(rng.choice([RIGHT, LEFT]))
    pneumothorax = None
    if PNEUMOTHORAX in names:
        large = rng.random() < 0.4
        apex = rng.uniform(55.0, 100.0) if large else rng.uniform(32.0, 55.0)
        pneumothorax = Pneumothorax(first, apex, apex * rng.uniform(0.40, 0.70))
    effusions: tuple[Effusion, ...] = ()
    if EFFUSION in names:
        side = -first
        effusions = (Effusion(side, _effusion_height(rng)),)
        if pneumothorax is None and rng.random() < 0.35:
            effusions += (Effusion(-side, _effusion_height(rng)),)
    wet = {effusion.side for effusion in effusions}
    consolidations: tuple[Consolidation, ...] = ()
    if CONSOLIDATION in names:
        side = -first if pneumothorax else int(rng.choice([RIGHT, LEFT]))
        consolidations = (_consolidation(rng, side, side in wet),)
        if pneumothorax is None and rng.random() < 0.25:
            consolidations += (_consolidation(rng, -side, -side in wet),)
    nodules: tuple[Nodule, ...] = ()
    if NODULE in names:
        dry = [side for side in (RIGHT, LEFT) if pneumothorax is None or side != pneumothorax.side]
        opaque = {c.side for c in consolidations}
        clear = [side for side in dry if side not in opaque] or dry
        nodules = tuple(
            _nodule(rng, int(rng.choice(clear)), wet, ctr) for _ in range(int(rng.choice(3, p=(0.7, 0.2, 0.1))) + 1)
        )
    return Findings(ctr, enlarged, effusions, pneumothorax, consolidations, nodules)


def _effusion_height(rng: np.random.Generator) -> float:
    low, high = ((55.0, 70.0), (70.0, 110.0), (110.0, 170.0))[int(rng.choice(3, p=(0.15, 0.45, 0.40)))]
    return float(rng.uniform(low, high))


def _consolidation(rng: np.random.Generator, side: int, wet: bool) -> Consolidation:
    lobes = [name for name in LOBES[side] if not (wet and name in ("lower", "middle"))]
    lobe = str(rng.choice(lobes))
    low, high = LOBES[side][lobe]
    return Consolidation(
        side,
        lobe,
        u=float(rng.uniform(0.46, 0.70)),
        v=float(rng.uniform(low, high)),
        wide_mm=float(rng.uniform(27.0, 46.0)),
        tall_mm=float(rng.uniform(24.0, 42.0)),
        density=float(rng.uniform(0.45, 0.8)),
        seed=int(rng.integers(2**31)),
    )


def _nodule(rng: np.random.Generator, side: int, wet: set[int], ctr: float) -> Nodule:
    """A nodule where lung can be seen: above fluid and beside the heart, of which two thirds lie on the left."""
    v = float(rng.uniform(0.14, 0.55 if side in wet else 0.85))
    if v < 0.25:
        u = rng.uniform(0.36, 0.60)
    else:
        heart = (1.34 if side == LEFT else 0.67) * ctr
        u = rng.uniform(np.clip(heart + 0.08, 0.48, 0.84) if v > 0.42 else 0.48, 0.86)
    return Nodule(side, float(u), v, float(rng.uniform(14.0, 30.0)))
