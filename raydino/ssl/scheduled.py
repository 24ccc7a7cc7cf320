"""DINOv2's objective with its schedules, as the training loop wants it (``train.loop.TrainingMethod``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from raydino.data.batches import Batch
from raydino.nn.drop_path import reseed_drop_path
from raydino.nn.vit import VisionTransformer
from raydino.ssl.method import DinoV2
from raydino.ssl.network import Network
from raydino.ssl.parent import FrozenTeacher, Parent, open_gram_teacher
from raydino.ssl.recipe import Recipe
from raydino.ssl.schedules import cosine, linear_then_constant, warmup_cosine
from raydino.train.distributed import rank
from raydino.train.optim import set_step


class ScheduledDinoV2(nn.Module):
    """The method as the loop wants it: losses plus the schedules of the recipe.

    ``parent`` is what ``recipe.parent`` opens to. ``micro_batch_films`` bounds memory and leaves the result.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        mean: float,
        std: float,
        parent: Parent | None = None,
        micro_batch_films: int | None = None,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.micro_batch_films = micro_batch_films
        self.core = _objective(recipe, parent, mean=mean, std=std)
        self._step = 0
        self._temperature = 0.0
        self._momentum = 0.0

    @property
    def kept(self) -> Network:
        """The network that the run is for."""
        return self.core.kept

    def backbones(self) -> list[VisionTransformer]:
        """All there are: the student's, the teachers', the average's."""
        return [module for module in self.modules() if isinstance(module, VisionTransformer)]

    def begin_step(self, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        recipe, teacher, optim = self.recipe, self.recipe.teacher, self.recipe.optimizer
        lr = warmup_cosine(
            step, peak=optim.peak_lr, end=optim.end_lr, warmup_steps=optim.warmup_steps, n_steps=recipe.steps
        )
        decay = cosine(step, start=optim.weight_decay_start, end=optim.weight_decay_end, n_steps=recipe.steps)
        set_step(optimizer, step=step, lr=lr, weight_decay=decay)
        self._step = step
        self._momentum = cosine(step, start=teacher.momentum_start, end=teacher.momentum_end, n_steps=recipe.steps)
        self._temperature = linear_then_constant(
            step,
            start=teacher.temperature_start,
            end=teacher.temperature_end,
            warmup_steps=teacher.temperature_warmup_steps,
        )
        if recipe.gram is not None and recipe.gram.takes_teacher_at(step):
            self.core.take_gram_teacher()
        return {"lr": lr, "weight_decay": decay, "momentum": self._momentum, "temperature": self._temperature}

    def losses(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        device = next(self.core.student.parameters()).device
        gram = self.recipe.gram
        return self.core.losses(
            Batch(*(t.to(device, non_blocking=True) for t in batch)),
            self._temperature,
            gram_weight=gram.weight if gram is not None and self._step >= gram.start_step else 0.0,
            micro_batch_films=self.micro_batch_films,
            before_student=self._reseed,
        )

    def clipped_parts(self) -> Mapping[str, nn.Module]:
        return dict(self.core.student.named_children())

    def end_step(self) -> None:
        self.core.end_step(self._momentum)

    def _reseed(self, part: int) -> None:
        """Drop-path's draws are a function of seed, step, rank and micro-batch: a resume repeats them."""
        entropy = [self.recipe.seed, rank(), part]
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint32)[0])
        reseed_drop_path(self.core.student, seed, self._step)


def _objective(recipe: Recipe, parent: Parent | None, *, mean: float, std: float) -> DinoV2:
    """Networks, drawn from the recipe's seed and then taken over from the parent, with what the recipe says."""
    generator = torch.Generator().manual_seed(recipe.seed)
    student = Network(recipe.vit, recipe.head, recipe.ibot_head).initialise(generator)
    if parent is not None:
        student.load_state_dict(parent.weights, strict=False)
    return DinoV2(
        student,
        recipe.loss,
        mean=mean,
        std=std,
        centring=recipe.centring,
        drop_path=recipe.drop_path,
        frozen_teacher=parent.teacher if parent is not None else None,
        distilled_patches=recipe.parent.patches if isinstance(recipe.parent, FrozenTeacher) else "all",
        gram_teacher=_gram_teacher(recipe, mean=mean, std=std),
    )


def _gram_teacher(recipe: Recipe, *, mean: float, std: float) -> VisionTransformer | None:
    if recipe.gram is None:
        return None
    if recipe.gram.path is not None:
        return open_gram_teacher(recipe.gram.path, recipe.vit, mean=mean, std=std)
    return VisionTransformer(recipe.vit).requires_grad_(False)  # filled at start_step
