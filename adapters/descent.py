"""Fitting by gradient descent on frozen features, the best validation epoch kept.

``fit`` calls it through ``Adapter.learn``; a head that is solved as a whole (nearest neighbours, logistic
regression) overrides that method and never comes here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from adapters.batches import BATCH, Split
from raydino.errors import UserError
from raydino.tracking import progress_bar

if TYPE_CHECKING:
    from adapters.base import Adapter, Recipe

WARMUP = 0.1  # of all steps
NEGLIGIBLE = 1e-15  # a gradient that no optimiser sees: AdamW's eps is 1e-8, and its squares stay normal numbers


def descend(adapter: Adapter, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
    """Fit ``adapter`` in place and leave it in evaluation mode, with the weights of its best epoch."""
    recipe = cast("Recipe", adapter.config.recipe)
    optimiser = adapter.optimiser(_groups(adapter, recipe), recipe.learning_rate)
    n_steps = recipe.epochs * math.ceil(len(train.films) / recipe.batch_size)
    objective = adapter.objective(train, val)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, n_steps))
    best, best_epoch, best_head, weights = math.inf, 0, 0, {}
    with progress_bar() as bar:
        task = bar.add_task(f"fitting {adapter.config.kind}", total=recipe.epochs, note="")
        for epoch in range(1, recipe.epochs + 1):
            adapter.train()
            for films in torch.randperm(len(train.films), generator=generator).split(recipe.batch_size):
                target = train.targets[films].to(adapter.device)
                losses = objective.training(adapter.loss(train.films.read(films), target), films) + adapter.penalty()
                optimiser.zero_grad(set_to_none=True)
                losses.sum().backward()
                optimiser.step()
                schedule.step()
            losses = objective.validation(film_losses(adapter, val))
            lowest, head = lowest_of(losses)
            if lowest < best:
                best, best_head, best_epoch = lowest, head, epoch
                weights = {name: tensor.detach().clone() for name, tensor in adapter.state_dict().items()}
            bar.update(task, advance=1, note=f"validation loss {lowest:.4f}, best {best:.4f}")
            if epoch - best_epoch >= recipe.patience:
                break
    if not weights:
        raise UserError("the validation loss is not a number from the first epoch on", remedy="lower learning_rate")
    adapter.load_state_dict(weights)
    adapter.eval()
    adapter.keep(best_head)
    return {"loss": best, "best_epoch": best_epoch, "epochs": epoch, "head": best_head}


@torch.no_grad()
def film_losses(adapter: Adapter, val: Split) -> Tensor:
    """[N, H] or [N, H, L] ``Adapter.loss`` of every film, whatever the batches."""
    adapter.eval()
    parts = [adapter.loss(output, val.targets[films].to(adapter.device)) for films, output in val.films.batches(BATCH)]
    return torch.cat(parts)


def lowest_of(losses: Tensor) -> tuple[float, int]:
    """The lowest of [H] losses and its place; a head that diverged (not a number) never wins over one that did not."""
    finite = losses.nan_to_num(nan=math.inf, posinf=math.inf)
    return float(finite.min()), int(finite.argmin())


def without_negligible_gradients(logits: Tensor) -> Tensor:
    """``logits`` themselves; in the backward pass gradients below ``NEGLIGIBLE`` become 0.

    A head that separates its films has residuals of 1e-40 and less. Products and optimiser steps of such subnormal
    numbers are done in microcode: one diverged head of a grid made the whole fit several times as long.
    """
    if logits.requires_grad:
        logits.register_hook(lambda gradient: gradient.masked_fill(gradient.abs() < NEGLIGIBLE, 0))
    return logits


def warm_cosine(step: int, n_steps: int) -> float:
    """Factor of the peak learning rate: linear over the first tenth, then half a cosine down to 0."""
    warmup = max(1, round(WARMUP * n_steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, n_steps - warmup)))


def _groups(adapter: Adapter, recipe: Recipe) -> list[dict[str, Any]]:
    matrices = [p for p in adapter.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in adapter.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
