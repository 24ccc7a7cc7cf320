"""Other people's ViTs as ours: where the tensors, the sizes and the normalisation stand in their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raydino.artifacts.header import HEADER_NAME
from raydino.config import parse_config
from raydino.errors import UserError
from raydino.nn.hf_layout import from_hf, hf_sizes, to_hf, unwrap_hf
from raydino.nn.official_layout import from_official, official_sizes, to_official, unwrap_official
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.weights.files import read_checkpoint, read_json, read_tensors, sha256_of, weight_files

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


@dataclass(frozen=True)
class ForeignViT:
    """A network as its file has it: nothing folded, nothing resized. ``state`` f32 under our names."""

    config: ViTConfig
    state: dict[str, Tensor]
    mean: list[float]  # of pixels in 0..1, one value or one a channel; empty where the source does not say
    std: list[float]
    origin: dict[str, Any]  # what the encoder's card keeps of it
    where: Path  # for messages


def read_vit(source: str | Path) -> ForeignViT:
    """The ViT in an official ``.pth`` or ``.safetensors``, or in a Hugging Face directory of Dinov2.

    Raises UserError for files that are neither, and names the first tensor that is missing, unknown or of
    another shape.
    """
    source = Path(source)
    if not source.exists():
        raise UserError("no such file or directory", where=source)
    try:
        return _read_hf(source) if source.is_dir() else _read_official(source)
    except UserError as error:
        raise UserError(error.what, where=error.where or source, remedy=error.remedy) from None


def _read_official(path: Path) -> ForeignViT:
    state = unwrap_official(read_checkpoint(path))
    if not state:
        raise UserError("holds no named tensors, so it is no checkpoint of a network")
    if "embeddings.cls_token" in state:
        raise UserError("has Hugging Face's names", remedy="give its directory, with config.json")
    config = parse_config(official_sizes(state), ViTConfig, where=path)
    _require_same_tensors(state, to_official(_empty(config)))
    origin = {"format": "official DINOv2", "files": sha256_of([path])}
    # The official code and, says papers.md 2.0 at second hand, users of XRay-DINO normalise as for ImageNet.
    return ForeignViT(config, _floats(from_official(state, config)), IMAGENET_MEAN, IMAGENET_STD, origin, path)


def _read_hf(directory: Path) -> ForeignViT:
    if (directory / HEADER_NAME).is_file():
        raise UserError("is an artifact of raydino already", remedy="an encoder needs no import")
    values = read_json(directory / "config.json")
    config = parse_config(hf_sizes(values), ViTConfig, where=directory / "config.json")
    files = weight_files(directory)
    state = unwrap_hf(read_tensors(files), values)
    _require_same_tensors(state, to_hf(_empty(config)))
    mean: list[float] = []
    std: list[float] = []
    if (directory / "preprocessor_config.json").is_file():
        mean, std = _normalisation(read_json(directory / "preprocessor_config.json"))
    origin = {"format": f"Hugging Face {values['model_type']}", "files": sha256_of(files)}
    return ForeignViT(config, _floats(from_hf(state, config)), mean, std, origin, directory)


def _normalisation(values: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and deviation of pixels in 0..1, whatever the image processor scales 0..255 to first."""
    if not values.get("do_normalize", True):
        mean, std = [0.0], [1.0]
    elif "image_mean" not in values or "image_std" not in values:
        return [], []
    else:
        mean, std = ([float(value) for value in values[name]] for name in ("image_mean", "image_std"))
    top = 255 * float(values.get("rescale_factor", 1 / 255)) if values.get("do_rescale", True) else 255.0
    if abs(top - 1) < 1e-6:
        return mean, std
    return [value / top for value in mean], [value / top for value in std]


def _empty(config: ViTConfig) -> dict[str, Tensor]:
    """Names and shapes that a ViT of ``config`` has; no memory is taken."""
    with torch.device("meta"):
        return VisionTransformer(config).state_dict()


def _require_same_tensors(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted]
    if missing:
        raise UserError(f"lacks {len(missing)} tensors, {missing[0]!r} among them", remedy="is the file whole?")
    if unknown:
        raise UserError(
            f"holds {len(unknown)} tensors that a ViT of DINOv2 does not have, {unknown[0]!r} among them",
            remedy="weights of another architecture cannot be imported",
        )
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            shapes = f"{list(found[name].shape)}, and its other tensors ask for {list(tensor.shape)}"
            raise UserError(f"its {name!r} has the shape {shapes}")


def _floats(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in state.items()}
