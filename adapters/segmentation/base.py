"""Masks of structures that may overlap: targets, loss, thresholds and figures, common to every head.

Each structure is a sigmoid channel of its own. A structure that is unknown on a film adds nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from adapters.base import Adapter, AdapterConfig, Evaluation, Recipe, identity_columns
from adapters.batches import FilmFeatures
from adapters.metrics import mean_of
from adapters.segmentation.losses import MaskLoss, mask_losses
from adapters.segmentation.masks import Masks, decided
from adapters.segmentation.metrics import MaskMetrics, mask_metrics
from adapters.targets import UNKNOWN, chosen_names, mask_targets
from adapters.thresholds import best_dice
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.tracking import track


class SegmentationRecipe(Recipe):
    """``structures``: names of the dataset's masks, or all; ``mask_size``: side in pixels that is fitted at."""

    structures: tuple[str, ...] | Literal["all"]
    mask_size: int = Field(gt=0)
    loss: MaskLoss = MaskLoss()


class SegmentationConfig(AdapterConfig):
    """A config whose recipe names structures."""

    recipe: SegmentationRecipe


class SegmentationAdapter(Adapter):
    """A head that gives one logit a patch (or finer) and structure."""

    task = "segmentation"
    config_model: ClassVar[type[AdapterConfig]] = SegmentationConfig
    config: SegmentationConfig

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        asked = chosen_names(config.recipe.structures, dataset.structures, what="masks", dataset=dataset)

        def lacks(ids: Sequence[str]) -> dict[str, str]:
            masked = {s for s in asked if any(dataset.mask_path(s, sample_id).is_file() for sample_id in ids)}
            return {structure: "no mask of it" for structure in asked if structure not in masked}

        nothing = "no structure has masks in both train and val"
        return cls.begin_with(config, spec, dataset, asked, lacks, nothing=nothing)

    @abstractmethod
    def low_logits(self, patches: Tensor) -> Tensor:
        """Patch tokens [B, ``width``, h, w] → logits [B, S, …] at any resolution."""

    def forward(self, output: EncoderOutput) -> Tensor:
        """[B, S, mask_size, mask_size] logits."""
        size = self.config.recipe.mask_size
        logits = self.low_logits(output.patches.permute(0, 3, 1, 2))
        return F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)

    def targets(self, dataset: Dataset, sample_ids: Sequence[str]) -> Tensor:
        return mask_targets(dataset, sample_ids, self.labels, self.config.recipe.mask_size)

    def known(self, targets: Tensor) -> Tensor:
        return (targets[..., 0, 0] != UNKNOWN).any(dim=1)

    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """The recipe's loss of each known mask, averaged over a film's known structures."""
        known = target[..., 0, 0] != UNKNOWN
        truth = torch.where(target == UNKNOWN, 0, target).float()
        each = mask_losses(self(output).flatten(0, 1), truth.flatten(0, 1), self.config.recipe.loss)
        each = each.view(known.shape) * known
        return (each.sum(dim=1) / known.sum(dim=1).clamp(min=1))[:, None]

    def tune(self, films: FilmFeatures, targets: Tensor) -> None:
        """The threshold of each structure with the largest mean Dice at ``mask_size``."""
        probability = torch.cat([self._probability(output) for _, output in films.batches()]).numpy()
        for channel, structure in enumerate(self.labels):
            truth = targets[:, channel].numpy()
            known = truth[:, 0, 0] != UNKNOWN
            self.thresholds[structure] = best_dice(probability[known, channel], truth[known] == 1)

    @torch.no_grad()
    def predict(self, output: EncoderOutput) -> Masks:
        self.require_films(output)
        logits = self.eval()(output)
        probability = logits.sigmoid()
        thresholds = torch.tensor([self.thresholds[s] for s in self.labels], device=logits.device)
        return Masks(logits, probability, probability >= thresholds[:, None, None])

    def evaluate(self, dataset: Dataset, films: FilmFeatures, masks_to: Path | None = None) -> Evaluation:
        maps = ((positions, self._probability(output)) for positions, output in films.batches())
        return self.compare(dataset, films.sample_ids, maps, masks_to)

    def compare(
        self,
        dataset: Dataset,
        sample_ids: Sequence[str],
        maps: Iterable[tuple[Tensor, Tensor]],
        masks_to: Path | None = None,
    ) -> Evaluation:
        """Figures of each film and structure at the stored film's size; masks as PNG where asked.

        ``maps``: (positions [B] in ``sample_ids``, probability [B, S, side, side] of the whole film), in order.
        """
        identity = identity_columns(dataset, sample_ids, self.task)
        parts: dict[str, list[MaskMetrics | None]] = {structure: [] for structure in self.labels}
        if masks_to:
            for structure in self.labels:
                (masks_to / structure).mkdir(parents=True)
        flat = ((int(p), film) for positions, batch in maps for p, film in zip(positions, batch.numpy(), strict=True))
        for position, film in track(flat, "comparing masks", total=len(sample_ids)):
            sample_id = sample_ids[position]
            for structure, probability in zip(self.labels, film, strict=True):
                mask = self.at_film_size(probability, structure, dataset, sample_id)
                parts[structure].append(_compared(mask, structure, dataset, sample_id))
                if masks_to:
                    cv2.imwrite(str(masks_to / structure / f"{sample_id}.png"), mask.astype(np.uint8) * 255)
        tables = [
            pd.concat([identity.assign(label=s, threshold=self.thresholds[s]), _frame(figures)], axis=1)
            for s, figures in parts.items()
        ]
        per_label, notes = {}, {}
        for structure, figures in parts.items():
            per_label[structure] = _summary(figures)
            if reason := _undefined(figures):
                notes[structure] = reason
        overall = {name: mean_of(row[name] for row in per_label.values()) for name in MaskMetrics._fields}
        return Evaluation(pd.concat(tables, ignore_index=True), per_label, overall, overall["dice"], notes)

    def at_film_size(
        self, probability: npt.NDArray[np.float32], structure: str, dataset: Dataset, sample_id: str
    ) -> npt.NDArray[np.bool_]:
        """The decision [rows, cols] of the stored film from its probability [side, side]."""
        rows, cols = (int(v) for v in dataset.accepted.loc[sample_id, ["rows", "cols"]].to_list())
        return decided(probability, cast(float, self.thresholds[structure]), rows, cols)  # masks always have one

    @torch.no_grad()
    def _probability(self, output: EncoderOutput) -> Tensor:
        return self.eval()(output).sigmoid().cpu()


def _compared(mask: npt.NDArray[np.bool_], structure: str, dataset: Dataset, sample_id: str) -> MaskMetrics | None:
    reference = dataset.mask(structure, sample_id) if structure in dataset.structures else None
    if reference is None:
        return None
    spacing_mm = float(dataset.accepted["spacing_mm"].loc[sample_id])
    return mask_metrics(mask, reference, spacing_mm if np.isfinite(spacing_mm) else None)


def _frame(figures: list[MaskMetrics | None]) -> pd.DataFrame:
    empty = MaskMetrics(*[float("nan")] * 4)
    return pd.DataFrame([f or empty for f in figures], columns=MaskMetrics._fields, dtype=float)


def _undefined(figures: list[MaskMetrics | None]) -> str | None:
    """Why some figure is missing, or None when each film with a reference has all."""
    known = [f for f in figures if f is not None]
    if not known:
        return "undefined: no film has a reference mask"
    n_without = sum(f.hd95_mm is None for f in known)
    if not n_without:
        return None
    return f"no distances on {n_without} of {len(known)} films: their spacing is unknown or one mask is empty"


def _summary(figures: list[MaskMetrics | None]) -> dict[str, float | None]:
    known = [f for f in figures if f is not None]
    means = {name: mean_of(getattr(f, name) for f in known) for name in MaskMetrics._fields}
    return {"n_reference": len(known), **means}
