"""Logistic regression solved to its optimum, for every strength of the penalty, label by label.

Protocol: DINOv2's logistic regression (C = 10^linspace(-6, 5, 45) on CLS), with scikit-learn's L-BFGS. Each label takes
the C with the lowest cross-entropy on validation; unknown films are left out of the label's own problem.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures, Split
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, LabelsRecipe
from adapters.objectives import Mean, Reweighing, film_weights
from adapters.readouts import as_readout, gather
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width
from raydino.tracking import track

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-6  # of the gradient; scikit-learn's 1e-4 stops early where C is large


class SolvedRecipe(LabelsRecipe):
    """``C``: candidates of the inverse penalty; what is made small is Σ films weight · cross-entropy + ‖w‖² / 2C."""

    readout: Readout
    C: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    max_iterations: int = Field(gt=0)  # of L-BFGS, for each C


class LogisticRecipe(SolvedRecipe):
    """``objective``: every film weighs alike, or groups of patients by fixed weights."""

    objective: Annotated[Mean | Reweighing, Field(discriminator="kind")] = Mean()


class SolvedConfig(ClassificationConfig):
    """Of this head, and of ``classification.fair``, which solves many."""

    recipe: SolvedRecipe


class LogisticConfig(SolvedConfig):
    """``kind: classification_logistic``."""

    kind: Literal["classification_logistic"]
    recipe: LogisticRecipe


class Films(NamedTuple):
    """Films of a split that know one label."""

    rows: Floats  # [N, F]
    truth: Floats  # [N] 1 and 0
    weight: Floats  # [N]


@dataclass(frozen=True)
class Solved:
    """One label's regression: weight [F], bias, its C and mean cross-entropy on validation."""

    weight: Floats
    bias: float
    C: float
    loss: float
    n_unfinished: int  # solves of the grid that max_iterations ended


def solve(train: Films, val: Films, recipe: SolvedRecipe) -> Solved:
    """The C whose solution on ``train`` has the lowest weighted cross-entropy on ``val``; each starts at the last."""
    model = LogisticRegression(max_iter=recipe.max_iterations, tol=TOLERANCE, warm_start=True)
    found: list[Solved] = []
    for C in sorted(recipe.C):
        model.set_params(C=C)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(train.rows, train.truth, train.weight)
        logits = model.decision_function(val.rows)
        loss = float(np.average(np.logaddexp(0, logits) - val.truth * logits, weights=val.weight))
        unfinished = any(issubclass(warning.category, ConvergenceWarning) for warning in said)
        found.append(Solved(model.coef_[0].copy(), float(model.intercept_[0]), C, loss, int(unfinished)))
    best = min(found, key=lambda one: one.loss)
    return replace(best, n_unfinished=sum(one.n_unfinished for one in found))


class LogisticClassifier(ClassificationAdapter):
    """weight [F, L] and bias [L] on F standardised features."""

    config_model: ClassVar[type[AdapterConfig]] = LogisticConfig
    config: SolvedConfig
    weight: Tensor
    bias: Tensor

    def __init__(self, config: SolvedConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        width = readout_width(config.recipe.readout, self.width)
        self.standardise = Standardise(width)
        self.register_buffer("weight", torch.zeros(width, len(labels)))
        self.register_buffer("bias", torch.zeros(len(labels)))

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        super().observe(films, targets)
        self.standardise.observe(self.condense(output) for _, output in films.batches())

    def learn(self, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
        recipe = self.config.recipe
        weights = film_weights(recipe.objective if isinstance(recipe, LogisticRecipe) else Mean(), train, val)
        films = zip(*(self.films_of_labels(*one) for one in zip((train, val), weights, strict=True)), strict=True)
        chosen: dict[str, float] = {}
        total, unfinished = 0.0, 0
        for column, label in enumerate(track(self.labels, "solving logistic regressions")):
            mine, val_mine = next(films)
            best = solve(mine, val_mine, recipe)
            self.weight[:, column] = torch.from_numpy(best.weight)
            self.bias[column] = best.bias
            chosen[label], unfinished = best.C, unfinished + best.n_unfinished
            total += best.loss * len(val_mine.truth) / len(val.films)
        return {"loss": total, "C": chosen, "n_unfinished": unfinished}

    def films_of_labels(self, split: Split, weights: Tensor) -> Iterator[Films]:
        """Label after label the films that know it, standardised; ``weights`` [N, L]."""
        features = gather(split.films, self.config.recipe.readout).to(self.device)
        rows = self.standardise(features).cpu().double().numpy()
        for truth, weight in zip(split.targets.T.double().numpy(), weights.T.double().numpy(), strict=True):
            known = np.isfinite(truth)
            yield Films(rows[known], truth[known], weight[known])

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        return as_readout(output, self.config.recipe.readout)

    def logits_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        features = self.standardise(self.condense(output))
        return torch.addmm(self.bias, features, self.weight)[:, None]
