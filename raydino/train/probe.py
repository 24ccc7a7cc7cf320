"""A k-nearest-neighbour probe of frozen features, to watch while training (DINOv2 eval: T = 0.07)."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score

from raydino.artifacts.dataset import Dataset
from raydino.data.films import Films, whole_film
from raydino.nn.vit import VisionTransformer

Array = npt.NDArray[np.floating]


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


def macro_auroc(labels_NL: Array, scores_NL: Array) -> float:
    """Mean AUROC over the labels that have both classes among the known ones; NaN when none has."""
    values = []
    for label, score in zip(labels_NL.T, scores_NL.T, strict=True):
        known = ~np.isnan(label)
        if len(np.unique(label[known])) == 2:
            values.append(roc_auc_score(label[known], score[known]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.mean(values)) if values else float("nan")


class KnnProbe:
    """From training to validation films of a dataset; measures nothing where there are no labels."""

    def __init__(self, dataset: Dataset, side: int, *, at_most: int = 1000) -> None:
        self._views, self._labels = [], []
        for split in ("train", "val"):
            labels = dataset.labels.loc[dataset.sample_ids(split)].dropna(how="all")[:at_most]
            films = Films(dataset, list(labels.index), cache_bytes=0)
            views = [(whole_film(films[i], side) * 255).astype(np.uint8) for i in range(len(films))]
            self._views.append(np.reshape(views, (-1, 1, side, side)).astype(np.uint8))
            self._labels.append(labels.to_numpy(float))

    def measure(self, vit: VisionTransformer, mean: float, std: float) -> dict[str, float]:
        """``knn_auroc`` of the class token (k = 20), or nothing."""
        if any(len(views) == 0 for views in self._views):
            return {}
        train, val = (_class_tokens(vit, views, mean, std) for views in self._views)
        auroc = macro_auroc(self._labels[1], knn_scores(train, self._labels[0], val, k=20))
        return {} if np.isnan(auroc) else {"knn_auroc": auroc}


@torch.no_grad()
def _class_tokens(vit: VisionTransformer, views: npt.NDArray[np.uint8], mean: float, std: float) -> Array:
    device = vit.cls_token.device
    parts = []
    for start in range(0, len(views), 64):
        images = torch.from_numpy(views[start : start + 64]).to(device).float() / 255
        parts.append(vit((images - mean) / std).cls.float().cpu().numpy())
    return np.concatenate(parts)
