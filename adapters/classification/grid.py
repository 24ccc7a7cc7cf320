"""The DINOv2 grid of linear heads: learning rates × last blocks × readouts, all fitted in one pass over the features.

Protocol: DINOv2's linear evaluation (2304.07193, B.3), which grids learning rates, the last 1 or 4 blocks and CLS or
CLS + patch mean; spatial readouts (``grid_n``) stand beside them here, and AdamW in place of SGD. The head with the
lowest validation loss over all heads and epochs is kept, and the bundle holds that head alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe
from adapters.readouts import readouts
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width


class GridRecipe(ClassificationRecipe):
    """Every combination of the three lists is a head; ``blocks`` must hold the most that ``last_blocks`` asks."""

    readouts: tuple[Readout, ...] = Field(min_length=1)
    last_blocks: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)  # how many of ``blocks``, from the end
    learning_rate_factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)  # of ``learning_rate``

    @model_validator(mode="after")
    def _read(self) -> Self:
        if max(self.last_blocks) > len(self.blocks):
            raise ValueError(f"last_blocks asks for {max(self.last_blocks)} blocks, blocks holds {list(self.blocks)}")
        return self


class GridConfig(ClassificationConfig):
    """``kind: classification_grid``."""

    kind: Literal["classification_grid"]
    recipe: GridRecipe


class GridClassifier(ClassificationAdapter):
    """H = readouts × last blocks × R rates, in that order; heads of one readout and depth are one matrix product.

    A head of rate factor f has logits prior + f · (x W + b) for W and b learnt at the common rate. Adam's step does
    not depend on the size of a gradient, so f · W learns at f times that rate (weight decay stays the common one's).
    """

    config_model: ClassVar[type[AdapterConfig]] = GridConfig
    config: GridConfig
    prior: Tensor
    factor: Tensor

    def __init__(self, config: GridConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        recipe = config.recipe
        n_out = len(recipe.learning_rate_factors) * len(labels)
        self.standardise = Standardise(sum(self._widths()))  # of all readouts side by side
        widths = [readout_width(kind, last * spec.embed_dim) for kind in recipe.readouts for last in recipe.last_blocks]
        self.weight = nn.ParameterList(nn.Parameter(torch.zeros(width, n_out)) for width in widths)  # [F, R · L]
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(n_out)) for _ in widths)  # [R · L]
        self.register_buffer("prior", torch.zeros(len(labels)))
        self.register_buffer("factor", torch.tensor(recipe.learning_rate_factors)[:, None], persistent=False)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Standardise each readout; every head starts at the log-odds of its label."""
        super().observe(films, targets)
        self.prior.copy_(self.prevalence.logit())
        self.standardise.observe(self.condense(output) for _, output in films.batches())

    def _widths(self) -> list[int]:
        return [readout_width(kind, self.width) for kind in self.config.recipe.readouts]

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        """All readouts side by side."""
        return output if isinstance(output, Tensor) else torch.cat(readouts(output, self.config.recipe.readouts), dim=1)

    def logits_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        groups = zip(self.weight, self.bias, strict=True)
        logits = []
        for features in self.standardise(self.condense(output)).split(self._widths(), dim=1):
            for last in self.config.recipe.last_blocks:
                weight, bias = next(groups)
                product = torch.addmm(bias, self.of_last_blocks(features, last), weight)
                logits.append(product.unflatten(1, (len(self.factor), -1)))
        return self.prior + torch.stack(logits, dim=1).mul(self.factor).flatten(1, 2)

    def of_last_blocks(self, features: Tensor, last: int) -> Tensor:
        """From a readout of all blocks [B, …] that of the ``last`` ones: what ``readout`` gives of their tokens."""
        n_blocks = len(self.config.recipe.blocks)
        if last == n_blocks:
            return features
        # CLS and patch mean stand one after the other, each block by block; a grid is block by block as a whole
        n_parts = 2 if features.shape[1] == 2 * self.width else 1
        return features.unflatten(1, (n_parts, n_blocks, -1))[:, :, -last:].flatten(1)

    def keep(self, head: int) -> None:
        recipe, n_labels = self.config.recipe, len(self.labels)
        n_depths, n_rates = len(recipe.last_blocks), len(recipe.learning_rate_factors)
        group, rate = divmod(head, n_rates)
        place, depth = divmod(group, n_depths)
        last, mine = recipe.last_blocks[depth], slice(rate * n_labels, (rate + 1) * n_labels)
        kept = Standardise(self.weight[group].shape[0]).to(self.standardise.mean)  # its device and precision
        for name in ("mean", "std"):
            whole = getattr(self.standardise, name).split(self._widths())[place]
            getattr(kept, name).copy_(self.of_last_blocks(whole[None], last)[0])
        self.standardise = kept
        self.weight = nn.ParameterList([nn.Parameter(self.weight[group].detach()[:, mine].clone())])
        self.bias = nn.ParameterList([nn.Parameter(self.bias[group].detach()[mine].clone())])
        self.factor = self.factor[rate : rate + 1]
        self.keep_setting(
            readouts=(recipe.readouts[place],),
            last_blocks=(last,),
            learning_rate_factors=(recipe.learning_rate_factors[rate],),
            blocks=recipe.blocks[-last:],
        )
