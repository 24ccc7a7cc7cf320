"""A foreign ViT becomes an encoder artifact: folded to one channel, its positions brought to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from raydino.artifacts.encoder import EncoderCard
from raydino.encoder import save_encoder
from raydino.errors import UserError
from raydino.nn.fold import fold_channels
from raydino.nn.positions import PositionResize, resize_positions
from raydino.nn.vit import VisionTransformer
from raydino.weights.sources import ForeignViT

FOLD_TOLERANCE = 1e-5  # of the largest patch embedding


def prepare(
    vit: ForeignViT,
    *,
    channels: int = 1,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    image_size: int | None = None,
    position_resize: PositionResize | None = None,
) -> ForeignViT:
    """``vit`` as the encoder shall be; what is left out stays as in its source, except that RGB is folded."""
    if channels not in (1, vit.config.channels):
        raise UserError(
            f"has {vit.config.channels} channels, not {channels}", where=vit.where, remedy="leave --channels out"
        )
    vit = with_normalisation(vit, mean, std)
    origin = vit.origin | {
        "channels": vit.config.channels,
        "image_size": vit.config.image_size,
        "mean": vit.mean,
        "std": vit.std,
    }
    vit = with_positions(replace(vit, origin=origin), position_resize, image_size)
    return vit if vit.config.channels == channels else folded(vit)


def adopt(vit: ForeignViT, target: Path, *, overwrite: bool = False) -> None:
    """Write ``vit`` as an encoder artifact. Its pixel recipe is unknown, so films of any dataset are taken."""
    network = VisionTransformer(vit.config)
    network.load_state_dict(vit.state, assign=True)  # ViT-g has 4.5 GB; no second copy
    card = EncoderCard(
        vit=vit.config.resolved(),
        pixels={},
        mean=vit.mean if len(vit.mean) > 1 else vit.mean[0],
        std=vit.std if len(vit.std) > 1 else vit.std[0],
        steps=None,
        origin=vit.origin,
    )
    save_encoder(target, network, card, inputs=vit.origin["files"], overwrite=overwrite)


def with_normalisation(vit: ForeignViT, mean: Sequence[float], std: Sequence[float]) -> ForeignViT:
    """``mean`` and ``std``, where given, in place of the source's; one value a channel.

    Raises UserError where neither says what they are.
    """
    found, channels = [], vit.config.channels
    for name, given, own in (("mean", mean, vit.mean), ("std", std, vit.std)):
        values = list(given or own)
        if not values:
            raise UserError(
                f"does not say the {name} of its pixels",
                where=vit.where,
                remedy="give --mean and --std, of pixels in 0..1",
            )
        if len(values) not in (1, channels):
            raise UserError(
                f"{len(values)} values of {name} for {channels} channels",
                where=vit.where,
                remedy=f"give --{name} one or {channels}",
            )
        found.append(values * channels if len(values) == 1 else values)
    if min(found[1]) <= 0:
        raise UserError(f"the std {min(found[1]):g} is not above 0", where=vit.where, remedy="give --std")
    return replace(vit, mean=found[0], std=found[1])


def with_positions(vit: ForeignViT, how: PositionResize | None, image_size: int | None) -> ForeignViT:
    """Resize by ``how`` from now on, and once for all to ``image_size``."""
    config = vit.config.model_copy(update={"position_resize": how} if how else {})
    if image_size is None:
        return replace(vit, config=config)
    if image_size % config.patch_size or image_size <= 0:
        lower = max(1, image_size // config.patch_size) * config.patch_size
        raise UserError(
            f"image size {image_size} is no multiple of the patch size {config.patch_size}",
            where=vit.where,
            remedy=f"--image-size {lower} or {lower + config.patch_size}",
        )
    side = image_size // config.patch_size
    positions = resize_positions(vit.state["pos_embed"], (side, side), config.position_resize or "size")
    state = vit.state | {"pos_embed": positions}
    return replace(vit, config=config.model_copy(update={"image_size": image_size}), state=state)


def folded(vit: ForeignViT) -> ForeignViT:
    """The same network for one channel, checked on random grey patches.

    Only the patch embedding changes, so the tokens are the same when its output is.
    """
    weight, bias = vit.state["patch_embed.weight"], vit.state["patch_embed.bias"]
    one = fold_channels(weight, bias, vit.mean, vit.std)
    side = vit.config.patch_size
    grey = torch.rand(64, 1, side, side, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (vit.mean, vit.std))
    expected = torch.conv2d((grey - mean) / std, weight, bias)
    found = torch.conv2d((grey - one.mean) / one.std, one.weight, one.bias)
    difference = float((found - expected).abs().max() / expected.abs().max())
    if not difference <= FOLD_TOLERANCE:
        raise RuntimeError(f"the folded patch embedding is off by {difference:.2g}; nothing was written")
    state = vit.state | {"patch_embed.weight": one.weight, "patch_embed.bias": one.bias}
    config = vit.config.model_copy(update={"channels": 1})
    return replace(vit, config=config, state=state, mean=[one.mean], std=[one.std])
