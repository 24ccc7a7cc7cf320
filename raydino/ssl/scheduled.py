"""DINOv2's objective with its schedules, as the training loop wants it (``train.loop.TrainingMethod``)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from raydino.data.batches import Batch
from raydino.ssl.method import DinoV2
from raydino.ssl.recipe import Recipe
from raydino.ssl.schedules import cosine, linear_then_constant, warmup_cosine
from raydino.train.optim import set_step


class ScheduledDinoV2(nn.Module):
    """The method as the loop wants it: losses plus the schedules of the recipe."""

    def __init__(self, recipe: Recipe, *, mean: float, std: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(recipe.seed)
        self.recipe = recipe
        self.core = DinoV2(recipe.vit, recipe.head, recipe.loss, mean=mean, std=std, generator=generator)
        self._temperature = 0.0
        self._momentum = 0.0

    def begin_step(self, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        recipe, teacher, optim = self.recipe, self.recipe.teacher, self.recipe.optimizer
        lr = warmup_cosine(
            step, peak=optim.peak_lr, end=optim.end_lr, warmup_steps=optim.warmup_steps, n_steps=recipe.steps
        )
        decay = cosine(step, start=optim.weight_decay_start, end=optim.weight_decay_end, n_steps=recipe.steps)
        set_step(optimizer, step=step, lr=lr, weight_decay=decay)
        self._momentum = cosine(step, start=teacher.momentum_start, end=teacher.momentum_end, n_steps=recipe.steps)
        self._temperature = linear_then_constant(
            step,
            start=teacher.temperature_start,
            end=teacher.temperature_end,
            warmup_steps=teacher.temperature_warmup_steps,
        )
        return {"lr": lr, "weight_decay": decay, "momentum": self._momentum, "temperature": self._temperature}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        device = self.core.student.backbone.cls_token.device
        return self.core.losses(Batch(*(t.to(device, non_blocking=True) for t in batch)), self._temperature)

    def clipped_parts(self) -> Mapping[str, nn.Module]:
        return dict(self.core.student.named_children())

    def end_step(self) -> None:
        self.core.update_teacher(self._momentum)
