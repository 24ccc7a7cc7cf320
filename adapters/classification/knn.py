"""k nearest training films vote, each with the weight exp(cosine / temperature): nothing is learnt but k.

Protocol: DINO's and DINOv2's k-NN evaluation (CLS, k in 10, 20, 100, 200, temperature 0.07). Adapted to labels that
may be unknown: a label's neighbours are the nearest of those films that know it, and the prevalence votes once more, as
the farthest neighbour would, so that a probability is never 0 or 1. The training readouts are the bundle's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from adapters.base import AdapterConfig
from adapters.batches import Split
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, LabelsRecipe
from adapters.descent import film_losses, lowest_of
from adapters.readouts import as_readout, gather
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width


class NeighboursRecipe(LabelsRecipe):
    """``k``: candidates; the one with the lowest cross-entropy on validation is kept."""

    readout: Readout
    k: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    temperature: float = Field(gt=0)


class NeighboursConfig(ClassificationConfig):
    """``kind: classification_knn``."""

    kind: Literal["classification_knn"]
    recipe: NeighboursRecipe


class NearestNeighbours(ClassificationAdapter):
    """rows [N, F] of length 1, truth [N, L] with NaN where unknown: the training films themselves."""

    config_model: ClassVar[type[AdapterConfig]] = NeighboursConfig
    config: NeighboursConfig
    rows: Tensor
    truth: Tensor

    def __init__(self, config: NeighboursConfig, spec: EncoderSpec, labels: Sequence[str], n_films: int = 0) -> None:
        super().__init__(config, spec, labels)
        self.register_buffer("rows", torch.zeros(n_films, readout_width(config.recipe.readout, self.width)))
        self.register_buffer("truth", torch.zeros(n_films, len(labels)))

    @classmethod
    def restore(cls, config: Any, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> Self:
        try:
            with safe_open(directory / "weights.safetensors", "pt") as file:
                n_films = file.get_slice("rows").get_shape()[0]
        except (OSError, SafetensorError):
            n_films = 0  # loading the weights will say what is wrong with the file
        return cls(config, spec, labels, n_films)

    def learn(self, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
        self.rows = F.normalize(gather(train.films, self.config.recipe.readout), dim=1).to(self.device)
        self.truth = train.targets.clone().to(self.device)
        loss, best = lowest_of(self.objective(train, val).validation(film_losses(self, val)))
        self.keep(best)
        return {"loss": loss, "k": self.config.recipe.k[0]}

    def keep(self, head: int) -> None:
        self.keep_setting(k=(self.config.recipe.k[head],))

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        return as_readout(output, self.config.recipe.readout)

    def logits_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        """The candidates are the ``k`` of the recipe; a k beyond the known films takes all of them."""
        recipe = self.config.recipe
        similarity = F.normalize(self.condense(output), dim=1) @ self.rows.T
        columns = []
        for label in range(len(self.labels)):
            known = self.truth[:, label].isfinite().nonzero()[:, 0]
            n_known = len(known)
            nearest, place = similarity[:, known].topk(min(max(recipe.k), n_known), dim=1)
            votes = self.truth[known, label]
            # of weights only the ratios count: the nearest film has 1, and nothing overflows
            weight = ((nearest - nearest[:, :1]) / recipe.temperature).double().exp()
            total, positive = weight.cumsum(dim=1), (weight * votes[place]).cumsum(dim=1)
            last = torch.tensor([min(k, n_known) - 1 for k in recipe.k], device=self.device)
            prior, farthest = votes.double().mean(), weight[:, last]
            probability = (positive[:, last] + farthest * prior) / (total[:, last] + farthest)
            columns.append(torch.logit(probability, eps=1e-12))
        return torch.stack(columns, dim=2).float()
