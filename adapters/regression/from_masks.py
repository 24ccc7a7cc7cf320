"""The cardiothoracic ratio read off predicted masks, so that it can stand beside the one that a head regresses."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.base import Evaluation, identity_columns
from adapters.regression.base import evaluation_of
from adapters.regression.targets import value_targets
from adapters.segmentation.cardiothoracic import cardiothoracic_ratio
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.predictions import Predictions
from raydino.errors import UserError
from raydino.tracking import track

RATIO = "cardiothoracic_ratio"


def ratios_of_masks(
    predictions: Predictions, dataset: Dataset, *, lungs: str = "lungs", heart: str = "heart"
) -> Evaluation:
    """A row a film whose predicted masks give a ratio, with the dataset's own ratio as the target where it has one.

    Films whose masks give none are counted in the notes, by reason. Raises UserError where the predictions hold no
    such masks, or are of another dataset, or where no film at all has a ratio.
    """
    _require_masks(predictions, dataset, (lungs, heart))
    sample_ids = list(dict.fromkeys(predictions.table["sample_id"]))
    found: dict[str, float] = {}
    refused: Counter[str] = Counter()
    for sample_id in track(sample_ids, "measuring masks"):
        both = (_mask(predictions, structure, sample_id) for structure in (lungs, heart))
        ratio, _, _, reason = cardiothoracic_ratio(*both)
        if ratio is None:
            refused[str(reason)] += 1
        else:
            found[sample_id] = ratio
    told = ", ".join(f"{reason} ({n})" for reason, n in refused.most_common())
    if not found:
        raise UserError(f"no film's masks give a ratio: {told}", where=predictions.path)
    target = value_targets(dataset, list(found), [RATIO])[:, 0].double().numpy()
    table = identity_columns(dataset, list(found), "regression").assign(
        label=RATIO, target=target, prediction=np.fromiter(found.values(), float)
    )
    evaluation = evaluation_of(table)
    if told:
        notes = [f"{refused.total()} films have no ratio: {told}", *evaluation.notes.values()]
        evaluation = replace(evaluation, notes={RATIO: "; ".join(notes)})
    return evaluation


def _require_masks(predictions: Predictions, dataset: Dataset, structures: tuple[str, str]) -> None:
    if predictions.task != "segmentation":
        raise UserError(
            f"these are predictions of {predictions.task}",
            where=predictions.path,
            remedy="give those of a segmentation adapter",
        )
    if predictions.header.inputs.get("dataset") != dataset.header.fingerprint:
        raise UserError("was made with another dataset", where=predictions.path, remedy="give that one as --data")
    known = list(pd.unique(predictions.table["label"]))
    for structure in structures:
        if structure not in known:
            remedy = f"it holds {', '.join(known)}: name them with --lungs and --heart"
            raise UserError(f"holds no masks of {structure!r}", where=predictions.path, remedy=remedy)


def _mask(predictions: Predictions, structure: str, sample_id: str) -> npt.NDArray[np.bool_] | None:
    path = predictions.path / "masks" / structure / f"{sample_id}.png"
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    return None if mask is None else np.asarray(mask >= 128)
