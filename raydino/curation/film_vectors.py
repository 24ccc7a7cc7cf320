"""Films → one vector each, written row by row into a memory-mapped file, and on from there after a kill."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.curation.embeddings import Embeddings
from raydino.data.films import Films, whole_film
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.readout import Readout, readout, readout_width
from raydino.tracking import track
from raydino.train.distributed import is_main, rank, wait_for_all, world_size

_FLUSH_ROWS = 4096


def film_vectors(
    encoder: Encoder, dataset: Dataset, sample_ids: list[str], *, kind: Readout, work: Path, batch_size: int = 64
) -> Embeddings:
    """The vectors of ``sample_ids``, float32 [N, readout_width], in a file below ``work`` that all processes share.

    Each process encodes its share of the films, and never has more than a batch of tokens in memory. Raises UserError
    on another pixel recipe than the encoder's.
    """
    encoder.spec.require_same_pixels(dataset)
    if not sample_ids:
        raise UserError("there is no film to encode", where=dataset.path)
    inputs = {"dataset": dataset.header.fingerprint, "encoder": encoder.spec.fingerprint}
    stamp = hashlib.sha256(json.dumps([inputs, kind, sample_ids]).encode()).hexdigest()[:16]
    path = work / f"{stamp}.npy"
    work.mkdir(parents=True, exist_ok=True)
    shape = (len(sample_ids), readout_width(kind, encoder.spec.embed_dim))
    if is_main() and not path.is_file():
        partial = path.with_suffix(".partial")
        np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape).flush()
        partial.replace(path)
    wait_for_all()
    vectors = np.lib.format.open_memmap(path, mode="r+")
    progress = work / f"{stamp}-{rank()}-of-{world_size()}.json"
    mine = range(rank() * len(sample_ids) // world_size(), (rank() + 1) * len(sample_ids) // world_size())
    done = int(json.loads(progress.read_text(encoding="utf-8"))["rows"]) if progress.is_file() else 0
    films = Films(dataset, [sample_ids[row] for row in mine], cache_bytes=0)
    device = next(encoder.parameters()).device
    for start in track(range(done, len(films), batch_size), "encoding films"):
        stop = min(start + batch_size, len(films))
        views = np.stack([whole_film(films[i], encoder.spec.image_size) for i in range(start, stop)])
        made = readout(encoder(torch.from_numpy(views).to(device)), kind).cpu().numpy()
        vectors[mine.start + start : mine.start + stop] = made
        if stop == len(films) or stop // _FLUSH_ROWS > start // _FLUSH_ROWS:
            vectors.flush()
            write_json(progress, {"rows": stop})
    wait_for_all()
    return Embeddings(sample_ids, vectors, inputs)
