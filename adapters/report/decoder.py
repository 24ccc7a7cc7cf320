"""A small autoregressive decoder after a film's prefix, trained from nothing on the training reports.

Its words are those of a byte-pair tokenizer trained on the same reports. The decoder has Llama's layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, LlamaConfig

from adapters.base import AdapterConfig
from adapters.report.labeller import Labeller
from adapters.report.prefixed import PrefixedLanguageModel, PrefixRecipe, require_texts
from adapters.report.tokenizer import BOS, EOS, PAD, Vocabulary, load_tokenizer, train_tokenizer
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderSpec


class DecoderRecipe(PrefixRecipe):
    """Sizes of the tokenizer and the decoder."""

    vocab_size: int = Field(ge=300)  # at most; bytes and special tokens are 259
    width: int = Field(gt=0)
    depth: int = Field(gt=0)
    n_heads: int = Field(gt=0)

    @model_validator(mode="after")
    def _fits(self) -> DecoderRecipe:
        if self.width % (2 * self.n_heads):
            raise ValueError(f"width {self.width} is not a multiple of twice n_heads {self.n_heads}")
        return self


class DecoderConfig(AdapterConfig):
    """``kind: report_decoder``."""

    kind: Literal["report_decoder"]
    recipe: DecoderRecipe


class ReportDecoder(PrefixedLanguageModel):
    """The bundle holds the tokenizer beside the weights."""

    config_model: ClassVar[type[AdapterConfig]] = DecoderConfig
    config: DecoderConfig

    def __init__(self, config: DecoderConfig, spec: EncoderSpec, labels: Sequence[str], tokenizer: Tokenizer) -> None:
        recipe = config.recipe
        decoder = AutoModelForCausalLM.from_config(
            LlamaConfig(
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=recipe.width,
                intermediate_size=4 * recipe.width,
                num_hidden_layers=recipe.depth,
                num_attention_heads=recipe.n_heads,
                max_position_embeddings=recipe.n_positions,
                attention_dropout=recipe.dropout,
                tie_word_embeddings=True,
                pad_token_id=PAD,
                bos_token_id=BOS,
                eos_token_id=EOS,
            )
        )
        super().__init__(config, spec, labels, decoder, Vocabulary.own(tokenizer))
        self.tokenizer = tokenizer

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        tokenizer = train_tokenizer(require_texts(dataset, config.recipe), config.recipe.vocab_size)
        adapter = cls(config, spec, Labeller(dataset.label_names).labels, tokenizer)
        adapter.leave_out_unread(dataset)
        return adapter

    @classmethod
    def restore(cls, config: Any, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> Self:
        return cls(config, spec, labels, load_tokenizer(directory / "tokenizer.json"))

    def write_files(self, directory: Path) -> None:
        self.tokenizer.save(str(directory / "tokenizer.json"))
