"""The films of a dataset that an encoder finds most like one film: exact search over its class tokens.

A features artifact (``raydino embed``) is the index: its class tokens stay on disk, mapped, and are compared block by
block, one matrix product each. Like to the encoder is not like to a radiologist: a neighbour is no second opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.features import FEATURES, INDEX
from raydino.artifacts.header import read_header
from raydino.artifacts.images import encode_png
from raydino.data.films import unit_range
from raydino.data.one_film import OneFilm
from raydino.encoder import LAST, Blocks, Encoder
from raydino.errors import UserError

PICTURE_SIDE = 256  # pixels of a neighbour's longer side
_BLOCK = 65_536  # films compared at a time: 100 MB of the widest common tokens


@dataclass(frozen=True)
class SimilarFilm:
    """``similarity`` is the cosine, -1 to 1; ``labels`` 1 present, 0 absent, None unknown, empty without a dataset."""

    sample_id: str
    similarity: float
    labels: dict[str, int | None]


@dataclass(frozen=True)
class SimilarFilms:
    """A features artifact opened for search. ``tokens`` [N, D] float32 are its class tokens, ``lengths`` [N] theirs."""

    sample_ids: tuple[str, ...]
    tokens: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.float32]
    blocks: Blocks  # of the encoder, whose class tokens stand side by side
    image_size: int | None  # side in pixels at which films were encoded; None: the encoder's own
    dataset: Dataset | None

    @classmethod
    def open(cls, features: str | Path, encoder_fingerprint: str, dataset: str | Path | None = None) -> SimilarFilms:
        """Open and check it. Raises UserError where it is of another encoder or of another dataset than these."""
        path = Path(features)
        header = read_header(path, FEATURES)
        films = None if dataset is None else Dataset.open(dataset)
        expected = {"encoder": encoder_fingerprint} | ({"dataset": films.header.fingerprint} if films else {})
        for role, fingerprint in expected.items():
            if header.inputs.get(role) != fingerprint:
                raise UserError(
                    f"its features are of another {role}, so similar films cannot be found by them",
                    where=path,
                    remedy="run raydino embed with this one",
                )
        sample_ids = tuple(INDEX.read(path / "index.parquet")["sample_id"])
        try:
            tokens = np.load(path / "cls.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"its cls.npy cannot be read ({type(error).__name__})", where=path) from None
        if tokens.ndim != 2 or len(tokens) != len(sample_ids):
            raise UserError("its cls.npy and index.parquet do not belong together", where=path)
        lengths = np.concatenate([np.linalg.norm(block, axis=1) for _, block in _blocks(tokens)] or [np.empty(0)])
        blocks = tuple(header.config.get("blocks", LAST))
        return cls(sample_ids, tokens, lengths.astype(np.float32), blocks, header.config.get("image_size"), films)

    def vector(self, encoder: Encoder, film: OneFilm) -> npt.NDArray[np.float32]:
        """[D] what ``encoder`` says of ``film``, at the size and of the blocks that the features hold."""
        at_size = encoder.at(self.image_size)
        device = next(encoder.parameters()).device
        said = at_size(film.view(at_size.spec.image_size).to(device), self.blocks)
        return np.asarray(said.cls[0].cpu().numpy(), np.float32)

    def nearest(self, vector: npt.NDArray[np.float32], k: int = 5) -> list[SimilarFilm]:
        """The ``k`` films of highest cosine with ``vector`` [D], best first, ties in the order of the index.

        A token of length 0 is like nothing: its cosine is 0. Raises UserError where D is another.
        """
        if vector.shape != self.tokens.shape[1:]:
            raise UserError(f"a vector of {vector.shape} is compared with features of {self.tokens.shape[1:]}")
        wanted = vector.astype(np.float32) / max(float(np.linalg.norm(vector)), 1e-12)
        rows, cosines = np.empty(0, np.int64), np.empty(0, np.float32)
        for start, block in _blocks(self.tokens):
            found = (block @ wanted) / np.maximum(self.lengths[start : start + len(block)], 1e-12)
            rows = np.concatenate([rows, np.arange(start, start + len(block))])
            cosines = np.concatenate([cosines, np.where(np.isfinite(found), found, -np.inf)])
            best = np.argsort(-cosines, kind="stable")[:k]
            rows, cosines = rows[best], cosines[best]
        kept = np.isfinite(cosines)
        return [self._film(int(row), float(cosine)) for row, cosine in zip(rows[kept], cosines[kept], strict=True)]

    def picture(self, sample_id: str) -> bytes | None:
        """PNG of 8 bits, PICTURE_SIDE pixels at its longer side; None without a dataset.

        Raises UserError where the index holds no such film.
        """
        if self.dataset is None:
            return None
        film = unit_range(self.dataset.film(sample_id))
        scale = min(1.0, PICTURE_SIDE / max(film.shape))
        rows, cols = (max(1, round(side * scale)) for side in film.shape)
        small = cv2.resize(film, (cols, rows), interpolation=cv2.INTER_AREA)
        return encode_png(np.round(255 * small).astype(np.uint8))

    def _film(self, row: int, cosine: float) -> SimilarFilm:
        sample_id = self.sample_ids[row]
        labels: dict[str, int | None] = {}
        if self.dataset is not None:
            known = self.dataset.labels.loc[sample_id]
            labels = {str(label): None if np.isnan(value) else int(value) for label, value in known.items()}
        return SimilarFilm(sample_id, min(1.0, max(-1.0, cosine)), labels)


def _blocks(tokens: npt.NDArray[np.float32]) -> list[tuple[int, npt.NDArray[np.float32]]]:
    """First row and rows of each block, still mapped."""
    return [(start, tokens[start : start + _BLOCK]) for start in range(0, len(tokens), _BLOCK)]
