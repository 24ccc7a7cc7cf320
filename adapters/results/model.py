"""Who says what of a film: the encoder and its adapters by fingerprint, and identifiers that follow from them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raydino import __version__
from raydino.artifacts.adapter import ADAPTER, read_card
from raydino.artifacts.header import read_header
from raydino.encoder import EncoderSpec


@dataclass(frozen=True)
class Author:
    """One adapter: its task, its kind, what it speaks of, and its artifact's fingerprint."""

    task: str
    kind: str
    labels: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Model:
    """All that decides what is said of a film."""

    encoder: str  # fingerprint
    authors: tuple[Author, ...]
    version: str = __version__  # of raydino

    @classmethod
    def of(cls, spec: EncoderSpec, adapters: Sequence[str | Path]) -> Model:
        """The encoder and the adapter bundles at these paths. Raises UserError where one is no bundle."""
        cards = ((read_card(path), read_header(path, ADAPTER)) for path in adapters)
        authors = (Author(card.task, card.kind, card.labels, header.fingerprint) for card, header in cards)
        return cls(spec.fingerprint, tuple(sorted(authors, key=lambda author: (author.task, author.fingerprint))))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over version, encoder and adapters, in whatever order they were given."""
        parts = (self.version, self.encoder, *(author.fingerprint for author in self.authors))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def author(self, task: str, label: str | None = None) -> Author:
        """Who speaks of ``label``, or who does ``task`` at all."""
        return next(a for a in self.authors if a.task == task and (label is None or label in a.labels))

    def uid(self, sop_instance_uid: str, what: str) -> str:
        """An identifier under 2.25 (PS3.5 B.2) for ``what`` this model says of that film: always the same."""
        return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{self.fingerprint}/{sop_instance_uid}/{what}').int}"
