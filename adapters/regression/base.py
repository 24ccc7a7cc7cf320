"""Continuous columns of a film or its patient: targets, loss and figures, common to every regression head.

A head works in standard deviations from the mean of the training films; both stand in the bundle beside its weights.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from adapters.base import Adapter, AdapterConfig, Evaluation, Recipe, identity_columns
from adapters.batches import FilmFeatures
from adapters.metrics import mean_of
from adapters.regression.metrics import Agreement, undefined_reason
from adapters.regression.targets import continuous_columns, value_targets
from adapters.targets import chosen_names
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec


class RegressionRecipe(Recipe):
    """``columns``: age_years, names of the dataset's measurements, or all of them.

    ``loss``: of the error in standard deviations; huber is square up to 1 and linear beyond, so that a few wrong
    values in the data weigh less.
    """

    columns: tuple[str, ...] | Literal["all"]
    loss: Literal["huber", "mse"]


class RegressionConfig(AdapterConfig):
    """A config whose recipe names continuous columns."""

    recipe: RegressionRecipe


class Measurements(NamedTuple):
    """What is said of B films, each [B, L] in the order of the adapter's labels."""

    standardised: Tensor  # f32, standard deviations from the training films' mean
    value: Tensor  # f32, in the column's own unit


class RegressionAdapter(Adapter):
    """A head that gives one number a column. Unknown values (NaN) add nothing to the loss."""

    task = "regression"
    config_model: ClassVar[type[AdapterConfig]] = RegressionConfig
    config: RegressionConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: RegressionConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self.register_buffer("mean", torch.zeros(len(labels)))
        self.register_buffer("std", torch.ones(len(labels)))

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        available = continuous_columns(dataset)
        asked = chosen_names(config.recipe.columns, available, what="continuous columns", dataset=dataset)

        def lacks(ids: Sequence[str]) -> dict[str, str]:
            columns = value_targets(dataset, ids, asked).T
            n_different = {name: len(v[v.isfinite()].unique()) for name, v in zip(asked, columns, strict=True)}
            return {name: f"{n} different values of it" for name, n in n_different.items() if n < 2}

        return cls.begin_with(config, spec, dataset, asked, lacks, nothing="no column varies in both train and val")

    @abstractmethod
    def standardised_BHL(self, output: EncoderOutput) -> Tensor:
        """[B, H, L] what every candidate head says, in standard deviations from the mean."""

    def forward(self, output: EncoderOutput) -> Tensor:
        """[B, L] of the head that was kept."""
        return self.standardised_BHL(output)[:, 0]

    def targets(self, dataset: Dataset, sample_ids: Sequence[str]) -> Tensor:
        return value_targets(dataset, sample_ids, self.labels)

    def known(self, targets: Tensor) -> Tensor:
        return targets.isfinite().any(dim=1)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Mean and standard deviation of each column's known values."""
        values = targets.double()
        mean = values.nanmean(dim=0)
        self.mean.copy_(mean)
        self.std.copy_((values - mean).square().nanmean(dim=0).sqrt())

    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """Summed over a film's known columns: every column is a regression of its own."""
        known = target.isfinite()[:, None]
        said = self.standardised_BHL(output)
        truth = ((target - self.mean) / self.std).nan_to_num()[:, None].expand_as(said)
        loss = F.huber_loss if self.config.recipe.loss == "huber" else F.mse_loss
        return (loss(said, truth, reduction="none") * known).sum(dim=2)

    @torch.no_grad()
    def predict(self, output: EncoderOutput) -> Measurements:
        self.require_films(output)
        standardised = self.eval()(output)
        return Measurements(standardised, self.mean + self.std * standardised)

    def evaluate(self, dataset: Dataset, films: FilmFeatures, masks_to: Path | None = None) -> Evaluation:
        """Errors and agreement of each column over the films where it is known."""
        said = torch.cat([self.predict(output).value.cpu() for _, output in films.batches()]).double().numpy()
        truth = self.targets(dataset, films.sample_ids).double().numpy()
        identity = identity_columns(dataset, films.sample_ids, self.task)
        table = pd.concat(
            [
                identity.assign(label=name, target=truth[:, column], prediction=said[:, column])
                for column, name in enumerate(self.labels)
            ],
            ignore_index=True,
        )
        return evaluation_of(table)


def evaluation_of(table: pd.DataFrame) -> Evaluation:
    """The figures of each label of a table in the regression layout of ``raydino.artifacts.predictions``.

    Labels have units of their own, so only the figures without a unit are averaged; R² sums the task up.
    """
    per_label: dict[str, dict[str, float | None]] = {}
    notes = {}
    for name, rows in table.groupby("label", sort=False):
        truth, said = rows["target"].to_numpy(float), rows["prediction"].to_numpy(float)
        per_label[str(name)] = {"n_known": len(rows["target"].dropna()), **Agreement.of(truth, said)._asdict()}
        if reason := undefined_reason(truth, said):
            notes[str(name)] = reason
    overall = {name: mean_of(row[name] for row in per_label.values()) for name in ("r2", "pearson")}
    return Evaluation(table, per_label, overall, overall["r2"], notes)
