"""A small autoregressive decoder over projected patch tokens, trained from nothing on the training reports.

The film stands before the text as a prefix of vectors: the patch tokens averaged over a coarser grid, and
one vector that tells which findings the film shows. Those findings are read from all places by a linear
layer and learnt from what the training reports themselves mention: with a few hundred reports the text
alone does not teach a decoder to look. Features are standardised place by place: what differs between
places of one film is far larger than what differs between films, and says nothing. The decoder is a
transformers causal language model (Llama's layout) fed by ``inputs_embeds``; its loss counts text only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig

from adapters.base import AdapterConfig, Recipe
from adapters.batches import FilmFeatures
from adapters.report.base import ReportAdapter
from adapters.report.labeller import Labeller
from adapters.report.tokenizer import BOS, EOS, PAD, decode, encode, load_tokenizer, train_tokenizer
from adapters.standardise import Standardise
from adapters.targets import films_of, texts_of
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.errors import UserError


class DecoderRecipe(Recipe):
    """Sizes of the prefix, the tokenizer and the decoder."""

    prefix_grid: int = Field(gt=0)  # patch tokens are averaged to prefix_grid² vectors
    vocab_size: int = Field(ge=300)  # at most; bytes and special tokens are 259
    width: int = Field(gt=0)
    depth: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)  # on the embedded prefix and text
    max_tokens: int = Field(gt=2)  # of a report; the rest is cut off
    n_beams: int = Field(gt=0)  # 1 is greedy
    blind: bool  # never show the film (every prefix is the same): the baseline that seeing must beat

    @model_validator(mode="after")
    def _fits(self) -> DecoderRecipe:
        if self.width % (2 * self.n_heads):
            raise ValueError(f"width {self.width} is not a multiple of twice n_heads {self.n_heads}")
        return self


class DecoderConfig(AdapterConfig):
    """``kind: report_decoder``."""

    kind: Literal["report_decoder"]
    recipe: DecoderRecipe


class ReportDecoder(ReportAdapter):
    """Shapes: B films, P prefix vectors, T tokens, V words, W width."""

    config_model: ClassVar[type[AdapterConfig]] = DecoderConfig
    config: DecoderConfig

    def __init__(self, config: DecoderConfig, spec: EncoderSpec, labels: Sequence[str], tokenizer: Tokenizer) -> None:
        super().__init__(config, spec, labels)
        recipe = config.recipe
        self.tokenizer = tokenizer
        n_places = 1 + recipe.prefix_grid**2
        self.standardise = Standardise(n_places * self.width)
        self.project = nn.Linear(self.width, recipe.width)
        self.find = nn.Linear(n_places * self.width, len(labels))
        self.tell = nn.Linear(len(labels), recipe.width)
        self.labeller = Labeller(labels)
        self.position = nn.Parameter(0.02 * torch.randn(n_places, recipe.width))
        self.dropout = nn.Dropout(recipe.dropout)
        self.decoder = AutoModelForCausalLM.from_config(
            LlamaConfig(
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=recipe.width,
                intermediate_size=4 * recipe.width,
                num_hidden_layers=recipe.depth,
                num_attention_heads=recipe.n_heads,
                max_position_embeddings=1 + recipe.prefix_grid**2 + recipe.max_tokens,
                attention_dropout=recipe.dropout,
                tie_word_embeddings=True,
                pad_token_id=PAD,
                bos_token_id=BOS,
                eos_token_id=EOS,
            )
        )

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        texts = {
            split: [t for t in texts_of(dataset, films_of(dataset, split, config.recipe.views)) if t]
            for split in ("train", "val")
        }
        for split, found in texts.items():
            if not found:
                raise UserError(f"its {split} split holds no reports", where=dataset.path)
        tokenizer = train_tokenizer(texts["train"], config.recipe.vocab_size)
        labeller = Labeller(dataset.label_names)
        adapter = cls(config, spec, labeller.labels, tokenizer)
        unread = set(dataset.label_names) - set(labeller.labels)
        adapter.left_out = dict.fromkeys(sorted(unread), "not read in reports: the labeller has no words for it")
        return adapter

    @classmethod
    def restore(cls, config: Any, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> Self:
        return cls(config, spec, labels, load_tokenizer(directory / "tokenizer.json"))

    def write_files(self, directory: Path) -> None:
        self.tokenizer.save(str(directory / "tokenizer.json"))

    def targets(self, dataset: Dataset, sample_ids: Sequence[str]) -> Tensor:
        """[N, L + T] 1 / 0 for each finding that the report mentions, then its tokens; pad without a report."""
        texts = texts_of(dataset, sample_ids)
        found = [[self.labeller.mentions(text or "")[label] for label in self.labels] for text in texts]
        tokens = encode(self.tokenizer, texts, self.config.recipe.max_tokens)
        return torch.cat([torch.tensor(found).long(), tokens], dim=1)

    def known(self, targets: Tensor) -> Tensor:
        return (targets[:, len(self.labels) :] != PAD).any(dim=1)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        self.standardise.observe(self._places(output).flatten(1) for _, output in films.batches())

    def _places(self, output: EncoderOutput) -> Tensor:
        """[B, P, D] CLS first, then the grid row by row."""
        patches = output.patches.permute(0, 3, 1, 2)
        pooled = F.adaptive_avg_pool2d(patches, self.config.recipe.prefix_grid).flatten(2).transpose(1, 2)
        return torch.cat([output.cls[:, None], pooled], dim=1)

    def prefix(self, output: EncoderOutput) -> Tensor:
        """[B, P, W] the grid row by row, last the findings, next to the text; without the film when blind."""
        return self._look(output)[0]

    def _look(self, output: EncoderOutput) -> tuple[Tensor, Tensor]:
        """The prefix [B, P, W] and the logits of the findings [B, L]."""
        flat = self.standardise(self._places(output).flatten(1))
        if self.config.recipe.blind:
            flat = torch.zeros_like(flat)
        n_places = len(self.position)
        cells = flat.unflatten(1, (n_places, -1))[:, 1:]
        cells = self.project(cells / math.sqrt(cells.shape[-1]))
        logits = self.find(self.dropout(flat) / math.sqrt(n_places))
        told = self.tell(2 * logits.sigmoid() - 1)
        return torch.cat([cells, told[:, None]], dim=1) + self.position, logits

    def forward(self, output: EncoderOutput, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, V] logits of the token that follows each of ``tokens`` [B, T], and those of the findings [B, L]."""
        prefix, findings = self._look(output)
        text = self.decoder.get_input_embeddings()(tokens)
        embedded = self.dropout(torch.cat([prefix, text], dim=1))
        decoded = self.decoder(inputs_embeds=embedded, use_cache=False, logits_to_keep=tokens.shape[1])
        return decoded.logits, findings

    def loss(self, output: EncoderOutput, target: Tensor) -> Tensor:
        """[B, 1] mean negative log-likelihood a token of each film's report, plus that of its findings."""
        found, words = target[:, : len(self.labels)], target[:, len(self.labels) :]
        longest = int((words != PAD).sum(dim=1).max())
        tokens, following = words[:, : longest - 1], words[:, 1:longest]
        logits, findings = self(output, tokens)
        each = F.cross_entropy(logits.transpose(1, 2), following, ignore_index=PAD, reduction="none").sum(dim=1)
        text = each / (following != PAD).sum(dim=1).clamp(min=1)
        finding = F.binary_cross_entropy_with_logits(findings, found.to(findings), reduction="none").sum(dim=1)
        return (text + finding / max(1, len(self.labels)))[:, None]

    @torch.no_grad()
    def write(self, output: EncoderOutput) -> list[str]:
        """Greedy, or the best of ``n_beams`` beams."""
        prefix = self.eval().prefix(output)
        start = self.decoder.get_input_embeddings()(torch.full((len(prefix), 1), BOS, device=prefix.device))
        embedded = torch.cat([prefix, start], dim=1)
        tokens = self.decoder.generate(
            inputs_embeds=embedded,
            attention_mask=embedded.new_ones(embedded.shape[:2], dtype=torch.long),
            max_new_tokens=self.config.recipe.max_tokens,
            num_beams=self.config.recipe.n_beams,
            do_sample=False,
        )
        return decode(self.tokenizer, tokens)
