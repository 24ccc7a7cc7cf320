"""The config of a pretraining run.

Two blocks: ``recipe`` decides the result, ``runtime`` only how it is computed. A resume needs the same
recipe; the runtime may change.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from raydino.config import Config, parse_config
from raydino.data.augment import AUGMENTATIONS, Augmentation
from raydino.nn.vit import ViTConfig
from raydino.ssl.method import HeadConfig, LossWeights
from raydino.train.optim import OptimizerConfig
from raydino.train.parallel import Parallel
from raydino.train.precision import Precision


class AugmentationConfig(Config):
    """``policy`` is a name of the registry; its ``options`` are checked by the policy itself."""

    policy: str
    options: dict[str, Any]

    def build(self) -> Augmentation:
        """The policy object."""
        policy: Augmentation = parse_config(
            self.options, AUGMENTATIONS.get(self.policy), where="recipe.augmentation.options"
        )
        return policy


class TeacherConfig(Config):
    """Momentum rises along a cosine over all steps; temperature rises linearly at first."""

    momentum_start: float = Field(default=0.994, ge=0, le=1)
    momentum_end: float = Field(default=1.0, ge=0, le=1)
    temperature_start: float = Field(default=0.04, gt=0)
    temperature_end: float = Field(default=0.07, gt=0)
    temperature_warmup_steps: int = Field(default=0, ge=0)


class Recipe(Config):
    """Everything that changes the result."""

    seed: int = Field(default=0, ge=0)
    steps: int = Field(ge=0)
    batch_size: int = Field(ge=2)
    vit: ViTConfig
    augmentation: AugmentationConfig
    head: HeadConfig = HeadConfig()
    loss: LossWeights = LossWeights()
    teacher: TeacherConfig = TeacherConfig()
    optimizer: OptimizerConfig

    @model_validator(mode="after")
    def _crops_are_whole_patches(self) -> Recipe:
        for name in ("global_size", "local_size"):
            size = self.augmentation.options.get(name)
            if isinstance(size, int) and size % self.vit.patch_size:
                raise ValueError(f"augmentation.options.{name} {size} is no multiple of patch {self.vit.patch_size}")
        return self


class Runtime(Config):
    """How it is computed; must not change what is learnt beyond rounding."""

    device: str = "auto"
    precision: Precision = "auto"
    attention: str = "auto"
    n_workers: int = Field(default=1, ge=0)
    log_every_steps: int = Field(default=10, gt=0)
    checkpoint_every_steps: int = Field(default=500, gt=0)
    probe_every_steps: int = Field(default=500, gt=0)
    trackers: tuple[str, ...] = ("tensorboard",)
    parallel: Parallel = "auto"  # ddp, fsdp or hybrid between several processes; auto goes by the network's size
    shard_ranks: int | None = Field(default=None, gt=0)  # hybrid: processes that share one copy; a machine's when null


class PretrainConfig(Config):
    """A pretraining config file."""

    recipe: Recipe
    runtime: Runtime = Runtime()
