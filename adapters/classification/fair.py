"""Logistic regression under a fairness constraint: fairlearn's exponentiated gradient reduction, label by label.

Protocol: Agarwal 2018 (1803.02453). The reduction turns the constraint into costs of single films and solves a series
of weighted logistic regressions; its answer draws one of them for each film. Here nothing is drawn: the probability is
the mean of theirs, which a threshold then calls, so that a film is always called alike. The constraint was met by the
drawn calls on the training films, and has to be looked at again (``raydino audit``). No group is needed to predict.

A reduction needs features, so it is a head here and not a method of ``audit mitigate``, which sees scores alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors import SafetensorError, safe_open
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from adapters.base import AdapterConfig
from adapters.batches import Split
from adapters.classification.logistic import (
    TOLERANCE,
    Films,
    Floats,
    LogisticClassifier,
    SolvedConfig,
    SolvedRecipe,
    solve,
)
from adapters.groups import GroupedBy, grouped
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import readout_width
from raydino.tracking import track

Constraint = Literal["true_positive_rate_parity", "false_positive_rate_parity", "equalized_odds", "demographic_parity"]
SURE = 30.0  # logit of a member that says the same of every film


class FairRecipe(SolvedRecipe, GroupedBy):
    """A label takes the C of plain logistic regression; ``min_patients`` is asked of either class in training."""

    constraint: Constraint
    difference: float = Field(gt=0)  # of the rate, that a group may be from everyone's
    rounds: int = Field(gt=0)  # of the reduction, at most


class FairConfig(SolvedConfig):
    """``kind: classification_fair``."""

    kind: Literal["classification_fair"]
    recipe: FairRecipe


class Mixture(NamedTuple):
    """M regressions and how often each is drawn."""

    weight: Floats  # [M, F]
    bias: Floats  # [M]
    share: Floats  # [M], sum 1


def reduced(films: Films, group: npt.NDArray[Any], C: float, recipe: FairRecipe) -> Mixture:
    """The reduction on ``films`` [N], whose weights must be equal, and their ``group`` [N].

    A missed film costs (1 - π) and a false call π, for the prevalence π, so that calls balance both classes: with equal
    costs nobody is called for a rare finding, and every rate is the same.
    """
    from fairlearn import reductions

    moment = "".join(word.capitalize() for word in recipe.constraint.split("_"))
    prevalence = float(films.truth.mean())
    reduction = reductions.ExponentiatedGradient(
        LogisticRegression(C=C, max_iter=recipe.max_iterations, tol=TOLERANCE),
        getattr(reductions, moment)(difference_bound=recipe.difference),
        objective=reductions.ErrorRate(costs={"fp": prevalence, "fn": 1 - prevalence}),
        max_iter=recipe.rounds,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas; solves that are cut short are counted where C is chosen
        reduction.fit(films.rows, films.truth.astype(int), sensitive_features=group)
    drawn = reduction.weights_[reduction.weights_ > 0]
    each = [linear_of(reduction.predictors_[number], films.rows.shape[1]) for number in drawn.index]
    weight, bias = zip(*each, strict=True)
    return Mixture(np.stack(weight), np.array(bias), drawn.to_numpy(np.float64) / float(drawn.sum()))


def linear_of(model: Any, width: int) -> tuple[Floats, float]:
    """Weight [F] and bias of a member; fairlearn sets a constant where all films should be called alike."""
    if isinstance(model, LogisticRegression):
        return model.coef_[0], float(model.intercept_[0])
    return np.zeros(width), SURE if model.constant else -SURE


def mixed_logit(logits: Tensor, share: Tensor) -> Tensor:
    """[B, L] the log odds of Σ share σ(logits), from ``logits`` [B, M, L] and ``share`` [M, L]."""
    positive, negative = (torch.logsumexp(share.log() + F.logsigmoid(sign * logits), dim=1) for sign in (1, -1))
    return positive - negative


class FairClassifier(LogisticClassifier):
    """weight [M, F, L], bias [M, L] and share [M, L] of the largest mixture; what a label lacks has share 0."""

    config_model: ClassVar[type[AdapterConfig]] = FairConfig
    config: FairConfig
    share: Tensor

    def __init__(self, config: FairConfig, spec: EncoderSpec, labels: Sequence[str], n_members: int = 1) -> None:
        super().__init__(config, spec, labels)
        self._hold(n_members, readout_width(config.recipe.readout, self.width))

    def _hold(self, n_members: int, width: int) -> None:
        n_labels, device = len(self.labels), self.device
        self.weight = torch.zeros(n_members, width, n_labels, device=device)
        self.bias = torch.zeros(n_members, n_labels, device=device)
        self.register_buffer("share", torch.full((n_members, n_labels), 1 / n_members, device=device))

    @classmethod
    def restore(cls, config: Any, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> Self:
        try:
            with safe_open(directory / "weights.safetensors", "pt") as file:
                n_members = file.get_slice("share").get_shape()[0]
        except (OSError, SafetensorError):
            n_members = 1  # loading the weights will say what is wrong with the file
        return cls(config, spec, labels, n_members)

    def grouped(self, dataset: Dataset, train: Split, val: Split) -> tuple[Split, Split]:
        (train, val), self.group_names = grouped((train, val), dataset, self.config.recipe, self.labels, classes=True)
        return train, val

    def learn(self, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
        if train.groups is None:
            raise RuntimeError("fitting needs splits with groups: FairClassifier.grouped")
        films = zip(*(self.films_of_labels(s, torch.ones_like(s.targets)) for s in (train, val)), strict=True)
        mixtures, chosen, unfinished = [], {}, 0
        for column, label in enumerate(track(self.labels, "reducing to logistic regressions")):
            mine, val_mine = next(films)
            group = train.groups[train.targets[:, column].isfinite(), column].numpy()
            plain = solve(mine, val_mine, self.config.recipe)
            mixtures.append(reduced(mine, group, plain.C, self.config.recipe))
            chosen[label], unfinished = plain.C, unfinished + plain.n_unfinished
        self._take(mixtures)
        members = {label: len(one.share) for label, one in zip(self.labels, mixtures, strict=True)}
        return {"C": chosen, "n_unfinished": unfinished, "members": members}

    def _take(self, mixtures: Sequence[Mixture]) -> None:
        self._hold(max(len(one.share) for one in mixtures), mixtures[0].weight.shape[1])
        self.share.zero_()
        for column, one in enumerate(mixtures):
            n = len(one.share)
            self.weight[:n, :, column] = torch.from_numpy(one.weight)
            self.bias[:n, column] = torch.from_numpy(one.bias)
            self.share[:n, column] = torch.from_numpy(one.share)

    def logits_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        features = self.standardise(self.condense(output))
        logits = torch.einsum("bf,mfl->bml", features, self.weight) + self.bias
        return mixed_logit(logits, self.share)[:, None]
