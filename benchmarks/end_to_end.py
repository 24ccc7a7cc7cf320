"""Supervised networks trained end to end, which light heads on a frozen encoder are measured against: MONAI's
DenseNet121 for findings and measurements, MONAI's UNet for masks.

Films at 96 px, random crops of 60 to 100 % of the area for the DenseNet, shifts for the UNet, AdamW with a cosine; the
last weights count, so nothing is chosen on validation or test films.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from monai.networks.nets import DenseNet121, UNet
from torch import Tensor, nn

from raydino.artifacts.dataset import Dataset
from raydino.data.augment.crop_resize import CropResize
from raydino.data.films import Films, whole_film
from raydino.train.precision import autocast, keep_freed_memory, pick_device

Floats = npt.NDArray[np.float64]
SIDE, BATCH, PEAK_LR = 96, 32, 1e-3
SHIFT = 6  # pixels, at most, of films and masks together


def densenet_outputs(
    dataset: Dataset, train_ids: Sequence[str], targets: Floats, is_value: Sequence[bool], test_ids: Sequence[str],
    *, seed: int, epochs: int,
) -> Floats:  # fmt: skip
    """[test films, columns]: logits, or of ``is_value`` columns the value in its own unit. ``targets`` [N, columns]: 1,
    0 or a value; NaN is unknown."""
    values = np.asarray(is_value)
    mean, std = np.nanmean(targets, 0), np.nanstd(targets, 0)
    wanted = torch.from_numpy(np.where(values, (targets - mean) / std, targets)).float()
    model = _seeded(lambda: DenseNet121(spatial_dims=2, in_channels=1, out_channels=targets.shape[1]), seed)
    rng, films = np.random.default_rng(seed), Films(dataset, train_ids)
    policy = CropResize(global_size=SIDE, local_size=SIDE, n_locals=0, global_scale=(0.6, 1.0))
    is_value_T = torch.from_numpy(values)

    def loss(rows: npt.NDArray[np.int64]) -> Tensor:
        crops = np.stack([policy(films[int(i)], rng).global_crops[0].numpy() for i in rows])
        found, target = model(_standardised(crops)), wanted[torch.from_numpy(rows)]
        known, target = ~target.isnan(), target.nan_to_num()  # a NaN that is left out still makes its gradient NaN
        each = torch.where(
            is_value_T,
            (found - target).square() / 2,
            F.binary_cross_entropy_with_logits(found, target, reduction="none"),
        )
        return each[known].mean()

    _descend(model, loss, len(films), rng, epochs)
    output = np.concatenate([part.double().numpy() for part in _outputs(model, dataset, test_ids)])
    return np.where(values, output * std + mean, output)


def unet_probabilities(
    dataset: Dataset, structures: Sequence[str], train_ids: Sequence[str], masks: npt.NDArray[np.uint8],
    test_ids: Sequence[str], *, seed: int, epochs: int,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """[test films, structures, SIDE, SIDE]. ``masks`` [N, structures, SIDE, SIDE]: 1, 0, or 255 throughout: unknown."""
    model = _seeded(
        lambda: UNet(2, 1, len(structures), channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2),
        seed,
    )
    rng, films = np.random.default_rng(seed), Films(dataset, train_ids)
    views = [whole_film(films[i], SIDE) for i in range(len(films))]
    dice = DiceLoss(sigmoid=True, reduction="none")

    def loss(rows: npt.NDArray[np.int64]) -> Tensor:
        moved = [_shifted(views[i], masks[i], rng) for i in rows]
        logits = model(_standardised(np.stack([view for view, _ in moved])))
        truth = torch.from_numpy(np.stack([mask for _, mask in moved]))
        known = (truth != 255).all(dim=(2, 3))
        flat, target = logits[known][:, None], (truth[known] == 1).float()[:, None]
        return dice(flat, target).mean() + F.binary_cross_entropy_with_logits(flat, target)

    _descend(model, loss, len(films), rng, epochs)
    return np.concatenate([part.sigmoid().numpy() for part in _outputs(model, dataset, test_ids)])


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().to(pick_device("auto"), memory_format=torch.channels_last)


def _descend(
    model: nn.Module, loss: Callable[[npt.NDArray[np.int64]], Tensor], n: int, rng: np.random.Generator, epochs: int
) -> None:
    keep_freed_memory()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=0.05)
    n_batches = math.ceil(n / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * n_batches)
    model.train()
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(n), n_batches):
            optimizer.zero_grad(set_to_none=True)
            with autocast("auto", pick_device("auto")):
                value = loss(rows)
            value.backward()
            optimizer.step()
            schedule.step()
    model.eval()


@torch.no_grad()
def _outputs(model: nn.Module, dataset: Dataset, ids: Sequence[str]) -> Iterator[Tensor]:
    films = Films(dataset, ids, cache_bytes=0)
    for start in range(0, len(films), 64):
        views = [whole_film(films[i], SIDE) for i in range(start, min(start + 64, len(films)))]
        yield model(_standardised(np.stack(views))).cpu()


def _standardised(views: npt.NDArray[np.float32]) -> Tensor:
    flat = torch.from_numpy(views).flatten(1)
    scaled = (flat - flat.mean(dim=1, keepdim=True)) / flat.std(dim=1, keepdim=True).clamp_min(1e-6)
    return scaled.view(len(views), 1, SIDE, SIDE).to(pick_device("auto"), memory_format=torch.channels_last)


def _shifted(
    view: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Film and masks moved alike and made up to a tenth larger or smaller; edges repeat."""
    scale, (dx, dy) = rng.uniform(0.9, 1.1), rng.uniform(-SHIFT, SHIFT, 2)
    middle = SIDE / 2 * (1 - scale)
    matrix = np.float32([[scale, 0, middle + dx], [0, scale, middle + dy]])
    if (mask == 255).all():
        moved = mask
    else:
        edge = {"flags": cv2.INTER_NEAREST, "borderMode": cv2.BORDER_REPLICATE}
        unknown = [(channel == 255).all() for channel in mask]
        moved = np.stack([cv2.warpAffine(channel, matrix, (SIDE, SIDE), **edge) for channel in mask])
        moved[unknown] = 255
    film = cv2.warpAffine(view[0], matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return film[None], moved
