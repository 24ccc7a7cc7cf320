"""The seam between pretraining and everything after it: a frozen encoder and what it gives.

An adapter sees ``EncoderOutput`` and ``EncoderSpec``, never the encoder: it cannot unfreeze it, and
features can be cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.encoder import ENCODER, EncoderCard, read_encoder_card, write_encoder_card
from raydino.artifacts.header import creating, read_header, write_json
from raydino.artifacts.run import RUN
from raydino.config import parse_config
from raydino.errors import UserError
from raydino.nn.hf_layout import from_hf, hf_config, to_hf
from raydino.nn.vit import Tokens, VisionTransformer, ViTConfig

GOLDEN_TOLERANCE = 1e-3  # between machines and thread counts; a wrong weight differs by far more


Blocks = tuple[int, ...]  # transformer blocks counted from the end, as Python does: (-1,) is the last one
LAST: Blocks = (-1,)


class EncoderOutput(NamedTuple):
    """What the encoder says of B films: cls [B, D], registers [B, R, D], patches [B, h, w, D]; float32.

    Of several blocks, their tokens stand side by side: D is then the encoder's width times their number.
    """

    cls: Tensor
    registers: Tensor
    patches: Tensor

    def blocks(self, places: Sequence[int], embed_dim: int) -> EncoderOutput:
        """The blocks at ``places`` of those that stand side by side here, each ``embed_dim`` wide."""
        if [*places] == [*range(self.cls.shape[-1] // embed_dim)]:
            return self
        return EncoderOutput(*(torch.cat([t.narrow(-1, p * embed_dim, embed_dim) for p in places], -1) for t in self))


@dataclass(frozen=True)
class EncoderSpec:
    """What an adapter may know of the encoder."""

    fingerprint: str
    embed_dim: int
    depth: int  # transformer blocks
    n_registers: int
    image_size: int  # side in pixels of the square view
    patch_size: int
    pixels: dict[str, Any]  # pixel recipe of the films that it was trained on; empty: unknown, so any is taken

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    def at(self, image_size: int | None) -> EncoderSpec:
        """The same encoder on films of another side in pixels; None: as it stands.

        Position embeddings are interpolated. Raises UserError where the side is no multiple of the patch.
        """
        if image_size is None or image_size == self.image_size:
            return self
        if image_size < self.patch_size or image_size % self.patch_size:
            raise UserError(
                f"image_size {image_size}", remedy=f"a multiple of the encoder's patch size, {self.patch_size}"
            )
        return replace(self, image_size=image_size)

    def require_same_pixels(self, dataset: Dataset) -> None:
        """Raise UserError when the films of ``dataset`` were made by another pixel recipe than is known."""
        if self.pixels and dataset.pixels != self.pixels:
            keys = sorted(dataset.pixels.keys() | self.pixels.keys())
            differing = [k for k in keys if dataset.pixels.get(k) != self.pixels.get(k)]
            shown = ", ".join(f"{k} {dataset.pixels.get(k)!r} instead of {self.pixels.get(k)!r}" for k in differing)
            raise UserError(
                f"its films were made by another pixel recipe than the encoder's ({shown})",
                where=dataset.path,
                remedy="run raydino ingest again with the encoder's recipe",
            )


class Encoder(nn.Module):
    """A frozen ViT. ``images`` f32 [B, 1, S, S] in 0..1 → ``EncoderOutput``; normalisation is inside.

    Where the network takes three channels, the film is copied to each and normalised by that channel's values.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, vit: VisionTransformer, card: EncoderCard, fingerprint: str) -> None:
        super().__init__()
        self.vit = vit.eval().requires_grad_(False)
        self.card = card
        for name, value in (("mean", card.mean), ("std", card.std)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        config = vit.config
        self.spec = EncoderSpec(
            fingerprint=fingerprint,
            embed_dim=config.embed_dim,
            depth=config.depth,
            n_registers=config.n_registers,
            image_size=config.image_size,
            patch_size=config.patch_size,
            pixels=card.pixels,
        )

    def at(self, image_size: int | None) -> Encoder:
        """The same network, shared, for films of another side: ``EncoderSpec.at``."""
        other = copy(self)  # a module's attributes are its own, its parameters shared
        other.spec = self.spec.at(image_size)
        return other

    @torch.no_grad()
    def forward(self, images: Tensor, blocks: Blocks = LAST) -> EncoderOutput:
        """The tokens of ``blocks`` (counted from the end, normalised), side by side in that order."""
        if blocks == LAST:
            return _output(self.vit(self.normalise(images)))
        found = self.intermediate(images, [self.spec.depth + block for block in blocks])
        return EncoderOutput(*(torch.cat(tokens, dim=-1) for tokens in zip(*found, strict=True)))

    @torch.no_grad()
    def intermediate(self, images: Tensor, blocks: Sequence[int]) -> list[EncoderOutput]:
        """What the chosen blocks say (counted from 0, normalised); the last block's is that of ``forward``."""
        return [_output(tokens) for tokens in self.vit.intermediate(self.normalise(images), blocks)]

    def normalise(self, images: Tensor) -> Tensor:
        """[B, 1, S, S] in 0..1 → [B, channels, S, S] as the network was trained on."""
        return (images.expand(-1, self.vit.config.channels, -1, -1) - self.mean) / self.std

    @classmethod
    def load(cls, path: str | Path, *, device: torch.device | str = "cpu") -> Encoder:
        """Load an encoder artifact, or the newest encoder of a run.

        Recomputes the golden output. Raises UserError when anything does not fit.
        """
        directory = encoder_directory(path)
        card = read_encoder_card(directory)
        config = parse_config(card.vit, ViTConfig, where=directory / "encoder.json")
        vit = VisionTransformer(config)
        try:
            vit.load_state_dict(from_hf(load_file(directory / "model.safetensors"), config))
            golden = load_file(directory / "golden.safetensors")
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"its weights do not fit its config ({reason})", where=directory) from None
        encoder = cls(vit, card, read_header(directory, ENCODER).fingerprint)
        encoder._check_golden(golden, directory)
        return encoder.to(device)

    def _check_golden(self, golden: dict[str, Tensor], where: Path) -> None:
        output = self(golden["input"])
        difference = max(
            float((output.cls - golden["cls"]).abs().max()), float((output.patches - golden["patches"]).abs().max())
        )
        if not difference <= GOLDEN_TOLERANCE:
            raise UserError(
                f"the encoder does not reproduce its golden output (off by {difference:.2g})",
                where=where,
                remedy="its files do not belong together; export it again",
            )


def _output(tokens: Tokens) -> EncoderOutput:
    return EncoderOutput(tokens.cls.float(), tokens.registers.float(), tokens.patches.float())


def save_encoder(
    target: Path, vit: VisionTransformer, card: EncoderCard, *, inputs: dict[str, str], overwrite: bool = False
) -> None:
    """Write an encoder artifact at ``target``, whole or not at all. ``inputs``: fingerprints by role."""
    with creating(target, ENCODER, config={"steps": card.steps}, inputs=inputs, overwrite=overwrite) as directory:
        frozen = VisionTransformer(vit.config)
        frozen.load_state_dict({name: t.detach().float().cpu() for name, t in vit.state_dict().items()})
        save_file(to_hf(frozen.state_dict()), directory / "model.safetensors", metadata={"format": "pt"})
        write_json(directory / "config.json", hf_config(vit.config))
        write_json(directory / "preprocessor_config.json", _preprocessor(vit.config, card))
        write_encoder_card(directory, card)
        images = torch.rand(2, 1, *(2 * [vit.config.image_size]), generator=torch.Generator().manual_seed(0))
        output = Encoder(frozen, card, "")(images)
        golden = {"input": images, "cls": output.cls, "patches": output.patches}
        save_file({name: t.contiguous() for name, t in golden.items()}, directory / "golden.safetensors")


def encoder_directory(path: str | Path) -> Path:
    """``path`` itself, or the newest encoder inside when it is a run."""
    path = Path(path)
    header = read_header(path)
    if header.schema == ENCODER.name:
        return path
    if header.schema != RUN.name:
        raise UserError(f"this is {header.schema!r}", where=path, remedy="an encoder or a run is needed here")
    if not (path / "encoder").is_dir():
        raise UserError("this run has no encoder yet", where=path, remedy="let raydino pretrain reach a checkpoint")
    return path / "encoder"


def _preprocessor(config: ViTConfig, card: EncoderCard) -> dict[str, Any]:
    """What Hugging Face's image processors need to prepare a film alike (area resizing is PIL's BOX, 4)."""
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": config.channels == 3,
        "do_resize": True,
        "size": {"height": config.image_size, "width": config.image_size},
        "resample": 4,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / (2 ** int(card.pixels.get("bits", 8)) - 1),
        "do_normalize": True,
        "image_mean": card.mean if isinstance(card.mean, list) else [card.mean],
        "image_std": card.std if isinstance(card.std, list) else [card.std],
    }
