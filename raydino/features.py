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
from raydino.encoder import LAST, Blocks, Encoder, EncoderOutput, EncoderSpec
from raydino.errors import UserError
from raydino.tracking import track


@dataclass(frozen=True)
class Features:
    """Encoder output for ``sample_ids``, row by row; the tensors may be memory-mapped."""

    sample_ids: list[str]
    output: EncoderOutput
    blocks: Blocks = LAST  # whose tokens stand side by side in ``output``

    def select(self, sample_ids: Sequence[str]) -> Features:
        """The rows of ``sample_ids`` in that order. Raises UserError for a film that has no row."""
        position = {sample_id: row for row, sample_id in enumerate(self.sample_ids)}
        missing = [s for s in sample_ids if s not in position]
        if missing:
            raise UserError(f"{len(missing)} films have no features, {missing[0]} among them")
        rows = torch.tensor([position[s] for s in sample_ids], dtype=torch.long)
        return Features(list(sample_ids), EncoderOutput(*(t[rows] for t in self.output)), self.blocks)

    def require_size(self, spec: EncoderSpec) -> None:
        """Raise UserError where the films were encoded at another side in pixels than ``spec`` has."""
        found = self.output.patches.shape[1] * spec.patch_size
        if found != spec.image_size:
            raise UserError(
                f"the features are of films at {found} pixels, not {spec.image_size}",
                remedy=f"run raydino embed again with --image-size {spec.image_size}",
            )

    def places(self, blocks: Blocks) -> list[int]:
        """Where ``blocks`` stand in the output. Raises UserError for one that is not among them."""
        missing = [block for block in blocks if block not in self.blocks]
        if missing:
            raise UserError(
                f"the features hold the encoder's blocks {list(self.blocks)}, not {missing[0]}",
                remedy=f"run raydino embed again with --blocks={','.join(map(str, blocks))}",
            )
        return [self.blocks.index(block) for block in blocks]


def extract(
    encoder: Encoder,
    dataset: Dataset,
    sample_ids: Sequence[str],
    *,
    batch_size: int = 64,
    blocks: Blocks = LAST,
    into: Path | None = None,
) -> Features:
    """Encode the whole-film view of each film, keeping the tokens of ``blocks``.

    ``into``: a directory where the tokens are written as memory-mapped arrays, so that they may exceed memory.
    Raises UserError on another pixel recipe, without a film, or on a block that the encoder lacks.
    """
    encoder.spec.require_same_pixels(dataset)
    if not sample_ids:
        raise UserError("there is no film to encode", where=dataset.path)
    films = Films(dataset, sample_ids, cache_bytes=0)
    device = next(encoder.parameters()).device
    arrays: list[np.ndarray] = []
    for start in track(range(0, len(films), batch_size), "encoding films"):
        stop = min(start + batch_size, len(films))
        views = np.stack([whole_film(films[i], encoder.spec.image_size) for i in range(start, stop)])
        output = encoder(torch.from_numpy(views).to(device), blocks)
        if not arrays:
            arrays = [_empty((len(films), *t.shape[1:]), name, into) for name, t in zip(ARRAYS, output, strict=True)]
        for array, tokens in zip(arrays, output, strict=True):
            array[start:stop] = tokens.cpu().numpy()
    return Features(list(sample_ids), EncoderOutput(*(torch.from_numpy(array) for array in arrays)), blocks)


def _empty(shape: tuple[int, ...], name: str, into: Path | None) -> np.ndarray:
    if into is None or 0 in shape:  # nothing can be mapped of a file without a row
        array = np.empty(shape, np.float32)
        if into is not None:
            np.save(into / f"{name}.npy", array, allow_pickle=False)
        return array
    return np.lib.format.open_memmap(into / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)


def embed(
    target: Path,
    encoder: Encoder,
    dataset: Dataset,
    *,
    batch_size: int = 64,
    blocks: Blocks = LAST,
    overwrite: bool = False,
) -> int:
    """Write the features artifact of every accepted film at ``target``; return their number."""
    inputs = {"encoder": encoder.spec.fingerprint, "dataset": dataset.header.fingerprint}
    config = {"blocks": list(blocks), "image_size": encoder.spec.image_size}
    sample_ids = dataset.sample_ids()
    with creating(target, FEATURES, config=config, inputs=inputs, overwrite=overwrite) as directory:
        INDEX.write(pd.DataFrame({"sample_id": sample_ids}), directory / "index.parquet")
        extract(encoder, dataset, sample_ids, batch_size=batch_size, blocks=blocks, into=directory)
    return len(sample_ids)


def load_features(path: str | Path, *, encoder: EncoderSpec, dataset: Dataset) -> Features:
    """Open a features artifact, memory-mapped. Raises UserError when it is of another encoder or dataset."""
    header = read_header(path, FEATURES)
    expected = {"encoder": encoder.fingerprint, "dataset": dataset.header.fingerprint}
    for role, fingerprint in expected.items():
        if header.inputs.get(role) != fingerprint:
            raise UserError(f"made with another {role}", where=path, remedy="run raydino embed again")
    index = INDEX.read(Path(path) / "index.parquet")
    arrays = (np.load(Path(path) / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ARRAYS)
    blocks = tuple(header.config.get("blocks", LAST))
    return Features(list(index["sample_id"]), EncoderOutput(*(torch.from_numpy(a) for a in arrays)), blocks)
