"""The config of a pretraining run.

Two blocks: ``recipe`` decides the result, ``runtime`` only how it is computed. A resume needs the same
recipe; the runtime may change.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from raydino.config import Config, parse_config
from raydino.data.augment import AUGMENTATIONS, Augmentation
from raydino.data.loader import AugmentOn
from raydino.data.masking import Masking
from raydino.nn.vit import ViTConfig
from raydino.ssl.centring import CentringConfig, SinkhornConfig
from raydino.ssl.losses.gram import GramConfig
from raydino.ssl.method import LossWeights
from raydino.ssl.network import HeadConfig
from raydino.ssl.parent import ParentConfig
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
    batch_size: int = Field(ge=2)  # films of a step, over all processes
    vit: ViTConfig
    drop_path: float = Field(default=0.0, ge=0, lt=1)  # share of films whose residual branch a block leaves out
    augmentation: AugmentationConfig
    masking: Masking = Masking()
    head: HeadConfig = HeadConfig()
    ibot_head: HeadConfig | None = None  # sizes of the patches' own head; None: those of ``head``
    centring: CentringConfig = SinkhornConfig()
    loss: LossWeights = LossWeights()
    gram: GramConfig | None = None
    teacher: TeacherConfig = TeacherConfig()
    optimizer: OptimizerConfig
    parent: ParentConfig | None = None  # the stage before this one; it has to stay where it is until this run is done

    @property
    def heads(self) -> tuple[HeadConfig, HeadConfig]:
        """Sizes of the DINO and of the iBOT head."""
        return self.head, self.ibot_head or self.head

    @model_validator(mode="after")
    def _koleo_groups_are_whole(self) -> Recipe:
        group = self.loss.koleo_group_films
        if group is not None and self.batch_size % group:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of loss.koleo_group_films {group}")
        return self

    @model_validator(mode="after")
    def _films_have_one_channel(self) -> Recipe:
        if self.vit.channels != 1:
            raise ValueError(f"vit.channels {self.vit.channels}: films have one; import-weights --channels 1 folds RGB")
        return self

    @model_validator(mode="after")
    def _crops_are_whole_patches(self) -> Recipe:
        for name in ("global_size", "local_size"):
            size = self.augmentation.options.get(name)
            if isinstance(size, int) and size % self.vit.patch_size:
                raise ValueError(f"augmentation.options.{name} {size} is no multiple of patch {self.vit.patch_size}")
        return self


class Runtime(Config):
    """How it is computed; must not change what is learnt beyond rounding and the draws of drop-path."""

    device: str = "auto"
    precision: Precision = "auto"
    attention: str = "auto"  # a backend of ``raydino plugins``
    compile: bool = False  # torch.compile for the blocks: pays on a GPU and on long runs; needs a C++ compiler
    recompute_every_blocks: int = Field(default=0, ge=0)  # activation checkpointing of every n-th block, to save memory
    n_workers: int = Field(default=1, ge=0)  # processes that read films and make batches, for each device
    film_cache_gib: float = Field(default=4.0, ge=0)  # of decoded films in memory, on each machine
    augment_on: AugmentOn = "workers"  # where crops are cut: ``device`` for few cores or large crops
    log_every_steps: int = Field(default=10, gt=0)
    checkpoint_every_steps: int = Field(default=500, gt=0)
    probe_every_steps: int = Field(default=500, gt=0)
    # Films of one forward and backward pass of one process; None: all at once. Bounds memory, and costs a further pass
    # without gradient over the global crops (all crops with drop-path), for KoLeo, unless it is a multiple of
    # loss.koleo_group_films.
    micro_batch_films: int | None = Field(default=None, gt=0)
    max_bad_steps: int = Field(default=5, gt=0)  # steps in a row without a finite loss and gradient that end the run
    trackers: tuple[str, ...] = ("tensorboard",)
    parallel: Parallel = "auto"  # ddp, fsdp or hybrid between several processes; auto goes by the network's size
    shard_ranks: int | None = Field(default=None, gt=0)  # hybrid: processes that share one copy; a machine's when null


class PretrainConfig(Config):
    """A pretraining config file."""

    recipe: Recipe
    runtime: Runtime = Runtime()
