"""The one way to fit every adapter: read the films that teach, let it learn, tune it on validation, look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from adapters.base import Adapter, AdapterConfig
from adapters.batches import CondensedFilms, FilmFeatures, Split
from adapters.registry import ADAPTERS
from adapters.targets import teaching_films
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features, extract
from raydino.train.precision import keep_freed_memory, pick_device


@dataclass(frozen=True)
class Fitted:
    """A fitted adapter on its device, in evaluation mode, and what ``metrics.json`` will say."""

    adapter: Adapter
    metrics: dict[str, Any]


def fit(config: AdapterConfig, encoder: Encoder, dataset: Dataset, features: Features | None = None) -> Fitted:
    """Fit on the train split, choose on the val split; test is never read.

    ``features``: the encoder's output where it is at hand already. Equal config and seed give equal
    weights on one machine. Raises UserError when the dataset cannot teach what the config asks.
    """
    keep_freed_memory()
    dataset.require_disjoint_patients()
    encoder.spec.require_same_pixels(dataset)
    encoder = encoder.at(config.recipe.image_size)
    cls: type[Adapter] = ADAPTERS.get(config.kind)
    device, blocks = pick_device(config.runtime.device), config.recipe.blocks
    generator = torch.Generator().manual_seed(config.recipe.seed)
    with _seeded(generator):
        adapter = cls.begin(config, encoder.spec, dataset).to(device)
        wanted = {split: _teaching(adapter, dataset, split) for split in ("train", "val")}
        if features is None:
            both = [sample_id for ids, _ in wanted.values() for sample_id in ids]
            features = extract(encoder.to(device), dataset, both, blocks=blocks)
        features.require_size(encoder.spec)
        films = {split: FilmFeatures(features, ids, device, blocks) for split, (ids, _) in wanted.items()}
        train, val = (Split(CondensedFilms(films[s], adapter.condense), wanted[s][1]) for s in ("train", "val"))
        train, val = adapter.grouped(dataset, train, val)
        adapter.observe(train.films, train.targets)
        history = adapter.learn(train, val, generator)
    seen = FilmFeatures(features, val.films.sample_ids, device, adapter.config.recipe.blocks)  # of the head that stays
    history |= adapter.told(train, replace(val, films=seen))
    adapter.tune(seen, val.targets)
    evaluation = adapter.evaluate(dataset, seen)
    metrics = evaluation.metrics(task=adapter.task, split="val") | history | {"left_out": adapter.left_out}
    return Fitted(adapter, metrics | {"n_train": len(train.films), "n_val": len(val.films)})


def _teaching(adapter: Adapter, dataset: Dataset, split: str) -> tuple[list[str], Tensor]:
    """Films of ``split`` of which something is known, and their targets."""
    ids = teaching_films(dataset, split, adapter.config.recipe)
    targets = adapter.targets(dataset, ids)
    known = adapter.known(targets)
    if not known.any():
        raise UserError(f"its {split} split has no film that an adapter for {adapter.task} can use", where=dataset.path)
    return [sample_id for sample_id, use in zip(ids, known.tolist(), strict=True) if use], targets[known]


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """Initial weights and dropout draw from torch's global generator: lend it a seed and give it back as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        yield
