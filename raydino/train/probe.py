"""What frozen features are worth while training: k-NN and linear probes of findings, and the monitors of collapse.

The teacher encodes a fixed set of training and validation films (at most 1,000 of each, kept as 8-bit views);
test films are never touched. k-NN as in DINOv2's evaluation (T = 0.07, k = 20). The linear probe is one logistic
regression a finding on [class token, mean patch token], with C chosen on a slice of the training films.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from raydino.artifacts.dataset import Dataset
from raydino.data.batches import Batch
from raydino.data.films import Films, whole_film
from raydino.nn.vit import VisionTransformer
from raydino.train.monitors import spread

Array = npt.NDArray[np.floating]

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1)
CHOOSING_SHARE = 0.25  # of the training patients, on which C is chosen
PATCH_FILMS = 64  # films whose patch tokens are looked at


class Observer(Protocol):
    """Looks at the teacher every ``runtime.probe_every_steps`` steps, on the main process."""

    def measure(self, step: int, teacher: VisionTransformer, batch: Batch | None) -> dict[str, float]:
        """Metrics of ``step``; ``batch`` is the one it was made from, where it is at hand."""


def knn_scores(train_ND: Array, train_labels_NL: Array, query_MD: Array, *, k: int, temperature: float = 0.07) -> Array:
    """Weighted vote of the ``k`` most cosine-similar training films for each label, [M, L] in 0..1.

    Neighbours whose label is unknown (NaN) do not vote; no vote at all gives 0.5.
    """
    train, query = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (train_ND, query_MD))
    similarity = query @ train.T
    k = min(k, len(train))
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    weights = np.exp(np.take_along_axis(similarity, nearest, axis=1) / temperature)
    labels = train_labels_NL[nearest]
    known = ~np.isnan(labels)
    votes = (weights[:, :, None] * np.where(known, labels, 0.0)).sum(axis=1)
    total = (weights[:, :, None] * known).sum(axis=1)
    return np.where(total > 0, votes / np.maximum(total, 1e-12), 0.5)


def logistic_scores(train_ND: Array, train_labels_NL: Array, query_MD: Array, *, c: float) -> Array:
    """One logistic regression a label on standardised features, [M, L] in 0..1; 0.5 for a label of one class.

    Films whose label is unknown (NaN) are left out of that label's fit.
    """
    scaler = StandardScaler().fit(train_ND)
    train, query = scaler.transform(train_ND), scaler.transform(query_MD)
    scores = np.full((len(query), train_labels_NL.shape[1]), 0.5)
    for column, label in enumerate(train_labels_NL.T):
        known = ~np.isnan(label)
        if len(np.unique(label[known])) < 2:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an unfinished fit still ranks films
            model = LogisticRegression(C=c, max_iter=200).fit(train[known], label[known])
        scores[:, column] = model.predict_proba(query)[:, 1]
    return scores


def choose_c(features_ND: Array, labels_NL: Array, patients: npt.NDArray[np.str_]) -> float:
    """The value of ``C_GRID`` that ranks best the films of every fourth patient when fitted on the others."""
    names = np.unique(patients)
    chosen = np.isin(patients, names[:: round(1 / CHOOSING_SHARE)])
    if chosen.all():
        return C_GRID[0]
    fit = features_ND[~chosen], labels_NL[~chosen]
    aurocs = [macro_auroc(labels_NL[chosen], logistic_scores(*fit, features_ND[chosen], c=c)) for c in C_GRID]
    return C_GRID[0] if np.isnan(aurocs).all() else C_GRID[int(np.nanargmax(aurocs))]


def macro_auroc(labels_NL: Array, scores_NL: Array) -> float:
    """Mean AUROC over the labels that have both classes among the known ones; NaN when none has."""
    values = []
    for label, score in zip(labels_NL.T, scores_NL.T, strict=True):
        known = ~np.isnan(label)
        if len(np.unique(label[known])) == 2:
            values.append(roc_auc_score(label[known], score[known]))
    return float(np.mean(values)) if values else float("nan")


class FrozenFeatures(NamedTuple):
    """Of N films: cls [N, D], the mean patch token [N, D], and all patch tokens of the first ones [n, h·w, D]."""

    cls: Array
    mean_patch: Array
    patches: Array


class Probe:
    """``knn_auroc`` and ``linear_auroc`` from training to validation films, and ``monitors.spread``.

    Where there are no labels, only the latter; nothing where there is no film. ``side`` is that of the square
    views, ``mean`` and ``std`` are the pixels' of the run.
    """

    def __init__(self, dataset: Dataset, side: int, *, mean: float, std: float, at_most: int = 1000) -> None:
        self._mean, self._std = mean, std
        self._train = _ProbeFilms(dataset, "train", side, at_most)
        self._val = _ProbeFilms(dataset, "val", side, at_most)

    def measure(self, step: int, teacher: VisionTransformer, batch: Batch | None) -> dict[str, float]:
        if not len(self._val.views) or not len(self._train.views):
            return {}
        val = frozen_features(teacher, self._val.views, self._mean, self._std)
        metrics = spread(val.cls, val.patches)
        if not (self._val.is_labelled and self._train.is_labelled):
            return metrics
        train = frozen_features(teacher, self._train.views, self._mean, self._std)
        metrics["knn_auroc"] = macro_auroc(self._val.labels, knn_scores(train.cls, self._train.labels, val.cls, k=20))
        both = [np.concatenate([features.cls, features.mean_patch], axis=1) for features in (train, val)]
        c = choose_c(both[0], self._train.labels, self._train.patients)
        metrics["linear_auroc"] = macro_auroc(
            self._val.labels, logistic_scores(both[0], self._train.labels, both[1], c=c)
        )
        return {name: value for name, value in metrics.items() if not np.isnan(value)}


class _ProbeFilms:
    """Views [N, 1, side, side] uint8, labels [N, L] and patients of a split; labelled films where there are any."""

    def __init__(self, dataset: Dataset, split: str, side: int, at_most: int) -> None:
        labels = dataset.labels.loc[dataset.sample_ids(split)]
        labelled = labels.dropna(how="all")
        self.is_labelled = len(labelled) > 0
        chosen = (labelled if self.is_labelled else labels)[:at_most]
        films = Films(dataset, list(chosen.index), cache_bytes=0)
        views = [(whole_film(films[i], side) * 255).round().astype(np.uint8) for i in range(len(films))]
        self.views = np.reshape(views, (-1, 1, side, side)).astype(np.uint8)
        self.labels = chosen.to_numpy(float)
        self.patients = dataset.accepted.loc[chosen.index, "patient_id"].to_numpy(str)


@torch.no_grad()
def frozen_features(vit: VisionTransformer, views: npt.NDArray[np.uint8], mean: float, std: float) -> FrozenFeatures:
    """Encode ``views`` [N, 1, S, S] uint8, 64 at a time."""
    device = vit.cls_token.device
    cls, mean_patch, patches = [], [], []
    for start in range(0, len(views), 64):
        images = torch.from_numpy(views[start : start + 64]).to(device).float() / 255
        tokens = vit((images - mean) / std)
        cls.append(tokens.cls.float().cpu().numpy())
        mean_patch.append(tokens.patches.float().mean(dim=(1, 2)).cpu().numpy())
        if start < PATCH_FILMS:
            patches.append(tokens.patches[: PATCH_FILMS - start].float().flatten(1, 2).cpu().numpy())
    return FrozenFeatures(*(np.concatenate(parts) for parts in (cls, mean_patch, patches)))
