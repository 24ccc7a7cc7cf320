"""A byte-level BPE tokenizer of one's own, trained on the training reports: any text can be written with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from raydino.errors import UserError

PAD, BOS, EOS = 0, 1, 2
_SPECIAL = ["<pad>", "<bos>", "<eos>"]


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


def encode(tokenizer: Tokenizer, texts: Sequence[str | None], max_tokens: int) -> Tensor:
    """[N, T] int64: bos, text, eos, then pad; a longer text is cut at ``max_tokens`` and has no eos.

    A missing text is all pad.
    """
    rows = []
    for text in texts:
        ids = [] if text is None else [BOS, *tokenizer.encode(text, add_special_tokens=False).ids, EOS]
        rows.append(torch.tensor(ids[:max_tokens], dtype=torch.long))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def decode(tokenizer: Tokenizer, tokens: Tensor) -> list[str]:
    """Texts of [B, T] tokens, each up to its eos."""
    texts = []
    for row in tokens.tolist():
        ids = row[: row.index(EOS)] if EOS in row else row
        texts.append(tokenizer.decode(ids, skip_special_tokens=True).strip())
    return texts
