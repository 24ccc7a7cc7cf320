"""Multi-label findings: targets, loss, thresholds and figures, common to every classification head."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from adapters.base import Adapter, AdapterConfig, Evaluation, Recipe, identity_columns
from adapters.batches import FilmFeatures
from adapters.metrics import Counts, auroc, mean_of, one_class_reason
from adapters.targets import chosen_names, films_of, label_targets
from adapters.thresholds import operating_point
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.errors import UserError
from raydino.tracking import console


class ClassificationRecipe(Recipe):
    """``labels``: names of the dataset's label set, or all of them."""

    labels: tuple[str, ...] | Literal["all"]


class ClassificationConfig(AdapterConfig):
    """A config whose recipe names labels."""

    recipe: ClassificationRecipe


class Findings(NamedTuple):
    """What is said of B films, each [B, L] in the order of the adapter's labels."""

    logits: Tensor  # f32, any real
    probability: Tensor  # f32, 0..1
    decision: Tensor  # bool: probability at or above the label's threshold; never where there is none


class ClassificationAdapter(Adapter):
    """A head that gives one logit a label. Unknown labels (NaN) add nothing to the loss."""

    task = "classification"
    config_model: ClassVar[type[AdapterConfig]] = ClassificationConfig
    config: ClassificationConfig

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        asked = chosen_names(config.recipe.labels, dataset.label_names, what="labels", dataset=dataset)
        left_out: dict[str, str] = {}
        for split in ("train", "val"):
            ids = films_of(dataset, split, config.recipe.views)
            values = label_targets(dataset, ids, asked).numpy()
            for column, label in enumerate(asked):
                if reason := one_class_reason(values[:, column]):
                    left_out.setdefault(label, f"left out: {split} holds {reason}")
        labels = [label for label in asked if label not in left_out]
        if not labels:
            label, reason = next(iter(left_out.items()))
            raise UserError(
                f"no label has positive and negative films in both train and val ({label!r} is {reason})",
                where=dataset.path,
            )
        for label, reason in left_out.items():
            console.print(f"{label}: {reason}", markup=False, highlight=False)
        adapter = cls(config, spec, labels)
        adapter.left_out = left_out
        return adapter

    @abstractmethod
    def logits_BHL(self, output: EncoderOutput) -> Tensor:
        """[B, H, L] logits of every candidate head."""

    def forward(self, output: EncoderOutput) -> Tensor:
        """[B, L] logits of the head that was kept."""
        return self.logits_BHL(output)[:, 0]

    def targets(self, dataset: Dataset, sample_ids: Sequence[str]) -> Tensor:
        return label_targets(dataset, sample_ids, self.labels)

    def known(self, targets: Tensor) -> Tensor:
        return targets.isfinite().any(dim=1)

    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """Binary cross-entropy summed over a film's known labels: every label is a regression of its own."""
        logits = self.logits_BHL(output)
        known = target.isfinite()[:, None]
        truth = target.nan_to_num()[:, None].expand_as(logits)
        return (F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * known).sum(dim=2)

    def tune(self, films: FilmFeatures, targets: Tensor) -> None:
        """Youden's threshold of each label whose score is shown to separate."""
        probability, truth = self._probability(films), targets.double().numpy()
        for column, label in enumerate(self.labels):
            known = np.isfinite(truth[:, column])
            self.thresholds[label] = operating_point(
                truth[known, column], probability[known, column], n_labels=len(self.labels)
            )

    @torch.no_grad()
    def predict(self, output: EncoderOutput) -> Findings:
        self.require_films(output)
        logits = self.eval()(output)
        probability = logits.sigmoid()
        points = [self.thresholds[label] for label in self.labels]
        thresholds = torch.tensor([math.inf if p is None else p for p in points], dtype=torch.float64)
        return Findings(logits, probability, probability.double() >= thresholds.to(logits.device))

    def evaluate(self, dataset: Dataset, films: FilmFeatures, masks_to: Path | None = None) -> Evaluation:
        """AUROC of each label, sensitivity and specificity at its threshold."""
        probability = self._probability(films)
        truth = label_targets(dataset, films.sample_ids, self.labels).double().numpy()
        identity = identity_columns(dataset, films.sample_ids, self.task)
        parts, per_label, notes = [], {}, {}
        for column, label in enumerate(self.labels):
            target, score, point = truth[:, column], probability[:, column], self.thresholds[label]
            threshold = math.nan if point is None else point
            parts.append(identity.assign(label=label, target=target, score=score, threshold=threshold))
            counts = Counts.of(target, score >= threshold)
            has_point = point is not None
            per_label[label] = {
                "n_positive": int((target == 1).sum()),
                "n_negative": int((target == 0).sum()),
                "auroc": auroc(target, score),
                "sensitivity": counts.sensitivity if has_point else None,
                "specificity": counts.specificity if has_point else None,
                "threshold": point,
            }
            if reason := one_class_reason(target):
                notes[label] = f"AUROC undefined: {reason}"
            elif not has_point:
                notes[label] = "no operating point: validation does not show that its score separates"
        overall = {
            name: mean_of(row[name] for row in per_label.values()) for name in ("auroc", "sensitivity", "specificity")
        }
        return Evaluation(pd.concat(parts, ignore_index=True), per_label, overall, overall["auroc"], notes)

    def _probability(self, films: FilmFeatures) -> npt.NDArray[np.float64]:
        """[N, L] over all films."""
        self.eval()
        with torch.no_grad():
            parts = [self(output).sigmoid().cpu() for _, output in films.batches()]
        return torch.cat(parts).double().numpy()
