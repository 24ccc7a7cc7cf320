"""A small convolutional network trained end to end on the labels: what a frozen probe should reach.

Eight 3 x 3 convolutions with batch norm in four stages, mean pooling, one output a task; films at 96 px, random crops
of 60 to 100 % of the area, AdamW with a cosine. Trained on the same targets as the probes, unknown ones left out;
the last weights count, so nothing is chosen on evaluation films.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from frozen_probe import Tasks
from torch import nn

from raydino.artifacts.dataset import Dataset
from raydino.data.augment.crop_resize import CropResize
from raydino.data.films import Films, whole_film
from raydino.train.precision import pick_device

SIDE = 96
WIDTHS = (32, 64, 128, 256)
BATCH = 32
PEAK_LR = 1e-3


def network(n_tasks: int) -> nn.Sequential:
    """[B, 1, SIDE, SIDE] → logits [B, n_tasks]."""
    layers: list[nn.Module] = []
    width = 1
    for wider in WIDTHS:
        for stride, channels in ((2, width), (1, wider)):
            layers += [nn.Conv2d(channels, wider, 3, stride, 1, bias=False), nn.BatchNorm2d(wider), nn.ReLU()]
        width = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_tasks))


def cnn_scores(dataset: Dataset, tasks: Tasks, *, seed: int, epochs: int) -> npt.NDArray[np.float64]:
    """Train one network on all tasks at once; its logits [evaluation films, tasks]."""
    device, rng = pick_device("auto"), np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network(len(tasks.names)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=0.05)
    films = Films(dataset, tasks.train_ids)
    policy = CropResize(global_size=SIDE, local_size=SIDE, n_locals=0, global_scale=(0.6, 1.0))
    targets = torch.from_numpy(tasks.train).float()
    n_steps, step = epochs * math.ceil(len(films) / BATCH), 0
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(films)), math.ceil(len(films) / BATCH)):
            for group in optimizer.param_groups:
                group["lr"] = PEAK_LR * 0.5 * (1 + math.cos(math.pi * step / n_steps))
            crops = [policy(films[int(i)], rng).global_crops[0].numpy() for i in rows]
            logits, target = (
                model(_standardised(np.stack(crops)).to(device)),
                targets[torch.from_numpy(rows)].to(device),
            )
            known = ~target.isnan()
            loss = F.binary_cross_entropy_with_logits(logits[known], target[known])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
    model.eval()
    tested, parts = Films(dataset, tasks.test_ids, cache_bytes=0), []
    with torch.no_grad():
        for start in range(0, len(tested), 64):
            views = np.stack([whole_film(tested[i], SIDE) for i in range(start, min(start + 64, len(tested)))])
            parts.append(model(_standardised(views).to(device)).double().cpu().numpy())
    return np.concatenate(parts)


def _standardised(views: npt.NDArray[np.float32]) -> torch.Tensor:
    flat = torch.from_numpy(views).flatten(1)
    scaled = (flat - flat.mean(dim=1, keepdim=True)) / flat.std(dim=1, keepdim=True).clamp_min(1e-6)
    return scaled.view(len(views), 1, SIDE, SIDE)
