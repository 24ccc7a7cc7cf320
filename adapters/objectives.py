"""What descent makes small: the mean loss of all films, a mean with groups weighed, or the worst group's.

ℓ the loss of a film and label under a head; g its group, y its truth, N films, n(…) how many of those that know the
label. Every label is a problem of its own, and counts by the share of films that know it, as in the plain mean: a worst
group over labels together would be the one that knows most labels. In training each objective is a mean over films of
weight × ℓ, so a batch's gradient is that of all films in expectation, whichever groups the batch holds.
Neighbours: ``groups`` (who belongs to which), ``descent`` (the caller).
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor

from adapters.batches import Split
from adapters.groups import GroupedBy, members
from raydino.config import Config

Weights = Literal["independent", "equal_groups", "equal_cells"]


class Objective(Protocol):
    """Losses of films to one number a head; made anew for each fit."""

    def training(self, losses: Tensor, films: Tensor) -> Tensor:
        """[H] of ``losses`` [B, H] or [B, H, L] (0 where unknown) of the training films at these positions."""

    def validation(self, losses: Tensor) -> Tensor:
        """[H] float64, on the CPU, of all validation films in order."""


class OverFilms:
    """The mean over films, labels summed."""

    def training(self, losses: Tensor, films: Tensor) -> Tensor:
        return _summed(losses).mean(0)

    def validation(self, losses: Tensor) -> Tensor:
        return _summed(losses).double().mean(0).cpu()


def _summed(losses: Tensor) -> Tensor:
    """[B, H]."""
    return losses.sum(dim=2) if losses.ndim > 2 else losses


class Mean(Config):
    """Every film weighs alike."""

    kind: Literal["mean"] = "mean"

    def begin(self, train: Split, val: Split, device: torch.device) -> Objective:
        return OverFilms()


class Reweighing(GroupedBy):
    """A fixed weight for each group and truth, label by label; its mean over films is 1.

    ``independent``: P(g) P(y) / P(g, y), as if group and finding had nothing to do with each other (Kamiran and Calders
    2012, 10.1007/s10115-011-0463-8, section 4.2). ``equal_groups``: each group in sum as much as any other.
    ``equal_cells``: each group and truth. Validation films weigh by the training films' weights.
    """

    kind: Literal["reweighing"]
    weights: Weights

    def begin(self, train: Split, val: Split, device: torch.device) -> Objective:
        return Weighed(self, train, val, device)


class WorstGroup(GroupedBy):
    """Group DRO (Sagawa 2020, 1911.08731, algorithm 1): min over heads of max over groups of the group's mean loss.

    Each head and label has a distribution q over groups. A step multiplies q(g) by exp(``step_size`` × the group's mean
    loss, estimated from the batch), then descends Σ q(g) × that estimate. Validation is by the worst group's mean loss.
    A group whose findings are hard to tell has a high loss at best, and gets the weight for it.
    """

    kind: Literal["worst_group"]
    step_size: float = Field(gt=0)  # of q; 0.01 in the paper, where fits take tens of thousands of steps

    def begin(self, train: Split, val: Split, device: torch.device) -> Objective:
        return WorstOfGroups(self, train, val, device)


AnyObjective = Annotated[Mean | Reweighing | WorstGroup, Field(discriminator="kind")]


def cell_counts(targets: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """[L, G, 2] films of each group whose label is absent, present; from [N, L] truths (NaN unknown) and groups."""
    truth = torch.stack([targets == 0, targets == 1], dim=-1).double()
    return torch.einsum("nlg,nly->lgy", members(groups, n_groups).double(), truth)


def cell_weights(counts: Tensor, weights: Weights) -> Tensor:
    """[L, G, 2] of ``counts`` [L, G, 2]; 1 where a cell has no film."""
    total = counts.sum(dim=(1, 2), keepdim=True)
    of_group, of_truth = counts.sum(dim=2, keepdim=True), counts.sum(dim=1, keepdim=True)
    if weights == "independent":
        found = of_group * of_truth / (total * counts)
    elif weights == "equal_groups":
        found = (total / ((of_group > 0).sum(dim=1, keepdim=True) * of_group)).expand_as(counts)
    else:
        found = total / ((counts > 0).sum(dim=(1, 2), keepdim=True) * counts)
    return torch.where(counts > 0, found, 1.0)


def exponentiated(log_q: Tensor, losses: Tensor, step_size: float) -> Tensor:
    """[..., G] log of q(g) exp(step size × loss), brought to sum 1; where log q is -inf, there is no such group."""
    return torch.log_softmax(log_q + step_size * losses, dim=-1)


class Weighed(OverFilms):
    """The mean over films of weight × loss."""

    def __init__(self, recipe: Reweighing, train: Split, val: Split, device: torch.device) -> None:
        self.train, self.val = (weights.to(device) for weights in film_weights(recipe, train, val))

    def training(self, losses: Tensor, films: Tensor) -> Tensor:
        return super().training(losses * self.train[films.to(self.train.device), None], films)

    def validation(self, losses: Tensor) -> Tensor:
        return super().validation(losses * self.val[:, None])


def film_weights(recipe: Mean | Reweighing, train: Split, val: Split) -> tuple[Tensor, Tensor]:
    """[N, L] of training and of validation films, for heads that are solved as a whole too; anything where unknown."""
    if isinstance(recipe, Mean):
        return torch.ones_like(train.targets), torch.ones_like(val.targets)
    groups = _groups_of(train, val)
    counts = cell_counts(train.targets, groups[0], _n_groups(groups))
    table = cell_weights(counts, recipe.weights).float()
    return _looked_up(table, train.targets, groups[0]), _looked_up(table, val.targets, groups[1])


def _looked_up(table: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
    """[N, L] of [L, G, 2]."""
    label = torch.arange(len(table)).expand_as(groups)
    return table[label, groups.clamp(min=0), (targets == 1).long()]


class WorstOfGroups:
    """log q [H, L, G] and the mean loss of each group, from a batch and from all validation films."""

    def __init__(self, recipe: WorstGroup, train: Split, val: Split, device: torch.device) -> None:
        groups = _groups_of(train, val)
        n_groups = _n_groups(groups)
        self.step_size = recipe.step_size
        self.train, self.val = (members(group, n_groups).to(device) for group in groups)  # [N, L, G]
        self.share = self.train.mean(dim=0)  # [L, G] of all training films
        self.log_q = torch.log_softmax(torch.where(self.share > 0, 0.0, -torch.inf), dim=-1)  # uniform; of all heads

    def training(self, losses: Tensor, films: Tensor) -> Tensor:
        of_group = group_means(losses, self.train[films.to(self.train.device)], self.share)
        self.log_q = exponentiated(self.log_q, of_group.detach(), self.step_size)
        return torch.einsum("hlg,hlg,l->h", self.log_q.exp(), of_group, self.share.sum(dim=1))

    def validation(self, losses: Tensor) -> Tensor:
        share = self.val.double().mean(dim=0)
        of_group = group_means(losses.double(), self.val.double(), share)
        worst = of_group.masked_fill(share == 0, -torch.inf).amax(dim=2)  # NaN where a head diverged
        return (worst @ share.sum(dim=1)).cpu()


def group_means(losses: Tensor, member: Tensor, share: Tensor) -> Tensor:
    """[H, L, G] mean loss of each group: ``losses`` [B, H, L] of its films over the films it has in B, 0 without any.

    ``member`` [B, L, G]; ``share`` [L, G] of the group among all films, known or not. Over a batch, whose number of
    films of a group is left to chance, this is the group's mean in expectation.
    """
    total = torch.einsum("bhl,blg->hlg", losses, member)
    return total / (len(losses) * share).clamp(min=torch.finfo(losses.dtype).tiny)


def _groups_of(train: Split, val: Split) -> tuple[Tensor, Tensor]:
    if train.groups is None or val.groups is None:
        raise RuntimeError("an objective of groups needs splits with groups: adapters.groups.grouped")
    return train.groups, val.groups


def _n_groups(groups: tuple[Tensor, Tensor]) -> int:
    return 1 + int(max(group.max() for group in groups))
