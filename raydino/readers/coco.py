"""COCO's annotation files (Lin et al. 2014) without holding them: where in the file each annotation stands.

PAX-Ray++ has 1.6 million run-length masks in one JSON file. Here the file is read once, object by
object, and of an annotation four numbers remain; a mask is read from its place when a worker wants it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from raydino.errors import UserError
from raydino.readers.run_length import decode_counts

_CHUNK = 1 << 20
_LONGEST = 16 * _CHUNK  # of one value
_SPACE = " \t\r\n"
_AFTER = (*_SPACE, ",", ":", "]", "}")
Span = tuple[int, int]  # offset and length in bytes


@dataclass(frozen=True)
class CocoMask:
    """The union of some annotations of one film, each a COCO run-length mask."""

    path: Path
    spans: tuple[Span, ...]

    def __call__(self) -> npt.NDArray[np.bool_]:
        with self.path.open("rb") as file:
            masks = [_mask(file, span) for span in self.spans]
        if len({mask.shape for mask in masks}) != 1:
            raise ValueError("masks of different sizes")
        return np.logical_or.reduce(masks)


class CocoIndex:
    """The images and categories of a COCO file, and the places of its annotations. Raises UserError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.images: dict[int, str] = {}  # file names
        self._categories: dict[int, str] = {}
        places = array("q")
        try:
            with path.open("rb") as file:
                for key, entry, (offset, length) in _entries(file):
                    if key == "images":
                        self.images[entry["id"]] = _text(entry["file_name"])
                    elif key == "categories":
                        self._categories[entry["id"]] = _text(entry["name"]).strip()
                    elif key == "annotations":
                        places.extend((entry["image_id"], entry["category_id"], offset, length))
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", where=path) from None
        except (ValueError, TypeError, KeyError, OverflowError):
            raise UserError("is no COCO file (images, categories, annotations)", where=path) from None
        table = np.frombuffer(places, np.int64).reshape(-1, 4) if places else np.empty((0, 4), np.int64)
        self._table = table[np.argsort(table[:, 0], kind="stable")]

    def masks(self, image_id: int) -> dict[str, CocoMask]:
        """A film's masks by category's name, in the order of the file."""
        first, last = np.searchsorted(self._table[:, 0], [image_id, image_id + 1])
        spans: dict[str, tuple[Span, ...]] = {}
        for _, category, offset, length in self._table[first:last].tolist():
            name = self._categories.get(category, f"category {category}")
            spans[name] = (*spans.get(name, ()), (offset, length))
        return {name: CocoMask(self._path, places) for name, places in spans.items()}


def _entries(file: BinaryIO) -> Iterator[tuple[str, Any, Span]]:
    """Every element of the arrays at the top of a JSON object, with its place."""
    window = _Window(file)
    window.expect("{")
    while window.peek() != "}":
        key, _ = window.value()
        window.expect(":")
        if window.peek() == "[":
            window.expect("[")
            while window.peek() != "]":
                yield key, *window.value()
                window.skip(",")
            window.expect("]")
        else:
            window.value()
        window.skip(",")


class _Window:
    """A sliding view of a JSON file. Latin-1 makes a character of each byte, so places are bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._offset = 0  # of the text's start in the file

    def peek(self) -> str:
        """The next character that is no space. Raises ValueError at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("ends early")

    def expect(self, character: str) -> None:
        """Step over ``character``. Raises ValueError where another stands."""
        if self.peek() != character:
            raise ValueError(f"wanted {character}")
        self._at += 1

    def skip(self, character: str) -> None:
        """Step over ``character`` where it stands."""
        if self.peek() == character:
            self._at += 1

    def value(self) -> tuple[Any, Span]:
        """The next value and its place."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if len(self._text) - self._at > _LONGEST or not self._more():
                    raise
                continue
            # A number may go on in the next chunk; what stands behind a whole one is known.
            if self._text[end : end + 1] not in _AFTER and self._more():
                continue
            span = (self._offset + self._at, end - self._at)
            self._at = end
            return value, span

    def _more(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._offset += self._at
        self._at = 0
        return bool(chunk)


def _text(value: str) -> str:
    """What UTF-8 read as Latin-1 was."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:  # it came by an escape, and so as it is
        return value


def _mask(file: BinaryIO, span: Span) -> npt.NDArray[np.bool_]:
    file.seek(span[0])
    try:
        runs = json.loads(file.read(span[1]))["segmentation"]
        rows, cols = runs["size"]
        counts = runs["counts"]
    except (KeyError, TypeError):
        raise ValueError("not a COCO run-length mask") from None
    return decode_counts(counts, rows, cols)
