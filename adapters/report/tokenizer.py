"""Texts to tokens and back: a byte-level BPE tokenizer of one's own, or that of a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from raydino.errors import UserError

PAD, BOS, EOS = 0, 1, 2
_SPECIAL = ["<pad>", "<bos>", "<eos>"]
NOTHING = -100  # fills rows after a text's end; no token, and what cross entropy leaves out by default


@dataclass(frozen=True)
class Vocabulary:
    """What a decoder needs of a tokenizer, its own or another's."""

    start: int
    end: int
    ids_of: Callable[[str], list[int]]  # without special tokens
    text_of: Callable[[list[int]], str]

    @classmethod
    def own(cls, tokenizer: Tokenizer) -> Vocabulary:
        """Of a tokenizer that ``train_tokenizer`` made."""
        return cls(
            BOS,
            EOS,
            lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
            lambda ids: tokenizer.decode(ids, skip_special_tokens=True),
        )

    def encode(self, texts: Sequence[str | None], max_tokens: int) -> Tensor:
        """[N, T] int64: start, text, end, then NOTHING; a longer text is cut at ``max_tokens`` and has no end.

        A missing text is all NOTHING.
        """
        rows = []
        for text in texts:
            ids = [] if text is None else [self.start, *self.ids_of(text), self.end]
            rows.append(torch.tensor(ids[:max_tokens], dtype=torch.long))
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=NOTHING)

    def decode(self, tokens: Tensor) -> list[str]:
        """Texts of [B, T] tokens, each up to its end."""
        texts = []
        for row in tokens.tolist():
            ids = row[: row.index(self.end)] if self.end in row else row
            texts.append(self.text_of([i for i in ids if i != NOTHING]).strip())
        return texts


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """At most ``vocab_size`` tokens, the 256 bytes and pad, bos and eos included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=_SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Read ``tokenizer.json``."""
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for what it cannot read
        raise UserError(f"cannot be read as a tokenizer ({error})", where=path) from None
