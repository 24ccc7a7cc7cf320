"""A causal language model that writes after a film's prefix: loss, targets and writing, whatever the model.

The model is transformers' and fed by ``inputs_embeds``; its loss counts text only. Neighbours: decoder (a small
model of our own), language_model (any local one), film_prefix (the vectors), generation (how words are chosen).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.report.base import ReportAdapter, ReportRecipe
from adapters.report.film_prefix import FilmPrefix
from adapters.report.generation import Generation, Greedy, Repetition, write_tokens
from adapters.report.labeller import Labeller
from adapters.report.scorers import require_scorers
from adapters.report.sections import chosen_text
from adapters.report.tokenizer import NOTHING, Vocabulary
from adapters.targets import teaching_films, texts_of
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.errors import UserError


class PrefixRecipe(ReportRecipe):
    """What every language model after a prefix needs; each adds how it is made."""

    prefix_grid: int = Field(gt=0)  # patch tokens are averaged to prefix_grid² vectors
    dropout: float = Field(ge=0, lt=1)  # on the embedded prefix and text
    max_tokens: int = Field(gt=2)  # of a report; the rest is cut off
    blind: bool  # never show the film (every prefix is the same): the baseline that seeing must beat
    generation: Generation = Greedy()

    @property
    def n_positions(self) -> int:
        """Vectors and words that the model must hold."""
        return 1 + self.prefix_grid**2 + self.max_tokens


class PrefixedLanguageModel(ReportAdapter):
    """Shapes: B films, P prefix vectors, T tokens, V words, W width."""

    config: Any  # its recipe is a PrefixRecipe

    def __init__(
        self, config: AdapterConfig, spec: EncoderSpec, labels: Sequence[str], model: nn.Module, vocabulary: Vocabulary
    ) -> None:
        super().__init__(config, spec, labels)
        recipe: PrefixRecipe = self.config.recipe
        self.vocabulary = vocabulary
        self.labeller = Labeller(labels)
        self.language_model: Any = model
        self.film = FilmPrefix(
            recipe.prefix_grid, self.width, self._embed.embedding_dim, len(labels), recipe.dropout, recipe.blind
        )
        self.dropout = nn.Dropout(recipe.dropout)

    @property
    def _embed(self) -> Any:
        return self.language_model.get_input_embeddings()

    def leave_out_unread(self, dataset: Dataset) -> None:
        """Note the labels of ``dataset`` that reports cannot be read for."""
        unread = set(dataset.label_names) - set(self.labels)
        self.left_out = dict.fromkeys(sorted(unread), "not read in reports: the labeller has no words for it")

    def targets(self, dataset: Dataset, sample_ids: Sequence[str]) -> Tensor:
        """[N, L + T] 1 / 0 for each finding that the report mentions, then its tokens; NOTHING without a report."""
        texts = chosen_texts(dataset, sample_ids, self.config.recipe)
        found = [[self.labeller.mentions(text or "")[label] for label in self.labels] for text in texts]
        tokens = self.vocabulary.encode(texts, self.config.recipe.max_tokens)
        return torch.cat([torch.tensor(found).long(), tokens], dim=1)

    def known(self, targets: Tensor) -> Tensor:
        return (targets[:, len(self.labels) :] != NOTHING).any(dim=1)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        self.film.observe(output for _, output in films.batches())

    def forward(self, output: EncoderOutput, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, V] logits of the token that follows each of ``tokens`` [B, T], and those of the findings [B, L]."""
        prefix, findings = self.film(output)
        embedded = self.dropout(torch.cat([prefix, self._embed(tokens)], dim=1))
        decoded = self.language_model(inputs_embeds=embedded, use_cache=False, logits_to_keep=tokens.shape[1])
        return decoded.logits, findings

    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """[B, 1] mean negative log-likelihood a token of each film's report, plus that of its findings."""
        found, words = target[:, : len(self.labels)], target[:, len(self.labels) :]
        longest = int((words != NOTHING).sum(dim=1).max())
        tokens, following = words[:, : longest - 1].clamp(min=0), words[:, 1:longest]
        logits, findings = self(output, tokens)
        each = F.cross_entropy(logits.transpose(1, 2), following, ignore_index=NOTHING, reduction="none").sum(dim=1)
        text = each / (following != NOTHING).sum(dim=1).clamp(min=1)
        finding = F.binary_cross_entropy_with_logits(findings, found.to(findings), reduction="none").sum(dim=1)
        return (text + finding / max(1, len(self.labels)))[:, None]

    @torch.no_grad()
    def write(self, output: EncoderOutput, generation: Repetition | None = None) -> list[str]:
        """One text a film, by the recipe's ``generation`` or another."""
        prefix = self.eval().film(output)[0]
        start = self._embed(torch.full((len(prefix), 1), self.vocabulary.start, device=prefix.device))
        recipe: PrefixRecipe = self.config.recipe
        tokens = write_tokens(
            self.language_model,
            torch.cat([prefix, start], dim=1),
            generation or recipe.generation,
            recipe.max_tokens,
            self.vocabulary.end,
        )
        return self.vocabulary.decode(tokens)


def chosen_texts(dataset: Dataset, sample_ids: Sequence[str], recipe: ReportRecipe) -> list[str | None]:
    """The chosen sections of each film's report; None where there are none."""
    return [chosen_text(text, recipe.sections) for text in texts_of(dataset, sample_ids)]


def require_texts(dataset: Dataset, recipe: ReportRecipe) -> list[str]:
    """The texts of the train split. Raises UserError when train or val has none with the chosen sections.

    Or when a scorer is unknown: better said before the hours of fitting than after.
    """
    require_scorers(recipe.scorers)
    found = {
        split: [text for text in chosen_texts(dataset, teaching_films(dataset, split, recipe), recipe) if text]
        for split in ("train", "val")
    }
    for split, texts in found.items():
        if not texts:
            held = "reports" if recipe.sections == "all" else f"reports with the sections {', '.join(recipe.sections)}"
            raise UserError(f"its {split} split holds no {held}", where=dataset.path)
    return found["train"]
