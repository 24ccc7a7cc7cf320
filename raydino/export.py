"""Export of encoders to other programs' formats, each proved by running that program's reader."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import AutoModel

from raydino.artifacts.encoder import ENCODER
from raydino.artifacts.header import HEADER_NAME, creating, read_header
from raydino.encoder import Encoder, encoder_directory

TOLERANCE = 1e-5


@torch.no_grad()
def difference_from_hf(encoder: Encoder, directory: Path) -> float:
    """Largest absolute difference of any token between ours and ``AutoModel`` on a fixed random batch."""
    model = AutoModel.from_pretrained(directory, local_files_only=True).eval()
    side = encoder.spec.image_size
    images = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(1))
    ours = encoder(images)
    tokens = torch.cat([ours.cls[:, None], ours.registers, ours.patches.flatten(1, 2)], dim=1)
    theirs = model(pixel_values=(images - encoder.card.mean) / encoder.card.std).last_hidden_state
    return float((tokens - theirs).abs().max())


def export_hf(source: str | Path, target: Path, *, overwrite: bool = False) -> float:
    """Copy the encoder of ``source`` to ``target``; returns the largest difference from transformers.

    The encoder artifact is in Hugging Face's layout already; what is added here is the proof.
    """
    directory = encoder_directory(source)
    encoder = Encoder.load(directory)
    header = read_header(directory, ENCODER)
    with creating(target, ENCODER, config=header.config, inputs=header.inputs, overwrite=overwrite) as partial:
        for path in directory.iterdir():
            if path.name != HEADER_NAME:
                shutil.copy2(path, partial / path.name)
        difference = difference_from_hf(encoder, partial)
        if not difference <= TOLERANCE:
            raise RuntimeError(f"transformers gives other tokens (off by {difference:.2g}); nothing was exported")
    return difference
