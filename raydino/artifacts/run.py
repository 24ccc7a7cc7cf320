"""The run: a pretraining directory that grows as it goes, and from which it can be resumed exactly.

Files: ``resolved.yaml`` (the whole config), ``metrics.jsonl``, ``tensorboard/``, ``checkpoints/`` (for a
resume, one file a rank), ``encoder/`` (an encoder artifact) and ``teacher/`` (backbone and heads, for a next
stage), both whole and refreshed at every checkpoint, ``curves.png``. A run is alive, so its header's
fingerprint is that of what defines it: the config and its inputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raydino import __version__
from raydino.artifacts.header import HEADER_NAME, Header, Schema, write_json

RUN = Schema("run", 1)


def start_run(directory: Path, *, config: Mapping[str, Any], seed: int, inputs: Mapping[str, str]) -> Header:
    """Make ``directory`` a run."""
    definition = json.dumps([config, inputs], sort_keys=True)
    header = Header(
        schema=RUN.name,
        version=RUN.version,
        producer=f"raydino {__version__}",
        fingerprint=hashlib.sha256(definition.encode()).hexdigest(),
        config=dict(config),
        seed=seed,
        inputs=dict(inputs),
    )
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / HEADER_NAME, asdict(header))
    return header
