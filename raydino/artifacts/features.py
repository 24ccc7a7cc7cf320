"""The features artifact: an encoder's output for the films of a dataset, as memory-mapped arrays.

Files: ``index.parquet`` (sample_id, in row order), ``cls.npy`` [N, D], ``registers.npy`` [N, R, D] and
``patches.npy`` [N, h, w, D], float32. ``inputs`` of the header hold the fingerprints of the encoder
and the dataset, ``config.blocks`` the transformer blocks whose tokens stand side by side in D,
``config.image_size`` the side in pixels at which films were encoded.
"""

from __future__ import annotations

from raydino.artifacts.header import Schema
from raydino.artifacts.table import Column, Table

FEATURES = Schema("features", 1)
INDEX = Table("index", (Column("sample_id", "string"),))
ARRAYS = ("cls", "registers", "patches")
