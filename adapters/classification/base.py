"""Multi-label findings: targets, loss, calibration and thresholds, common to every classification head.

Three things are told apart: a head's ``logits``, the ``probability`` that calibration makes of them, and the
``decision`` at the operating point. All that turns one into the next is fitted on validation films only.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from adapters.base import Adapter, AdapterConfig, CommonRecipe, Evaluation, Recipe, identity_columns
from adapters.batches import FilmFeatures, Split
from adapters.calibration import Method, calibrate, read_calibration
from adapters.classification.evaluation import evaluation_of
from adapters.classification.losses import BCE, Loss
from adapters.descent import film_losses, without_negligible_gradients
from adapters.groups import GroupedBy, Names, grouped, told
from adapters.metrics import one_class_reason
from adapters.objectives import AnyObjective, Mean, Objective
from adapters.targets import chosen_labels, label_targets
from adapters.thresholds import OperatingPoint, Youden, operating_point
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec

Floats = npt.NDArray[np.float64]


class LabelsRecipe(CommonRecipe):
    """``labels``: of the dataset's label set, or all of them, or questions such as ``sex=F`` (``attributes``)."""

    labels: tuple[str, ...] | Literal["all"] = Field(min_length=1)
    calibration: Method = "none"  # of each label's logits, on validation
    operating_point: OperatingPoint = Youden()  # of each label's probability, on validation


class ClassificationRecipe(LabelsRecipe, Recipe):
    """Of a head that is fitted by gradient descent."""

    loss: Loss = BCE()
    objective: AnyObjective = Mean()  # what is made small of the films' losses; groups of patients may weigh in it


class ClassificationConfig(AdapterConfig):
    """A config whose recipe names labels."""

    recipe: LabelsRecipe


class Findings(NamedTuple):
    """What is said of B films, each [B, L] in the order of the adapter's labels."""

    logits: Tensor  # f32, any real
    probability: Tensor  # f32, 0..1, calibrated
    decision: Tensor  # bool: probability at or above the label's threshold; never where there is none


class ClassificationAdapter(Adapter):
    """A head that gives one logit a label. Unknown labels (NaN) add nothing to the loss."""

    task = "classification"
    config_model: ClassVar[type[AdapterConfig]] = ClassificationConfig
    config: ClassificationConfig

    def __init__(self, config: ClassificationConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self.group_names: Names = ()  # of each label, where groups are told apart
        self.prevalence: Tensor  # [L] of the training films that know the label
        self.register_buffer("prevalence", torch.full((len(labels),), 0.5), persistent=False)

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        asked = chosen_labels(config.recipe.labels, dataset)

        def lacks(ids: Sequence[str]) -> dict[str, str]:
            reasons = [one_class_reason(values) for values in label_targets(dataset, ids, asked).numpy().T]
            return {label: reason for label, reason in zip(asked, reasons, strict=True) if reason}

        nothing = "no label has positive and negative films in both train and val"
        return cls.begin_with(config, spec, dataset, asked, lacks, nothing=nothing)

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

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Prevalence, for first guesses and for losses that weigh by it."""
        self.prevalence.copy_(targets.nanmean(dim=0))

    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """[B, H, L] the recipe's loss, or cross-entropy where it names none; 0 of unknown labels."""
        loss = self.config.recipe.loss if isinstance(self.config.recipe, ClassificationRecipe) else BCE()
        return loss(without_negligible_gradients(self.logits_BHL(output)), target, self.prevalence)

    def grouped(self, dataset: Dataset, train: Split, val: Split) -> tuple[Split, Split]:
        asked = getattr(self.config.recipe, "objective", None)  # not every head weighs films
        if not isinstance(asked, GroupedBy):
            return train, val
        (train, val), self.group_names = grouped((train, val), dataset, asked, self.labels, classes=False)
        return train, val

    def objective(self, train: Split, val: Split) -> Objective:
        if not isinstance(self.config.recipe, ClassificationRecipe):
            return super().objective(train, val)
        return self.config.recipe.objective.begin(train, val, self.device)

    def told(self, train: Split, val: Split) -> dict[str, Any]:
        """Where groups are told apart: who they are and what the fitted head loses on each."""
        if train.groups is None or val.groups is None:
            return {}
        losses = film_losses(self, val)[:, 0].cpu()
        return {"groups": told(self.labels, self.group_names, train.groups, val.groups, losses)}

    def tune(self, films: FilmFeatures, targets: Tensor) -> None:
        """Calibration of each label, then the operating point of each whose probability is shown to separate."""
        recipe, logits, truth = self.config.recipe, self.logits_of(films), targets.double().numpy()
        for column, label in enumerate(self.labels):
            known = np.isfinite(truth[:, column])
            target, score = truth[known, column], logits[known, column]
            calibration = calibrate(recipe.calibration, target, score)
            self.calibration[label] = calibration.resolved()
            self.thresholds[label] = operating_point(
                target, calibration(score), n_labels=len(self.labels), rule=recipe.operating_point
            )

    def calibrated(self, logits: Floats) -> Floats:
        """[N, L] logits → probabilities."""
        columns = [
            read_calibration(self.calibration.get(label))(logits[:, column]) for column, label in enumerate(self.labels)
        ]
        return np.stack(columns, axis=1)

    @torch.no_grad()
    def predict(self, output: EncoderOutput) -> Findings:
        self.require_films(output)
        logits = self.eval()(output)
        probability = self.calibrated(logits.cpu().double().numpy())
        points = [self.thresholds[label] for label in self.labels]
        decision = probability >= np.array([math.inf if point is None else point for point in points])
        return Findings(
            logits,
            torch.from_numpy(probability).float().to(logits.device),
            torch.from_numpy(decision).to(logits.device),
        )

    def evaluate(self, dataset: Dataset, films: FilmFeatures, masks_to: Path | None = None) -> Evaluation:
        """AUROC, calibration, sensitivity and specificity at the threshold, of films and of patients."""
        logits = self.logits_of(films)
        return evaluation_of(
            identity_columns(dataset, films.sample_ids, self.task),
            labels=self.labels,
            target=label_targets(dataset, films.sample_ids, self.labels).double().numpy(),
            logits=logits,
            probability=self.calibrated(logits),
            thresholds=self.thresholds,
        )

    @torch.no_grad()
    def logits_of(self, films: FilmFeatures) -> Floats:
        """[N, L] over all films."""
        self.eval()
        return torch.cat([self(output).cpu() for _, output in films.batches()]).double().numpy()
