"""Stages: a run that starts from another one names its parent in ``recipe.parent``.

Three uses. ``network``: go on from a run, backbone and heads; with a larger ``vit.image_size`` this is
high-resolution adaptation (DINOv2 2304.07193 §6.6). ``backbone``: from an encoder, such as released weights,
whose heads are missing; let new heads warm up first (``optimizer.head_warmup_steps``). ``teacher``: distil a run's
network, frozen, into a smaller student (DINOv2 §5). In all three, student and teacher see pixels normalised as
the parent did.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from raydino.artifacts.encoder import ENCODER, EncoderCard, read_encoder_card
from raydino.artifacts.header import read_header
from raydino.artifacts.run import RUN
from raydino.config import Config
from raydino.encoder import Encoder, encoder_directory
from raydino.errors import UserError
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.ssl.network import HeadConfig, Network
from raydino.ssl.network_file import load_network

_MAY_DIFFER = {"image_size", "layerscale_init"}  # fields of ViTConfig that leave a parent's weights usable


class FromNetwork(Config):
    """Backbone and heads of the run at ``path``."""

    use: Literal["network"]
    path: str


class FromBackbone(Config):
    """The backbone of the encoder or run at ``path``; new heads."""

    use: Literal["backbone"]
    path: str


class FrozenTeacher(Config):
    """The network of the run at ``path`` teaches and never changes; the student's average is what is kept.

    DINOv2 §5: no masking, no drop-path, and "the iBOT loss on the two global crops". ``patches`` says which patches
    that loss compares: ``all`` of both globals, or only those ``drawn`` by ``recipe.masking``, as DINOv3's code does
    and at a fraction of the memory. The student sees both globals whole either way.
    """

    use: Literal["teacher"]
    path: str
    patches: Literal["all", "drawn"] = "all"


ParentConfig = Annotated[FromNetwork | FromBackbone | FrozenTeacher, Field(discriminator="use")]


@dataclass(frozen=True)
class Parent:
    """What a run takes over."""

    fingerprint: str  # of the encoder that belongs to the weights
    mean: float  # normalisation of pixels
    std: float
    weights: dict[str, Tensor] = field(default_factory=dict)  # of the student: all, its backbone's, or none
    teacher: Network | None = None  # a frozen one


def open_parent(
    config: FromNetwork | FromBackbone | FrozenTeacher, vit: ViTConfig, head: HeadConfig, ibot_head: HeadConfig
) -> Parent:
    """Read the parent for a student of the given sizes. Raises UserError when it does not fit them."""
    path = Path(config.path)
    if isinstance(config, FromBackbone):
        encoder = Encoder.load(path)
        weights = {f"backbone.{name}": t for name, t in _fitted(encoder.vit, vit, path).items()}
        return Parent(encoder.spec.fingerprint, *_normalisation(encoder.card, path), weights)
    network = _network_of(path)
    card = read_encoder_card(encoder_directory(path))
    fingerprint = read_header(encoder_directory(path), ENCODER).fingerprint
    if isinstance(config, FrozenTeacher):
        _require_teachable(network, vit, head, ibot_head, path)
        return Parent(fingerprint, *_normalisation(card, path), teacher=network.requires_grad_(False))
    for name, ours in (("dino_head", head), ("ibot_head", ibot_head)):
        _require_equal(network.head_configs[name], ours, f"its {name}", path)
    backbone = {f"backbone.{name}": t for name, t in _fitted(network.backbone, vit, path).items()}
    return Parent(fingerprint, *_normalisation(card, path), {**network.state_dict(), **backbone})


def open_gram_teacher(path: str, vit: ViTConfig, *, mean: float, std: float) -> VisionTransformer:
    """The backbone of an encoder or run as a Gram teacher for a student of the sizes ``vit``."""
    encoder = Encoder.load(path)
    its_mean, its_std = _normalisation(encoder.card, path)
    if abs(its_mean - mean) > 1e-6 or abs(its_std - std) > 1e-6:
        raise UserError(
            f"sees pixels normalised by {its_mean:.4f} ± {its_std:.4f}, this run by {mean:.4f} ± {std:.4f}",
            where=path,
            remedy="a Gram teacher has to be an earlier stage of the same run or of its parent",
        )
    made = VisionTransformer(vit)
    made.load_state_dict(_fitted(encoder.vit, vit, Path(path)))
    return made.requires_grad_(False)


def _normalisation(card: EncoderCard, where: str | Path) -> tuple[float, float]:
    """Mean and standard deviation of an encoder for films, which have one channel."""
    if isinstance(card.mean, list) or isinstance(card.std, list):
        raise UserError(
            "an encoder for three channels, and films have one",
            where=where,
            remedy="import its weights again with --channels 1: its outputs stay the same",
        )
    return card.mean, card.std


def _network_of(path: Path) -> Network:
    header = read_header(path)
    if header.schema != RUN.name:
        raise UserError(
            f"this is {header.schema!r}, and only a run holds heads",
            where=path,
            remedy="for an encoder: parent.use: backbone with optimizer.head_warmup_steps",
        )
    if not (path / "teacher").is_dir():
        raise UserError("this run holds no network yet", where=path, remedy="let it reach a checkpoint")
    return load_network(path / "teacher")[0]


def _fitted(theirs: VisionTransformer, vit: ViTConfig, where: Path) -> dict[str, Tensor]:
    """Their weights for a network of the sizes ``vit``: position embeddings resized to its grid."""
    _require_equal(theirs.config, vit, "its network", where, but=_MAY_DIFFER)
    side = vit.image_size // vit.patch_size
    # The same resizing as in a forward pass at that size, so that the child starts as the function that its parent is.
    return {**theirs.state_dict(), "pos_embed": theirs.positions((side, side)).detach().clone()}


def _require_equal(theirs: Config, ours: Config, what: str, where: Path, *, but: Collection[str] = ()) -> None:
    pairs = [(key, getattr(theirs, key), getattr(ours, key)) for key in type(ours).model_fields if key not in but]
    differing = ", ".join(f"{key} {one} instead of {other}" for key, one, other in pairs if one != other)
    if differing:
        raise UserError(f"{what} has {differing}", where=where, remedy="take the recipe's sizes from the parent's")


def _require_teachable(teacher: Network, vit: ViTConfig, head: HeadConfig, ibot_head: HeadConfig, where: Path) -> None:
    """A student may be of any width and depth, but has to answer in the teacher's patches and prototypes."""
    theirs = {
        "vit.patch_size": (teacher.backbone.config.patch_size, vit.patch_size),
        "vit.channels": (teacher.backbone.config.channels, vit.channels),
        "head.n_prototypes": (teacher.head_configs["dino_head"].n_prototypes, head.n_prototypes),
        "ibot_head.n_prototypes": (teacher.head_configs["ibot_head"].n_prototypes, ibot_head.n_prototypes),
    }
    for key, (one, other) in theirs.items():
        if one != other:
            raise UserError(
                f"teaches with {key} {one}, the student has {other}", where=where, remedy=f"set recipe.{key} to {one}"
            )
