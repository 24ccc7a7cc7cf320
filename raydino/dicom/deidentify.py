"""Keyed pseudonyms instead of identifiers, by HMAC-SHA256 with a key that the user keeps.

Source: PS3.15 Annex E (basic profile; "Retain Institution Identity" as an option). With the key the
same patient gets the same pseudonym in every run; without it none can be guessed by trying all ids.
Neighbours: ``groups`` (words that may leave as they are), ``scrub`` (reports).
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from raydino.dicom.groups import known_group
from raydino.errors import UserError

UNKNOWN = "UNKNOWN"
OLDEST_TOLD_YEARS = 90.0  # HIPAA Safe Harbor: ages above 89 are one group
_KEY_BYTES = 32


@dataclass(frozen=True)
class Pseudonyms:
    """Pseudonyms of one key. Each kind of name has its own domain, so equal texts don't collide."""

    key: bytes

    def sample(self, name: str) -> str:
        """16 hex digits for a film; ``name`` is its SOP Instance UID or its name in the source."""
        return self._digest("sample", name)[:16]

    def patient(self, name: str) -> str:
        """16 hex digits for a PatientID."""
        return self._digest("patient", name)[:16]

    def study(self, name: str) -> str:
        """16 hex digits for a Study Instance UID."""
        return self._digest("study", name)[:16]

    def site(self, name: str, *, retain: bool) -> str:
        """An institution's name if it is retained, else ``site-`` and 6 hex digits; UNKNOWN for none."""
        name = stated(name)
        if name == UNKNOWN:
            return UNKNOWN
        return name if retain else f"site-{self._digest('site', name.casefold())[:6]}"

    def group(self, kind: str, name: str) -> str:
        """A population, race or insurance: its name if ``groups`` knows it, else its kind and 6 hex digits."""
        name = stated(name)
        return (
            name if name == UNKNOWN else known_group(kind, name) or f"{kind}-{self._digest(kind, name.casefold())[:6]}"
        )

    def _digest(self, kind: str, name: str) -> str:
        return hmac.digest(self.key, f"{kind}\0{name}".encode(), "sha256").hex()


def told_age(age_years: float | None) -> float | None:
    """An age as it may leave: whatever is above 89 is 90."""
    return OLDEST_TOLD_YEARS if age_years is not None and age_years > OLDEST_TOLD_YEARS - 1 else age_years


def stated(name: str) -> str:
    """A name in single spaces, UNKNOWN where it is empty or only says that it isn't known."""
    name = " ".join(name.split())
    return UNKNOWN if name.strip("?-. ").casefold() in ("", "unknown", "n/a", "na", "none", "null") else name


def read_key(path: Path) -> bytes:
    """The key in a file of hexadecimal digits (32 bytes; at least 16 are asked for)."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise UserError(
            f"cannot read the key ({error.strerror})", where=path, remedy="leave --key out to have a key made"
        ) from None
    except UnicodeDecodeError:
        text = ""
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2}){16,}", text):
        raise UserError("is not a key", where=path, remedy=f"a key is {2 * _KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(text)


def new_key() -> bytes:
    """A random key of 32 bytes."""
    return secrets.token_bytes(_KEY_BYTES)


def write_private(path: Path, text: Iterable[str]) -> None:
    """Write a file that only its owner may read, whole or not at all; a long text comes line by line."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with open(partial, "w", encoding="utf-8", newline="", opener=_private) as file:
            file.writelines(text)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=path) from None
    finally:
        partial.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
