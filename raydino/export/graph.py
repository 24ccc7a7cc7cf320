"""The encoder as one graph of torch.export: films in, named tokens out, any number of films at once."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from raydino.artifacts.encoder import TORCH_EXPORT, write_encoder_card
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.export.proof import largest_difference

BATCH = ({0: Dim("batch", min=1)},)  # dynamic_shapes: the size in pixels is fixed, the number of films is not


class EncoderGraph(nn.Module):
    """``images`` f32 [B, 1, S, S] in 0..1 → cls [B, D], registers [B, R, D] where there are any, patches [B, h, w, D].

    Normalisation and the copying to three channels are inside.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        tokens = self.encoder.vit(self.encoder.normalise(images))
        return {name: value for name, value in tokens._asdict().items() if value.numel()}


def trace(encoder: Encoder) -> ExportedProgram:
    """The graph of ``encoder``. It holds no path of this machine, so equal encoders give equal files."""
    encoder.vit.use_attention("sdpa", torch.device("cpu"))
    side = encoder.spec.image_size
    graph = EncoderGraph(encoder).eval()
    program = torch.export.export(graph, (torch.zeros(2, 1, side, side),), dynamic_shapes=BATCH)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def export_torch(source: str | Path, target: Path, *, overwrite: bool = False) -> float:
    """Write ``encoder.pt2`` for ``torch.export.load``; returns the largest difference of its tokens, once reloaded."""
    encoder = Encoder.load(source)
    inputs = {"encoder": encoder.spec.fingerprint}
    with creating(target, TORCH_EXPORT, inputs=inputs, overwrite=overwrite) as partial:
        torch.export.save(trace(encoder), partial / "encoder.pt2")
        write_encoder_card(partial, encoder.card)
        reloaded = torch.export.load(partial / "encoder.pt2").module()
        return largest_difference(Encoder.load(source), reloaded)
