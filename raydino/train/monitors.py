"""Signs of collapse in frozen features and in a run's history: pure functions on arrays, no torch.

Features collapse to a point (every film looks alike) or keep their spread while the teacher's targets
become uniform over the prototypes, and then nothing is learnt though the features look healthy. So both
are watched. Each function says in one sentence what healthy is; docs/pretraining.md shows it.
Neighbours: ``probe`` feeds them while training, ``ssl.assignments`` measures the targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

UNIFORM_SHARE = 0.99  # of ln K: collapsed runs stay above, healthy ones below (docs/pretraining.md)
ONE_HOT_SHARE = 0.01  # of ln K
POINT_RANK = 1.5  # a random network's class tokens already have more
_RANK_EPS = 1e-7  # RankMe's


def feature_rank(features_ND: Array) -> float:
    """RankMe (2210.02885): exp of the entropy of the singular values divided by their sum; 1..min(N, D).

    Healthy: it rises from the random network's value and never falls to 1.
    """
    singular = np.linalg.svd(np.asarray(features_ND, np.float64), compute_uv=False)
    total = singular.sum()
    if total == 0:
        return 1.0
    shares = singular / total + _RANK_EPS
    return float(np.exp(-(shares * np.log(shares)).sum()))


def patch_rank(patches_BND: Array) -> float:
    """``feature_rank`` of each film's own N patch tokens, averaged over films; 1..min(N, D).

    Healthy: well above 1, so that the places of a film differ; falling late in training is the loss of dense
    features that Gram anchoring (DINOv3) is meant against.
    """
    return float(np.mean([feature_rank(patches_ND) for patches_ND in patches_BND]))


def neighbour_distance(features_ND: Array) -> float:
    """KoLeo's quantity: mean distance of L2-normalised features to their nearest other one; 0..2.

    Healthy: above 0 and not falling; 0 means that films are told apart no longer. Exact duplicates count as 0.
    """
    unit = _unit(features_ND)
    if len(unit) < 2:
        return math.nan
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1)
    return float(np.linalg.norm(unit - unit[nearest], axis=1).mean())  # not √(2 - 2 cos), which loses small distances


def dimension_std(features_ND: Array) -> float:
    """Standard deviation of each dimension of L2-normalised features, averaged, times √D (SimSiam, 2011.10566).

    Healthy: towards 1, where the features fill all directions alike; 0 is the collapse to a point.
    """
    unit = _unit(features_ND)
    return float(unit.std(axis=0).mean() * math.sqrt(unit.shape[1]))


def mean_cosine(features_ND: Array) -> float:
    """Mean cosine similarity over all pairs of different rows; -1..1.

    Healthy: well below 1, which is the collapse to a point.
    """
    unit = _unit(features_ND)
    n = len(unit)
    if n < 2:
        return math.nan
    norms = (unit**2).sum()  # n, but for zero rows
    return float(((unit.sum(axis=0) ** 2).sum() - norms) / (n * (n - 1)))


def spread(cls_ND: Array, patches_BND: Array) -> dict[str, float]:
    """Every monitor of frozen features by its metric's name."""
    return {
        "feature_rank": feature_rank(cls_ND),
        "patch_rank": patch_rank(patches_BND),
        "neighbour_distance": neighbour_distance(cls_ND),
        "dimension_std": dimension_std(cls_ND),
        "mean_cosine": mean_cosine(cls_ND),
    }


def limits(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What ``warnings`` must know of a run's recipe, as its header tells it."""
    return {
        "n_prototypes": int(recipe["head"]["n_prototypes"]),
        "warmup_steps": int(recipe["optimizer"]["warmup_steps"]),
        "patience_steps": max(100, int(recipe["steps"]) // 20),
        "dino_weight": float(recipe.get("loss", {}).get("dino", 1.0)),
    }


def warnings(
    history: Sequence[Mapping[str, Any]],
    *,
    n_prototypes: int,
    warmup_steps: int,
    patience_steps: int,
    dino_weight: float = 1.0,
) -> dict[str, str]:
    """Plain sentences on collapse in the rows of a ``metrics.jsonl``, by pattern; empty while all is well.

    A pattern of the targets counts when it has held in every row of the last ``patience_steps`` or more,
    all of them after ``warmup_steps``: before that uniform targets are usual. The class tokens' rank counts
    at once.
    """
    found = {}
    uniform = math.log(n_prototypes)
    entropies = [(int(row["step"]), row["teacher_entropy"]) for row in history if _known(row, "teacher_entropy")]
    entropies = [pair for pair in entropies if pair[0] > warmup_steps]
    since = _held_since(entropies, lambda value: value >= UNIFORM_SHARE * uniform, patience_steps)
    if since is not None:
        found["uniform targets"] = (
            f"the teacher's targets have been uniform since step {since} (entropy {entropies[-1][1]:.2f} of "
            f"ln K = {uniform:.2f} nats): nothing is learnt, whatever the losses and the features' spread say. "
            "Lower recipe.optimizer.peak_lr, and leave iBOT and KoLeo on"
        )
    since = _held_since(entropies, lambda value: value <= ONE_HOT_SHARE * uniform, patience_steps)
    if since is not None:
        found["one-hot targets"] = (
            f"each target has been a single prototype since step {since} (entropy {entropies[-1][1]:.3f} nats): "
            "raise recipe.teacher.temperature_start and temperature_end"
        )
    # a student that guesses has a cross-entropy of ln K whatever the targets are, and has it before they are uniform
    guesses = [
        (int(row["step"]), (row["dino_global"] + row["dino_local"]) / dino_weight)
        for row in history
        if dino_weight and row["step"] > warmup_steps and _known(row, "dino_global") and _known(row, "dino_local")
    ]
    since = _held_since(guesses, lambda value: abs(value / uniform - 1) <= 1 - UNIFORM_SHARE, patience_steps)
    if since is not None:
        found["a guessing student"] = (
            f"the student has told the class tokens' targets no better than by guessing since step {since} "
            f"(dino_global + dino_local is {guesses[-1][1] * dino_weight:.2f}, ln K = {uniform:.2f} nats): the way "
            "into uniform collapse. Lower recipe.optimizer.peak_lr, and leave iBOT and KoLeo on"
        )
    ranks = [(int(row["step"]), row["feature_rank"]) for row in history if _known(row, "feature_rank")]
    if ranks and ranks[-1][1] < POINT_RANK:
        found["a point"] = (
            f"the class tokens of all films lie along one direction at step {ranks[-1][0]} (rank {ranks[-1][1]:.2f}): "
            "the features have collapsed to a point. Lower recipe.optimizer.peak_lr, and leave KoLeo on"
        )
    return found


def _held_since(pairs: Sequence[tuple[int, float]], holds: Callable[[float], bool], patience_steps: int) -> int | None:
    """The first step of the unbroken last stretch where ``holds``, if that is long enough."""
    first = None
    for step, value in reversed(pairs):
        if not holds(value):
            break
        first = step
    return first if first is not None and pairs[-1][0] - first >= patience_steps else None


def _known(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    return value is not None and math.isfinite(value)


def _unit(features_ND: Array) -> npt.NDArray[np.float64]:
    wide = np.asarray(features_ND, np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
