"""The KoLeo regulariser: spread the class tokens of a batch (Sablayrolles 2018, 1806.03198; DINOv2 §4).

-mean log of each unit vector's distance to its nearest neighbour. Exact duplicates, which chest
X-ray archives do hold, have no direction to be pushed apart in and are left out; so is a batch of one.

In DINOv2's code the neighbours are those on one GPU; DINOv3's can be those of a group of GPUs. Here the group is a
number of films, so that the result does not depend on how many processes compute it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from raydino.ssl.wide import wide, without_autocast
from raydino.train.distributed import gather_rows


def koleo_loss(cls_BD: Tensor, *, eps: float = 1e-8) -> Tensor:
    """Scalar, float32 (float64 for float64 input); 0 when no two vectors differ."""
    unit = F.normalize(wide(cls_BD), dim=-1, eps=eps)
    if len(unit) < 2:
        return unit.sum() * 0.0
    with torch.no_grad(), without_autocast(unit):
        similarity = unit @ unit.T
        similarity.fill_diagonal_(-2.0)
        neighbour = similarity.argmax(dim=1)
    difference = unit - unit[neighbour]
    squared = difference.square().sum(dim=-1)
    apart = squared > eps
    distance = torch.where(apart, squared, torch.ones_like(squared)).sqrt()
    return -(torch.log(distance + eps) * apart).sum() / apart.sum().clamp_min(1)


def koleo_in_groups(cls_GBD: Tensor, group_films: int | None) -> Tensor:
    """The sum over G crops of the mean KoLeo of groups of ``group_films`` films; None: of all ranks' films.

    Groups are consecutive films in order of rank. Neighbours are sought among the same crop of other films,
    never between two crops of one film. A group larger than this rank's B films spans ranks: then every rank
    computes them all, and gradients flow back to the rank that each film came from.
    """
    films_BGD = cls_GBD.transpose(0, 1)
    if group_films is None or len(films_BGD) % group_films:
        films_BGD = gather_rows(films_BGD)
    groups = films_BGD.split(group_films or len(films_BGD))
    terms = [koleo_loss(group[:, crop]) for group in groups for crop in range(films_BGD.shape[1])]
    return torch.stack(terms).sum() / len(groups)
