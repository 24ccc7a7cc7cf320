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
from adapters.nested import Nested
from adapters.span import SPAN_BYTES, InSpan, Spanned, SpannedFilms, products, spanned_weights
from adapters.standardise import mean_and_variance
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout

MOMENTUM = 0.9
NOISE = 1e-12  # a feature of at most this variance differs by rounding


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

    A readout and depth is a space. Its features x are centred and divided by their root mean square length over the
    training films, so that much the same rates converge in all; CLS and patch mean count alike. A head of rate factor f
    has logits prior + √f · (x W + b) for W and b learnt at the common rate: slope and step bring √f each, so √f · W
    learns at f times that rate (weight decay stays the common one's).

    Spaces have parts in common: rows of ``Nested``, of blocks that the same depths have.
    """

    config_model: ClassVar[type[AdapterConfig]] = GridConfig
    config: GridConfig
    mean: Tensor  # [T, blocks, D]
    shares: Tensor  # [G, P]: how much the product of two films in a part counts in a space; 0 where the space lacks it
    prior: Tensor
    factor: Tensor

    def __init__(self, config: GridConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self._lay_out()
        n_spaces, n_out = len(self._spaces), len(config.recipe.learning_rate_factors) * len(labels)
        self.register_buffer("mean", torch.zeros(self._nested.n_rows, len(config.recipe.blocks), spec.embed_dim))
        self.register_buffer("shares", torch.zeros(n_spaces, len(self._parts)))
        self.register_buffer("prior", torch.zeros(len(labels)))
        factors = torch.tensor(config.recipe.learning_rate_factors)
        self.register_buffer("factor", factors[:, None].sqrt(), persistent=False)
        sizes = [(self._width(part), len(users) * n_out) for part, users in enumerate(self._users)]
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes)  # [columns, users · R · L]
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n_out)) for _ in range(n_spaces))  # [R · L]
        self._span: FilmFeatures | None = None  # where ``weights`` holds coefficients [G, N, R · L]: of these films

    def _lay_out(self) -> None:
        """P parts; G spaces, and the parts that each has; of each part the spaces that have it."""
        recipe = self.config.recipe
        n_blocks = len(recipe.blocks)
        self._nested = Nested(recipe.readouts)
        depths = [slice(n_blocks - last, n_blocks - before) for before, last in pairwise((0, *recipe.last_blocks))]
        self._parts = [(rows, blocks) for rows in self._nested.parts for blocks in depths]
        self._named = [(kind, last) for kind in recipe.readouts for last in recipe.last_blocks]
        self._spaces = [
            [part for rows in self._nested.rows(kind) for part in self._parts_of(rows, last)]
            for kind, last in self._named
        ]
        self._users = [
            [space for space, parts in enumerate(self._spaces) if part in parts] for part in range(len(self._parts))
        ]

    def _parts_of(self, rows: slice, last: int) -> list[int]:
        """The parts within these rows and the last blocks."""
        first = len(self.config.recipe.blocks) - last
        return [
            place
            for place, (mine, blocks) in enumerate(self._parts)
            if rows.start <= mine.start and mine.stop <= rows.stop and first <= blocks.start
        ]

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Centre and length of each space; every head starts at the log-odds of its label."""
        super().observe(films, targets)
        self.prior.copy_(self.prevalence.logit())
        mean, variance = mean_and_variance(self.condense(output) for _, output in films.batches())
        self.mean.copy_(mean.view_as(self.mean))
        variance = torch.where(variance > NOISE, variance, 0).view_as(self.mean)
        squares = torch.stack([variance[part].sum() for part in self._parts])  # of lengths, in the mean over films
        for shares, (kind, last) in zip(self.shares, self._named, strict=True):
            vectors = [self._parts_of(rows, last) for rows in self._nested.rows(kind)]  # CLS, a grid, or both
            for parts in vectors:
                length = float(squares[parts].sum())
                shares[parts] = 1 / (length * len(vectors)) if length else 0.0

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        """[B, T · blocks · D]: all readouts, and once what they have in common."""
        return output if isinstance(output, Tensor) else self._nested.read(output).flatten(1)

    def optimiser(self, groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
        """DINOv2's."""
        return torch.optim.SGD(groups, lr=learning_rate, momentum=MOMENTUM, fused=True)

    def learn(self, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
        """Descent in products of films where they fit in memory, else in features."""
        n_films, one = len(train.films), self.weights[0]
        if one.element_size() * len(self._spaces) * n_films * (n_films + len(val.films)) > SPAN_BYTES:
            return super().learn(train, val, generator)
        self._span = train.films
        self.weights = nn.ParameterList([nn.Parameter(one.new_zeros(len(self._spaces), n_films, len(self.biases[0])))])
        among, across = products(train.films, val.films, self._centred, self.shares)
        return super().learn(
            replace(train, films=SpannedFilms(train.films.sample_ids, among)),
            replace(val, films=SpannedFilms(val.films.sample_ids, across)),
            generator,
        )

    def logits_BHL(self, output: EncoderOutput | Tensor | Spanned) -> Tensor:
        if isinstance(output, Spanned):
            heads = InSpan.apply(*output, self.weights[0]).transpose(0, 1)
        else:
            heads = self._heads(self._centred(output))
        logits = heads + torch.stack(list(self.biases))
        return self.prior + logits.unflatten(2, (len(self.factor), -1)).mul(self.factor).flatten(1, 2)

    def keep(self, head: int) -> None:
        recipe, n_labels = self.config.recipe, len(self.labels)
        space, rate = divmod(head, len(recipe.learning_rate_factors))
        kind, last = self._named[space]
        mine = slice(rate * n_labels, (rate + 1) * n_labels)
        if self._span is None:
            weights = [self._weight(part, space)[:, mine] for part in self._spaces[space]]
        else:
            coefficients = self.weights[0].detach()[space, :, mine]
            weight = spanned_weights(self._span, lambda x: self._columns(self._centred(x), space), coefficients)
            weights = list(weight.split([self._width(part) for part in self._spaces[space]]))
            self._span = None
        self._keep_space(kind, last, space, weights)
        self.biases = nn.ParameterList([nn.Parameter(self.biases[space].detach()[mine].clone())])
        self.factor = self.factor[rate : rate + 1]
        self.keep_setting(
            readouts=(kind,),
            last_blocks=(last,),
            learning_rate_factors=(recipe.learning_rate_factors[rate],),
            blocks=recipe.blocks[-last:],
        )
        self._lay_out()

    def _keep_space(self, kind: Readout, last: int, space: int, weights: list[Tensor]) -> None:
        """Tell centre, shares and the ``weights`` [columns, L] of its parts in the rows that the readout has alone."""
        placed = self.mean.new_zeros(*self.mean.shape, weights[0].shape[1])
        for part, weight in zip(self._spaces[space], weights, strict=True):
            placed[self._parts[part]] = weight.view_as(placed[self._parts[part]])
        means, shares, turned = [], [], []
        for rows, turn in zip(self._nested.rows(kind), self._nested.turns(kind), strict=True):
            length = turn[0].norm()
            means.append(torch.tensordot(turn.to(placed), self.mean[rows, -last:], dims=1))
            shares.append(self.shares[space, self._parts_of(rows, last)[0]] / length.to(placed).square())
            turned.append(torch.tensordot((turn / length).to(placed), placed[rows, -last:], dims=1))
        self.mean, self.shares = torch.cat(means), torch.stack(shares)[None]
        self.weights = nn.ParameterList(nn.Parameter(weight.flatten(0, -2)) for weight in turned)

    def _centred(self, output: EncoderOutput | Tensor) -> list[Tensor]:
        """[B, columns] of each part."""
        rows = self.condense(output).unflatten(1, self.mean.shape) - self.mean
        return [rows[:, mine, blocks].flatten(1) for mine, blocks in self._parts]

    def _columns(self, parts: list[Tensor], space: int) -> Tensor:
        """[B, F] features of a space."""
        return torch.cat([parts[part] * self.shares[space, part].sqrt() for part in self._spaces[space]], dim=1)

    def _heads(self, parts: list[Tensor]) -> Tensor:
        """[B, G, R · L]: each part meets the weights of all its spaces at once."""
        heads = self.shares.new_zeros(len(parts[0]), len(self._spaces), len(self.biases[0]))
        for place, (part, weight, users) in enumerate(zip(parts, self.weights, self._users, strict=True)):
            of_users = (part @ weight).unflatten(1, (len(users), -1)) * self.shares[users, place].sqrt()[:, None]
            heads = heads.index_add(1, torch.tensor(users, device=heads.device), of_users)
        return heads

    def _weight(self, part: int, space: int) -> Tensor:
        """[columns, R · L] of a part for one of its spaces."""
        users = self._users[part]
        return self.weights[part].detach().unflatten(1, (len(users), -1))[:, users.index(space)]

    def _width(self, part: int) -> int:
        """Columns of a part."""
        return self.mean[self._parts[part]].numel()
