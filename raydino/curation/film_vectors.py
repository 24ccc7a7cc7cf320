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

_FLUSH_ROWS = 4096


def film_vectors(
    encoder: Encoder, dataset: Dataset, sample_ids: list[str], *, kind: Readout, work: Path, batch_size: int = 64
) -> Embeddings:
    """The vectors of ``sample_ids``, float32 [N, readout_width]; the file and its count of rows lie below ``work``.

    Never more than a batch of tokens is in memory. Raises UserError on another pixel recipe than the encoder's.
    """
    encoder.spec.require_same_pixels(dataset)
    if not sample_ids:
        raise UserError("there is no film to encode", where=dataset.path)
    inputs = {"dataset": dataset.header.fingerprint, "encoder": encoder.spec.fingerprint}
    stamp = hashlib.sha256(json.dumps([inputs, kind, sample_ids]).encode()).hexdigest()[:16]
    work.mkdir(parents=True, exist_ok=True)
    path, progress = work / f"{stamp}.npy", work / f"{stamp}.json"
    begun = progress.is_file() and path.is_file()
    done = int(json.loads(progress.read_text(encoding="utf-8"))["rows"]) if begun else 0
    shape = (len(sample_ids), readout_width(kind, encoder.spec.embed_dim))
    vectors = np.lib.format.open_memmap(path, mode="r+" if begun else "w+", dtype=np.float32, shape=shape)
    films = Films(dataset, sample_ids, cache_bytes=0)
    device = next(encoder.parameters()).device
    for start in track(range(done, len(films), batch_size), "encoding films"):
        stop = min(start + batch_size, len(films))
        views = np.stack([whole_film(films[i], encoder.spec.image_size) for i in range(start, stop)])
        vectors[start:stop] = readout(encoder(torch.from_numpy(views).to(device)), kind).cpu().numpy()
        if stop == len(films) or stop // _FLUSH_ROWS > start // _FLUSH_ROWS:
            vectors.flush()
            write_json(progress, {"rows": stop})
    return Embeddings(sample_ids, vectors, inputs)
