"""What an adapter is: a small network on a frozen encoder's output, with its targets, loss and figures.

An adapter sees ``EncoderOutput`` and ``EncoderSpec``, never the encoder: it cannot unfreeze it, and
cached features serve as well as live ones. In Python::

    encoder = Encoder.load("encoder/")
    adapter = load_adapter("findings/", encoder.spec)
    images = torch.from_numpy(whole_film(film, adapter.spec.image_size))[None]
    findings = adapter.predict(encoder(images, adapter.config.recipe.blocks))
    print(adapter.labels, findings.probability, findings.decision)

A task's base class (``classification.base``, ``segmentation.base``, ``report.base``) holds targets, loss
and figures; a head adds ``forward``. ``fit`` and ``predict`` know only this file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pandas as pd
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from adapters.batches import FilmFeatures, Split
from adapters.descent import descend
from adapters.objectives import Objective, OverFilms
from adapters.targets import teaching_films
from raydino.artifacts.dataset import Dataset
from raydino.config import Config
from raydino.encoder import LAST, Blocks, EncoderOutput, EncoderSpec
from raydino.errors import UserError
from raydino.tracking import console

View = Literal["PA", "AP", "LATERAL", "UNKNOWN"]


class CommonRecipe(Config):
    """What every adapter's recipe holds, however it is fitted."""

    seed: int = Field(ge=0)
    views: tuple[View, ...] = Field(min_length=1)  # films of these views are fitted and predicted
    train_share: float = Field(default=1.0, gt=0, le=1)  # of the training patients; a smaller share is within a larger
    only: tuple[str, ...] = ()  # questions to columns (``sex=F``, ``age>=50``): films fitted on answer yes to each
    image_size: int | None = Field(default=None, gt=0)  # side in pixels at which films are encoded; None: as trained
    mix: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)  # question → training patients who answer
    blocks: Blocks = LAST  # of the encoder, counted from the end, whose tokens the head sees side by side

    @field_validator("blocks")
    @classmethod
    def _rising(cls, blocks: Blocks) -> Blocks:
        if not blocks or max(blocks) >= 0 or list(blocks) != sorted(set(blocks)):
            raise ValueError("blocks are counted from the end and rise: [-4, -3, -2, -1], or [-1] for the last alone")
        return blocks


class Recipe(CommonRecipe):
    """The recipe of an adapter that is fitted by gradient descent (``descent``); a head's own recipe adds to it."""

    epochs: int = Field(gt=0)  # at most; the best epoch on validation is kept
    patience: int = Field(gt=0)  # epochs without a better validation loss before fitting stops
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)  # peak, after a linear warm-up over a tenth of the steps; then cosine to 0
    weight_decay: float = Field(ge=0)  # the optimiser's, on matrices only


class Runtime(Config):
    """What must not change the result."""

    device: str = "auto"  # auto, cpu, cuda or cuda:N


class AdapterConfig(Config):
    """The frame of every adapter's config file."""

    kind: str
    recipe: CommonRecipe
    runtime: Runtime = Runtime()


@dataclass(frozen=True)
class Evaluation:
    """Predictions in long form (a layout of ``raydino.artifacts.predictions``) and figures by label."""

    table: pd.DataFrame
    per_label: dict[str, dict[str, float | None]]
    overall: dict[str, float | None]  # macro means
    headline: float | None  # the one of them that sums the task up: AUROC, Dice, F1
    notes: dict[str, str] = field(default_factory=dict)  # label: why a figure is undefined
    per_patient: dict[str, dict[str, float | None]] = field(
        default_factory=dict
    )  # by label, films of one patient as one

    def metrics(self, *, task: str, split: str) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        return {
            "task": task,
            "split": split,
            "n_films": int(self.table["sample_id"].nunique()),
            "per_label": self.per_label,
            "per_patient": self.per_patient,
            "overall": self.overall,
            "headline": self.headline,
            "notes": self.notes,
        }


class Adapter(nn.Module, ABC):
    """One head on a frozen encoder. B films, N films of a split, L labels, H candidate heads.

    Most adapters have one candidate head. A grid of settings trains as H heads with weights of their
    own in one pass; the one with the lowest validation loss is kept.
    """

    task: ClassVar[str]
    config_model: ClassVar[type[AdapterConfig]]

    def __init__(self, config: AdapterConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.labels = tuple(labels)
        self.thresholds: dict[str, float | None] = {}  # None: no operating point
        self.calibration: dict[str, dict[str, Any]] = {}  # label: how its logits become probabilities, as plain JSON
        self.left_out: dict[str, str] = {}  # label of the dataset: why it is not fitted

    @classmethod
    @abstractmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        """An unfitted adapter for what ``dataset`` can teach. Raises UserError when that is nothing."""

    @classmethod
    def begin_with(
        cls,
        config: Any,
        spec: EncoderSpec,
        dataset: Dataset,
        asked: Sequence[str],
        lacks: Callable[[Sequence[str]], dict[str, str]],
        *,
        nothing: str,
    ) -> Self:
        """An unfitted adapter for those of ``asked`` that training and validation films can teach.

        ``lacks``: of labels that some films cannot teach, what these hold instead. What is left out is told and kept
        in ``left_out``. Raises UserError (``nothing``, with the first reason) when everything is.
        """
        left_out: dict[str, str] = {}
        for split in ("train", "val"):
            for label, found in lacks(teaching_films(dataset, split, config.recipe)).items():
                left_out.setdefault(label, f"left out: {split} holds {found}")
        labels = [label for label in asked if label not in left_out]
        if not labels:
            label, reason = next(iter(left_out.items()))
            raise UserError(f"{nothing} ({label!r} is {reason})", where=dataset.path)
        for label, reason in left_out.items():
            console.print(f"{label}: {reason}", markup=False, highlight=False)
        adapter = cls(config, spec, labels)
        adapter.left_out = left_out
        return adapter

    @classmethod
    def restore(cls, config: Any, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> Self:
        """An adapter whose weights can be loaded from a bundle; ``directory`` holds its further files."""
        return cls(config, spec, labels)

    def write_files(self, directory: Path) -> None:
        """Write what the bundle needs beside weights and card."""

    @abstractmethod
    def targets(self, dataset: Dataset, sample_ids: Sequence[str]) -> Tensor:
        """[N, …] what is to be learnt, with a mark where it is unknown."""

    @abstractmethod
    def known(self, targets: Tensor) -> Tensor:
        """[N] bool: films that teach anything at all."""

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Look once at the training films before fitting, for fixed statistics and first guesses."""

    def condense(self, output: Any) -> Any:
        """What the head reads of ``EncoderOutput``: all of it, or a readout [B, F], which fitting then makes but once.

        ``loss`` and ``observe`` are given what this returns, so it leaves a readout as it is.
        """
        return output

    @abstractmethod
    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """[B, H] the loss of each film under each candidate head, or [B, H, L] by label; unknown targets add 0."""

    def grouped(self, dataset: Dataset, train: Split, val: Split) -> tuple[Split, Split]:
        """Both splits with the groups that the recipe tells apart; as they are where it tells none."""
        return train, val

    def objective(self, train: Split, val: Split) -> Objective:
        """What descent makes small of the films' losses; the mean of all films unless a recipe says otherwise."""
        return OverFilms()

    def learn(self, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
        """Fit in place, end in evaluation mode, and tell what ``metrics.json`` should say of how it went.

        Gradient descent on ``loss`` + ``penalty``; a head that is solved as a whole does so here instead.
        """
        return descend(self, train, val, generator)

    def told(self, train: Split, val: Split) -> dict[str, Any]:
        """More for ``metrics.json``, of the fitted head; ``val`` holds what that head reads."""
        return {}

    def optimiser(self, groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
        """Of descent; ``groups`` of parameters with their weight decay. AdamW unless a head's protocol has another."""
        return torch.optim.AdamW(groups, lr=learning_rate, fused=self.device.type in ("cpu", "cuda"))

    def penalty(self) -> Tensor:
        """[H] or scalar: what is added to the mean loss in training, not in validation."""
        return torch.zeros(())

    def keep(self, head: int) -> None:
        """Keep candidate ``head`` and drop the others, in ``config`` too: the bundle tells what was kept."""

    def keep_setting(self, **chosen: Any) -> None:
        """Narrow the recipe to what was kept, so that the bundle's config builds exactly this head."""
        recipe = self.config.recipe.model_copy(update=chosen)
        self.config = self.config.model_copy(update={"recipe": recipe})

    def tune(self, films: FilmFeatures, targets: Tensor) -> None:
        """Set ``thresholds`` on the validation films."""

    @abstractmethod
    def predict(self, output: EncoderOutput) -> Any:
        """What the fitted adapter says of B films; a NamedTuple of the task. Raises UserError when B is 0."""

    @abstractmethod
    def evaluate(self, dataset: Dataset, films: FilmFeatures, masks_to: Path | None = None) -> Evaluation:
        """Predict ``films`` and compare with what ``dataset`` knows. Images, if any, go to ``masks_to``."""

    @property
    def width(self) -> int:
        """Width of the tokens that the head sees: the encoder's times the number of its blocks."""
        return self.spec.embed_dim * len(self.config.recipe.blocks)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    def require_films(self, output: EncoderOutput) -> None:
        """Raise UserError on an empty batch or on tokens of another width."""
        if len(output.cls) == 0:
            raise UserError("there is no film to predict: the batch is empty")
        if output.cls.shape[-1] != self.width:
            blocks = self.config.recipe.blocks
            raise UserError(
                f"tokens of width {output.cls.shape[-1]}; this adapter was fitted on width {self.width}",
                remedy=f"use the encoder that the adapter was fitted on, and its blocks {list(blocks)}",
            )


def identity_columns(dataset: Dataset, sample_ids: Sequence[str], task: str) -> pd.DataFrame:
    """The columns that every predictions table opens with, one row a film."""
    frame = dataset.accepted.loc[list(sample_ids), ["sample_id", "patient_id", "split"]].reset_index(drop=True)
    return frame.assign(task=task)
