"""From a dataset's tables to tensors: which films, which labels, what is known of them.

Unknown stays unknown: NaN in labels, ``UNKNOWN`` in masks, an empty row in texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from adapters.attributes import Attribute
from raydino.artifacts.dataset import Dataset
from raydino.errors import UserError
from raydino.tracking import track

if TYPE_CHECKING:
    from adapters.base import CommonRecipe

UNKNOWN = 255


def films_of(dataset: Dataset, split: str, views: Sequence[str]) -> list[str]:
    """Accepted films of ``split`` in one of ``views``; a film without a view counts as UNKNOWN.

    Raises UserError when there is none.
    """
    ids = dataset.sample_ids(split)
    view = dataset.accepted.loc[ids, "view"].fillna("UNKNOWN")
    chosen = list(view.index[view.isin(list(views))])
    if not chosen:
        found = ", ".join(f"{n} {name}" for name, n in view.value_counts().items()) or "none at all"
        raise UserError(
            f"its {split} split holds no film of the views {', '.join(views)} (it holds {found})", where=dataset.path
        )
    return chosen


def teaching_films(dataset: Dataset, split: str, recipe: CommonRecipe) -> list[str]:
    """``films_of`` the recipe's views; of train those of its share of the patients.

    The share is taken from one order of all patients that the seed alone decides, so that a smaller share lies
    within a larger one; at least one patient is taken.
    """
    ids = films_of(dataset, split, recipe.views)
    if split != "train" or recipe.train_share == 1:
        return ids
    patient = dataset.accepted.loc[ids, "patient_id"]
    patients = np.unique(patient.to_numpy(dtype=str))
    order = np.random.default_rng(recipe.seed).permutation(len(patients))
    chosen = patients[order[: math.ceil(recipe.train_share * len(patients))]]
    return list(patient.index[patient.isin(chosen)])


def chosen_names(
    asked: Sequence[str] | Literal["all"], available: Sequence[str], *, what: str, dataset: Dataset
) -> list[str]:
    """``asked`` when the dataset has all of them, or everything that it has for ``all``."""
    if not available:
        raise UserError(f"holds no {what}", where=dataset.path, remedy=f"ingest an archive with {what}")
    if asked == "all":
        return list(available)
    for name in asked:
        if name not in available:
            near = get_close_matches(name, available, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it holds {', '.join(available)}"
            raise UserError(f"holds no {what} called {name!r}", where=dataset.path, remedy=hint)
    return list(asked)


def chosen_labels(asked: Sequence[str] | Literal["all"], dataset: Dataset) -> list[str]:
    """Labels of the dataset's label set (all of them for ``all``), and questions to its columns (``attributes``)."""
    if asked == "all":
        return chosen_names("all", dataset.label_names, what="labels", dataset=dataset)
    findings = [name for name in asked if name in dataset.label_names or Attribute.of(name) is None]
    if findings:
        chosen_names(findings, dataset.label_names, what="labels", dataset=dataset)
    return list(asked)


def label_targets(dataset: Dataset, sample_ids: Sequence[str], labels: Sequence[str]) -> Tensor:
    """[N, L] float32: 1 present, 0 absent, NaN unknown; a label that the dataset lacks is unknown throughout."""
    frame = dataset.labels.reindex(index=list(sample_ids), columns=list(labels))
    values = frame.to_numpy(dtype=np.float32, na_value=np.nan, copy=True)
    for column, label in enumerate(labels):
        attribute = None if label in dataset.label_names else Attribute.of(label)
        if attribute:
            values[:, column] = attribute.answers(dataset, sample_ids)
    return torch.from_numpy(values)


def mask_targets(dataset: Dataset, sample_ids: Sequence[str], structures: Sequence[str], size: int) -> Tensor:
    """[N, S, size, size] uint8: 1 inside, 0 outside, UNKNOWN everywhere where there is no mask."""
    masks = np.full((len(sample_ids), len(structures), size, size), UNKNOWN, np.uint8)
    for row, sample_id in enumerate(track(sample_ids, "reading masks")):
        for channel, structure in enumerate(structures):
            mask = dataset.mask(structure, sample_id)
            if mask is not None:
                covered = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
                masks[row, channel] = covered >= 0.5
    return torch.from_numpy(masks)


def texts_of(dataset: Dataset, sample_ids: Sequence[str]) -> list[str | None]:
    """The report of each film, or None where there is none or only blanks."""
    text = dataset.reports["text"].reindex(list(sample_ids))
    return [t.strip() if isinstance(t, str) and t.strip() else None for t in text]
