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
    """``films_of`` the recipe's views that answer yes to all it asks by ``only``; of train those of its share of the
    patients.

    A ``mix`` takes so many patients of each question, and of validation as many as its patients allow in the same
    proportion. Shares and mixtures are taken from one order of all patients that the seed alone decides, so that
    less lies within more; at least one patient is taken. Raises UserError where no film answers yes, a question
    cannot be asked, or a mixture asks for more patients than there are.
    """
    ids = films_of(dataset, split, recipe.views)
    for question in recipe.only:
        ids = films_answering(dataset, split, question, ids)
    if recipe.mix:
        ids = _mixed(dataset, split, ids, recipe)
    if split != "train" or recipe.train_share == 1:
        return ids
    patient = dataset.accepted.loc[ids, "patient_id"]
    patients = np.unique(patient.to_numpy(dtype=str))
    order = np.random.default_rng(recipe.seed).permutation(len(patients))
    chosen = patients[order[: math.ceil(recipe.train_share * len(patients))]]
    return list(patient.index[patient.isin(chosen)])


def films_answering(dataset: Dataset, split: str, question: str, ids: Sequence[str]) -> list[str]:
    """Those of ``ids``, films of ``split``, that answer yes. Raises UserError where there is none."""
    asked = Attribute.of(question)
    if asked is None:
        raise UserError(f"{question!r} is no question to a column", remedy="ask such as sex=F, site=A, age>=50, age<18")
    found = [s for s, answer in zip(ids, asked.answers(dataset, ids), strict=True) if answer == 1]
    if not found:
        raise UserError(f"its {split} split holds no film of {question}", where=dataset.path)
    return found


def _mixed(dataset: Dataset, split: str, ids: list[str], recipe: CommonRecipe) -> list[str]:
    patient = dataset.accepted.loc[ids, "patient_id"].astype(str)
    order = np.random.default_rng(recipe.seed).permutation(np.unique(patient.to_numpy(dtype=str)))
    films = {question: patient[films_answering(dataset, split, question, ids)] for question in recipe.mix}
    queues = {question: order[np.isin(order, mine)] for question, mine in films.items()}
    scale = 1.0 if split == "train" else min(len(queues[q]) / count for q, count in recipe.mix.items())
    chosen: set[str] = set()
    for question, count in recipe.mix.items():
        wanted, queue = max(1, int(scale * count + 1e-9)), queues[question]
        if wanted > len(queue):
            raise UserError(
                f"its {split} split holds {len(queue)} patients of {question}; the mix asks for {wanted}",
                where=dataset.path,
            )
        chosen.update(films[question].index[films[question].isin(queue[:wanted])])
    return [sample_id for sample_id in ids if sample_id in chosen]


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
