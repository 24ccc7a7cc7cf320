"""Any local causal language model of transformers after a film's prefix: frozen, or with low-rank updates.

Only the prefix and the updates are fitted and stored; the bundle remembers by fingerprint which model they belong
to. Nothing is downloaded, no code of the model's directory is run and only safetensors are read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.base import AdapterConfig
from adapters.report.labeller import Labeller
from adapters.report.low_rank import add_low_rank
from adapters.report.prefixed import PrefixedLanguageModel, PrefixRecipe, require_texts
from adapters.report.tokenizer import Vocabulary
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.config import Config
from raydino.encoder import EncoderSpec
from raydino.errors import UserError

PLACE = "RAYDINO_LANGUAGE_MODEL"  # the model's directory, where a bundle is read on another machine
_CARD = "language_model.json"


class LowRankRecipe(Config):
    """Low-rank updates of the language model's linear layers."""

    modules: tuple[str, ...] = Field(min_length=1)  # patterns on names, such as *.q_proj
    rank: int = Field(gt=0)
    alpha: float = Field(gt=0)  # the update is scaled by alpha / rank


class LanguageModelRecipe(PrefixRecipe):
    """Which model, and how it is changed."""

    language_model: Path  # directory with config.json, *.safetensors and a tokenizer
    low_rank: LowRankRecipe | None  # null: frozen


class LanguageModelConfig(AdapterConfig):
    """``kind: report_language_model``."""

    kind: Literal["report_language_model"]
    recipe: LanguageModelRecipe


class ReportLanguageModel(PrefixedLanguageModel):
    """The language model stays as if in evaluation mode: its own dropout is never on."""

    config_model: ClassVar[type[AdapterConfig]] = LanguageModelConfig
    config: LanguageModelConfig

    def __init__(self, config: LanguageModelConfig, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> None:
        recipe = config.recipe
        model, vocabulary = load_language_model(directory)
        longest = getattr(model.config, "max_position_embeddings", None)
        if longest is not None and longest < recipe.n_positions:
            raise UserError(
                f"the language model holds {longest} positions; prefix and report need {recipe.n_positions}",
                where=directory,
                remedy="lower max_tokens or prefix_grid",
            )
        if recipe.low_rank is not None:
            add_low_rank(model, recipe.low_rank.modules, recipe.low_rank.rank, recipe.low_rank.alpha)
        super().__init__(config, spec, labels, model, vocabulary)
        self.fingerprint = language_model_fingerprint(directory)
        _leave_frozen_weights_out(self)

    @classmethod
    def begin(cls, config: Any, spec: EncoderSpec, dataset: Dataset) -> Self:
        require_texts(dataset, config.recipe)
        adapter = cls(config, spec, Labeller(dataset.label_names).labels, config.recipe.language_model)
        adapter.leave_out_unread(dataset)
        return adapter

    @classmethod
    def restore(cls, config: Any, spec: EncoderSpec, labels: Sequence[str], directory: Path) -> Self:
        place = Path(os.environ.get(PLACE) or config.recipe.language_model)
        try:
            wanted = json.loads((directory / _CARD).read_text(encoding="utf-8"))["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError("does not say which language model it belongs to", where=directory / _CARD) from None
        found = language_model_fingerprint(place)
        if found != wanted:
            raise UserError(
                f"fitted on another language model ({wanted[:12]}) than the one at {place} ({found[:12]})",
                where=directory,
                remedy=f"set {PLACE} to the directory of that model",
            )
        return cls(config, spec, labels, place)

    def write_files(self, directory: Path) -> None:
        write_json(directory / _CARD, {"fingerprint": self.fingerprint})

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.language_model.eval()
        return self


def load_language_model(directory: Path) -> tuple[Any, Vocabulary]:
    """The model, frozen and in float32, and its words. Raises UserError where ``directory`` holds no such model."""
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    _weights(directory)
    try:
        model = AutoModelForCausalLM.from_pretrained(directory, use_safetensors=True, dtype="float32", **local)
        tokenizer = AutoTokenizer.from_pretrained(directory, **local)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"holds no causal language model with its tokenizer ({reason})", where=directory) from None
    if tokenizer.eos_token_id is None:
        raise UserError("its tokenizer has no token that ends a text", where=directory)
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    vocabulary = Vocabulary(
        start,
        tokenizer.eos_token_id,
        lambda text: tokenizer.encode(text, add_special_tokens=False),
        lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)),
    )
    return model.requires_grad_(False).eval(), vocabulary


def language_model_fingerprint(directory: Path) -> str:
    """SHA-256 over names and contents of its safetensors and its tokenizer's file."""
    digest = hashlib.sha256()
    for path in [*_weights(directory), *sorted(directory.glob("tokenizer.json"))]:
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _weights(directory: Path) -> list[Path]:
    found = sorted(directory.glob("*.safetensors"))
    if not found:
        raise UserError(
            "holds no weights as safetensors",
            where=directory,
            remedy=f"give the directory of a model in Hugging Face's layout (recipe.language_model, or {PLACE})",
        )
    return found


def _leave_frozen_weights_out(adapter: ReportLanguageModel) -> None:
    """Let state dicts pass over the language model's own weights: they stay in its own files."""
    prefix = "language_model."
    trained = {name for name, parameter in adapter.named_parameters() if parameter.requires_grad}

    def saved(module: nn.Module, state: dict[str, Any], start: str, metadata: Any) -> None:
        for name in [n for n in state if n.startswith(start + prefix) and n.removeprefix(start) not in trained]:
            del state[name]

    def loaded(module: nn.Module, keys: Any) -> None:
        missing = [n for n in keys.missing_keys if not n.startswith(prefix) or n in trained]
        keys.missing_keys[:] = missing

    adapter.register_state_dict_post_hook(saved)
    adapter.register_load_state_dict_post_hook(loaded)
