"""From films to features: run the frozen encoder once, keep what it says, hand it to any adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.features import ARRAYS, FEATURES, INDEX
from raydino.artifacts.header import creating, read_header
from raydino.data.films import Films, whole_film
from raydino.encoder import Encoder, EncoderOutput, EncoderSpec
from raydino.errors import UserError
from raydino.tracking import track


@dataclass(frozen=True)
class Features:
    """Encoder output for ``sample_ids``, row by row; the tensors may be memory-mapped."""

    sample_ids: list[str]
    output: EncoderOutput

    def select(self, sample_ids: Sequence[str]) -> Features:
        """The rows of ``sample_ids`` in that order. Raises UserError for a film that has no row."""
        position = {sample_id: row for row, sample_id in enumerate(self.sample_ids)}
        missing = [s for s in sample_ids if s not in position]
        if missing:
            raise UserError(f"{len(missing)} films have no features, {missing[0]} among them")
        rows = torch.tensor([position[s] for s in sample_ids], dtype=torch.long)
        return Features(list(sample_ids), EncoderOutput(*(t[rows] for t in self.output)))


def extract(encoder: Encoder, dataset: Dataset, sample_ids: Sequence[str], *, batch_size: int = 64) -> Features:
    """Encode the whole-film view of each film. Raises UserError on another pixel recipe."""
    encoder.spec.require_same_pixels(dataset)
    films = Films(dataset, sample_ids, cache_bytes=0)
    device = next(encoder.parameters()).device
    parts: list[EncoderOutput] = []
    for start in track(range(0, len(films), batch_size), "encoding films"):
        stop = min(start + batch_size, len(films))
        views = np.stack([whole_film(films[i], encoder.spec.image_size) for i in range(start, stop)])
        output = encoder(torch.from_numpy(views).to(device))
        parts.append(EncoderOutput(*(t.cpu() for t in output)))
    if not parts:
        raise UserError("there is no film to encode", where=dataset.path)
    return Features(list(sample_ids), EncoderOutput(*(torch.cat(t) for t in zip(*parts, strict=True))))


def save_features(
    target: Path, features: Features, *, encoder: EncoderSpec, dataset: Dataset, overwrite: bool = False
) -> None:
    """Write a features artifact."""
    inputs = {"encoder": encoder.fingerprint, "dataset": dataset.header.fingerprint}
    with creating(target, FEATURES, inputs=inputs, overwrite=overwrite) as directory:
        INDEX.write(pd.DataFrame({"sample_id": features.sample_ids}), directory / "index.parquet")
        for name, tensor in zip(ARRAYS, features.output, strict=True):
            np.save(directory / f"{name}.npy", tensor.numpy(), allow_pickle=False)


def load_features(path: str | Path, *, encoder: EncoderSpec, dataset: Dataset) -> Features:
    """Open a features artifact, memory-mapped. Raises UserError when it is of another encoder or dataset."""
    header = read_header(path, FEATURES)
    expected = {"encoder": encoder.fingerprint, "dataset": dataset.header.fingerprint}
    for role, fingerprint in expected.items():
        if header.inputs.get(role) != fingerprint:
            raise UserError(f"made with another {role}", where=path, remedy="run raydino embed again")
    index = INDEX.read(Path(path) / "index.parquet")
    arrays = (np.load(Path(path) / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ARRAYS)
    return Features(list(index["sample_id"]), EncoderOutput(*(torch.from_numpy(a) for a in arrays)))
