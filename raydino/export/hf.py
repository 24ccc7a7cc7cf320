"""Export to Hugging Face's layout, proved by running transformers on it."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import Tensor
from transformers import AutoModel

from raydino.artifacts.encoder import ENCODER
from raydino.artifacts.header import HEADER_NAME, creating, read_header
from raydino.encoder import Encoder, encoder_directory
from raydino.export.proof import Run, largest_difference


def run_hf(encoder: Encoder, directory: Path) -> Run:
    """``AutoModel`` on ``directory``, fed with films that ``encoder`` normalised."""
    model = AutoModel.from_pretrained(directory, local_files_only=True).eval()
    first_patch, grid = 1 + encoder.spec.n_registers, encoder.spec.grid

    def run(images: Tensor) -> dict[str, Tensor]:
        tokens = model(pixel_values=encoder.normalise(images)).last_hidden_state
        patches = tokens[:, first_patch:].unflatten(1, (grid, grid))
        return {"cls": tokens[:, 0], "registers": tokens[:, 1:first_patch], "patches": patches}

    return run


def export_hf(source: str | Path, target: Path, *, overwrite: bool = False) -> float:
    """Copy the encoder of ``source`` to ``target``; returns the largest difference of transformers' tokens.

    The encoder artifact is in Hugging Face's layout already; what is added here is the proof.
    """
    directory = encoder_directory(source)
    encoder = Encoder.load(directory)
    header = read_header(directory, ENCODER)
    with creating(target, ENCODER, config=header.config, inputs=header.inputs, overwrite=overwrite) as partial:
        for path in directory.iterdir():
            if path.name != HEADER_NAME:
                shutil.copy2(path, partial / path.name)
        return largest_difference(encoder, run_hf(encoder, partial))
