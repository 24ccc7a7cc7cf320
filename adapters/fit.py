"""The one loop that fits every adapter: AdamW on frozen features, the best validation epoch kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adapters.base import Adapter, AdapterConfig, Recipe
from adapters.batches import BATCH, FilmFeatures
from adapters.registry import ADAPTERS
from adapters.targets import films_of
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features, extract
from raydino.tracking import progress_bar
from raydino.train.precision import pick_device

WARMUP = 0.1  # of all steps


@dataclass(frozen=True)
class Fitted:
    """A fitted adapter on its device, in evaluation mode, and what ``metrics.json`` will say."""

    adapter: Adapter
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Split:
    """The films of one split that teach something, with their targets in the same order."""

    films: FilmFeatures
    targets: Tensor


def fit(config: AdapterConfig, encoder: Encoder, dataset: Dataset, features: Features | None = None) -> Fitted:
    """Fit on the train split, choose on the val split; test is never read.

    ``features``: the encoder's output where it is at hand already. Equal config and seed give equal
    weights on one machine. Raises UserError when the dataset cannot teach what the config asks.
    """
    dataset.require_disjoint_patients()
    encoder.spec.require_same_pixels(dataset)
    cls: type[Adapter] = ADAPTERS.get(config.kind)
    device, blocks = pick_device(config.runtime.device), config.recipe.blocks
    generator = torch.Generator().manual_seed(config.recipe.seed)
    with _seeded(generator):
        adapter = cls.begin(config, encoder.spec, dataset).to(device)
        wanted = {split: _teaching(adapter, dataset, split) for split in ("train", "val")}
        if features is None:
            both = [sample_id for ids, _ in wanted.values() for sample_id in ids]
            features = extract(encoder.to(device), dataset, both, blocks=blocks)
        train, val = (Split(FilmFeatures(features, ids, device, blocks), targets) for ids, targets in wanted.values())
        adapter.observe(train.films, train.targets)
        history = _descend(adapter, train, val, generator)
    adapter.tune(val.films, val.targets)
    evaluation = adapter.evaluate(dataset, val.films)
    metrics = evaluation.metrics(task=adapter.task, split="val") | history | {"left_out": adapter.left_out}
    return Fitted(adapter, metrics | {"n_train": len(train.films), "n_val": len(val.films)})


def _teaching(adapter: Adapter, dataset: Dataset, split: str) -> tuple[list[str], Tensor]:
    """Films of ``split`` of which something is known, and their targets."""
    ids = films_of(dataset, split, adapter.config.recipe.views)
    targets = adapter.targets(dataset, ids)
    known = adapter.known(targets)
    if not known.any():
        raise UserError(f"its {split} split has no film that an adapter for {adapter.task} can use", where=dataset.path)
    return [sample_id for sample_id, use in zip(ids, known.tolist(), strict=True) if use], targets[known]


def _descend(adapter: Adapter, train: Split, val: Split, generator: torch.Generator) -> dict[str, Any]:
    """Fit ``adapter`` in place and leave it in evaluation mode, with the weights of its best epoch."""
    recipe = adapter.config.recipe
    optimiser = torch.optim.AdamW(_groups(adapter, recipe), lr=recipe.learning_rate)
    n_steps = recipe.epochs * math.ceil(len(train.films) / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, n_steps))
    best, best_epoch, best_head, weights = math.inf, 0, 0, {}
    with progress_bar() as bar:
        task = bar.add_task(f"fitting {adapter.config.kind}", total=recipe.epochs, note="")
        for epoch in range(1, recipe.epochs + 1):
            adapter.train()
            for films in torch.randperm(len(train.films), generator=generator).split(recipe.batch_size):
                target = train.targets[films].to(adapter.device)
                losses = adapter.loss(train.films.read(films), target).mean(0) + adapter.penalty()
                optimiser.zero_grad(set_to_none=True)
                losses.sum().backward()
                optimiser.step()
                schedule.step()
            losses = validation_loss(adapter, val)
            if losses.min() < best:
                best, best_head, best_epoch = float(losses.min()), int(losses.argmin()), epoch
                weights = {name: tensor.detach().clone() for name, tensor in adapter.state_dict().items()}
            bar.update(task, advance=1, note=f"validation loss {float(losses.min()):.4f}, best {best:.4f}")
            if epoch - best_epoch >= recipe.patience:
                break
    if not weights:
        raise UserError("the validation loss is not a number from the first epoch on", remedy="lower learning_rate")
    adapter.load_state_dict(weights)
    adapter.eval()
    adapter.keep(best_head)
    return {"loss": best, "best_epoch": best_epoch, "epochs": epoch, "head": best_head}


@torch.no_grad()
def validation_loss(adapter: Adapter, val: Split) -> Tensor:
    """[H] mean loss over films, each film counted once whatever the batches."""
    adapter.eval()
    parts = [adapter.loss(output, val.targets[films].to(adapter.device)) for films, output in val.films.batches(BATCH)]
    return torch.cat(parts).double().mean(0).cpu()


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


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """Initial weights and dropout draw from torch's global generator: lend it a seed and give it back as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        yield
