"""How well predicted masks lie on the reference, film by film. Neighbours: ``sums``."""

from __future__ import annotations

import numpy as np

from bias_audit.metrics import Task
from bias_audit.rows import measured_column
from bias_audit.sums import MeanMetric

MASKS: frozenset[Task] = frozenset({"segmentation"})
MEASURED = ("dice", "iou", "hd95_mm", "assd_mm")  # columns of segmentation's predictions


DICE = MeanMetric(
    "dice",
    "Dice",
    "overlap of the predicted with the reference mask, 1 is perfect",
    "higher",
    frozenset({"dice"}),
    MASKS,
    values=measured_column("dice"),
    binary=False,
)
IOU = MeanMetric(
    "iou",
    "Intersection over union",
    "overlap as a share of both masks together, 1 is perfect; rises and falls with Dice, whose gap is tested",
    "higher",
    frozenset({"iou"}),
    MASKS,
    mirror_of="dice",
    values=measured_column("iou"),
    binary=False,
)
HD95 = MeanMetric(
    "hd95_mm",
    "Hausdorff distance",
    "95th percentile of the distance between the outlines, in mm; of films whose pixel spacing is known",
    "lower",
    frozenset({"hd95_mm"}),
    MASKS,
    limits=(0.0, np.inf),
    values=measured_column("hd95_mm"),
    binary=False,
)
ASSD = MeanMetric(
    "assd_mm",
    "Surface distance",
    "mean distance between the outlines, in mm; of films whose pixel spacing is known",
    "lower",
    frozenset({"assd_mm"}),
    MASKS,
    limits=(0.0, np.inf),
    values=measured_column("assd_mm"),
    binary=False,
)
