"""The DINOv2 grid of linear heads: learning rates × last blocks × readouts, all fitted in one pass over the features.

Protocol: DINOv2's linear evaluation (2304.07193, B.3), which grids learning rates, the last 1 or 4 blocks and CLS or
CLS + patch mean, by SGD with momentum; spatial readouts (``grid_n``) stand beside them here. The head with the lowest
validation loss over all heads and epochs is kept, and the bundle holds that head alone. Where products of films with
films fit in memory, descent is in them (``span``): the same steps, whose cost does not grow with a readout's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures, Split
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe
from adapters.readouts import readouts
from adapters.span import SPAN_BYTES, InSpan, Spanned, SpannedFilms, products, spanned_weights
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width

MOMENTUM = 0.9


class GridRecipe(ClassificationRecipe):
    """Every combination of the three lists is a head; ``blocks`` must hold the most that ``last_blocks`` asks."""

    readouts: tuple[Readout, ...] = Field(min_length=1)
    last_blocks: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)  # how many of ``blocks``, from the end
    learning_rate_factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)  # of ``learning_rate``

    @model_validator(mode="after")
    def _read(self) -> Self:
        if max(self.last_blocks) > len(self.blocks):
            raise ValueError(f"last_blocks asks for {max(self.last_blocks)} blocks, blocks holds {list(self.blocks)}")
        if list(self.last_blocks) != sorted(set(self.last_blocks)):
            raise ValueError(f"last_blocks rise, such as [1, 4]; they are {list(self.last_blocks)}")
        return self


class GridConfig(ClassificationConfig):
    """``kind: classification_grid``."""

    kind: Literal["classification_grid"]
    recipe: GridRecipe


class GridClassifier(ClassificationAdapter):
    """H = readouts × last blocks × R rates, in that order; heads of one readout and depth are one matrix product.

    Features x are standardised and divided by √F, so that a film's length, which bounds the rates that converge, is
    about 1 whatever the readout. A head of rate factor f has logits prior + √f · (x W + b) for W and b learnt at the
    common rate: slope and step bring √f each, so √f · W learns at f times that rate (weight decay stays the common
    one's).
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
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(width, n_out)) for width in widths)  # [F, R · L]
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n_out)) for _ in widths)  # [R · L]
        self.register_buffer("prior", torch.zeros(len(labels)))
        self.register_buffer("factor", torch.tensor(recipe.learning_rate_factors)[:, None].sqrt(), persistent=False)
        self._span: FilmFeatures | None = None  # where ``weights`` holds coefficients [G, N, R · L]: of these films

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Standardise each readout; every head starts at the log-odds of its label."""
        super().observe(films, targets)
        self.prior.copy_(self.prevalence.logit())
        self.standardise.observe(self.condense(output) for _, output in films.batches())

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        """All readouts side by side."""
        return output if isinstance(output, Tensor) else torch.cat(readouts(output, self.config.recipe.readouts), dim=1)

    def optimiser(self, groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
        """DINOv2's."""
        return torch.optim.SGD(groups, lr=learning_rate, momentum=MOMENTUM, fused=True)

    def learn(self, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
        """Descent in products of films where they fit in memory, else in features."""
        n_films, one = len(train.films), self.weights[0]
        if one.element_size() * len(self.weights) * n_films * (n_films + len(val.films)) > SPAN_BYTES:
            return super().learn(train, val, generator)
        self._span = train.films
        self.weights = nn.ParameterList([nn.Parameter(one.new_zeros(len(self.weights), n_films, one.shape[1]))])
        among, across = products(train.films, val.films, self._depths)
        return super().learn(
            replace(train, films=SpannedFilms(train.films.sample_ids, among)),
            replace(val, films=SpannedFilms(val.films.sample_ids, across)),
            generator,
        )

    def logits_BHL(self, output: EncoderOutput | Tensor | Spanned) -> Tensor:
        if isinstance(output, Spanned):
            heads = InSpan.apply(*output, self.weights[0])
        else:
            readouts, depths = self._readouts(output), self.config.recipe.last_blocks
            features = (self.of_blocks(one, -last) for one in readouts for last in depths)
            heads = [x @ weight / x.shape[1] ** 0.5 for x, weight in zip(features, self.weights, strict=True)]
        logits = torch.stack([head + bias for head, bias in zip(heads, self.biases, strict=True)], dim=1)
        return self.prior + logits.unflatten(2, (len(self.factor), -1)).mul(self.factor).flatten(1, 2)

    def keep(self, head: int) -> None:
        recipe, n_labels = self.config.recipe, len(self.labels)
        n_depths, n_rates = len(recipe.last_blocks), len(recipe.learning_rate_factors)
        group, rate = divmod(head, n_rates)
        place, depth = divmod(group, n_depths)
        last, mine = recipe.last_blocks[depth], slice(rate * n_labels, (rate + 1) * n_labels)

        def columns(output: EncoderOutput | Tensor) -> Tensor:
            return self.of_blocks(self.condense(output).split(self._widths(), dim=1)[place], -last)

        kept = Standardise(readout_width(recipe.readouts[place], last * self.spec.embed_dim))
        kept = kept.to(self.standardise.mean)  # its device and precision
        for name in ("mean", "std"):
            getattr(kept, name).copy_(columns(getattr(self.standardise, name)[None])[0])
        if self._span is None:
            weight = self.weights[group].detach()[:, mine]
        else:
            coefficients = self.weights[0].detach()[group, :, mine]
            weight = spanned_weights(self._span, lambda output: kept(columns(output)), coefficients)
            self._span = None
        self.standardise = kept
        self.weights = nn.ParameterList([nn.Parameter(weight.clone())])
        self.biases = nn.ParameterList([nn.Parameter(self.biases[group].detach()[mine].clone())])
        self.factor = self.factor[rate : rate + 1]
        self.keep_setting(
            readouts=(recipe.readouts[place],),
            last_blocks=(last,),
            learning_rate_factors=(recipe.learning_rate_factors[rate],),
            blocks=recipe.blocks[-last:],
        )

    def of_blocks(self, features: Tensor, first: int, after: int | None = None) -> Tensor:
        """From a readout of all blocks [B, …] that of some: what ``readout`` gives of their tokens."""
        # CLS and patch mean stand one after the other, each block by block; a grid is block by block as a whole
        n_parts = 2 if features.shape[1] == 2 * self.width else 1
        return features.unflatten(1, (n_parts, len(self.config.recipe.blocks), -1))[:, :, first:after].flatten(1)

    def _widths(self) -> list[int]:
        return [readout_width(kind, self.width) for kind in self.config.recipe.readouts]

    def _readouts(self, output: EncoderOutput | Tensor) -> Sequence[Tensor]:
        """Each readout of all blocks, standardised."""
        return self.standardise(self.condense(output)).split(self._widths(), dim=1)

    def _depths(self, output: EncoderOutput | Tensor) -> list[list[Tensor]]:
        """Of each readout the columns of its last blocks, and then of those that each further depth adds."""
        depths = list(pairwise((0, *self.config.recipe.last_blocks)))
        return [
            [self.of_blocks(one, -last, -before or None) for before, last in depths] for one in self._readouts(output)
        ]
