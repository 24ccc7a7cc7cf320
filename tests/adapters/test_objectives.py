"""Weights and group DRO against plain loops in float64, and what they do to groups."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adapters.batches import Split
from adapters.objectives import (
    Mean,
    Reweighing,
    WorstGroup,
    cell_counts,
    cell_weights,
    exponentiated,
    group_means,
)

CPU = torch.device("cpu")
BY = {"by": ("sex",), "min_patients": 1}


def _films(n: int, n_labels: int, n_groups: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets [N, L], a fifth unknown, and groups [N, L], NONE where unknown."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, (n, n_labels)).astype(float)
    target[rng.random((n, n_labels)) < 0.2] = np.nan
    group = np.repeat(rng.integers(0, n_groups, (n, 1)), n_labels, axis=1)
    return torch.from_numpy(target), torch.from_numpy(np.where(np.isnan(target), -1, group))


def _split(targets: torch.Tensor, groups: torch.Tensor) -> Any:
    return Split(None, targets, groups)  # type: ignore[arg-type]  # objectives read no features


def _loop(target: np.ndarray, group: np.ndarray, weights: str) -> np.ndarray:
    """[N, L] by the definitions, film by film."""
    found = np.full(target.shape, np.nan)
    for label in range(target.shape[1]):
        known = [i for i in range(len(target)) if not math.isnan(target[i, label])]
        pairs = [(group[i, label], target[i, label]) for i in known]
        n = len(pairs)
        for i, (g, y) in zip(known, pairs, strict=True):
            p_g, p_y = sum(a == g for a, _ in pairs) / n, sum(b == y for _, b in pairs) / n
            p_gy = sum(pair == (g, y) for pair in pairs) / n
            n_groups, n_cells = len({a for a, _ in pairs}), len(set(pairs))
            value = {
                "independent": p_g * p_y / p_gy,
                "equal_groups": 1 / (n_groups * p_g),
                "equal_cells": 1 / (n_cells * p_gy),
            }
            found[i, label] = value[weights]
    return found


@pytest.mark.parametrize("weights", ["independent", "equal_groups", "equal_cells"])
def test_weights_equal_their_definition(weights: Any) -> None:
    target, group = _films(60, 3, 3)
    group[group[:, 1] == 2, 1] = 0  # one label has a group less
    table = cell_weights(cell_counts(target, group, 3), weights)
    expected = _loop(target.numpy(), group.numpy(), weights)
    for label in range(3):
        for film in range(60):
            if group[film, label] >= 0:
                found = float(table[label, group[film, label], int(target[film, label])])
                assert found == pytest.approx(expected[film, label], rel=1e-12)
    assert np.nanmean(expected, axis=0) == pytest.approx(1.0)


def test_after_reweighing_group_and_finding_are_independent() -> None:
    target = torch.tensor([[1.0]] * 9 + [[0.0]] * 1 + [[1.0]] * 2 + [[0.0]] * 8)
    counts = cell_counts(target, torch.tensor([[0]] * 10 + [[1]] * 10), 2)
    weighed = counts * cell_weights(counts, "independent")
    prevalence = weighed[0, :, 1] / weighed[0].sum(dim=1)
    torch.testing.assert_close(prevalence, torch.full((2,), 11 / 20).double())


def test_an_empty_cell_harms_nothing_and_one_group_is_the_plain_mean() -> None:
    counts = torch.tensor([[[5.0, 0.0], [3.0, 2.0]], [[4.0, 4.0], [0.0, 0.0]]]).double()
    for weights in ("independent", "equal_groups", "equal_cells"):
        assert cell_weights(counts, weights).isfinite().all()
    assert cell_weights(counts, "independent")[1].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert cell_weights(counts, "equal_groups")[1].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_reweighed_losses_are_their_weighted_mean() -> None:
    target, group = _films(40, 2, 2)
    losses = torch.rand(40, 3, 2, generator=torch.Generator().manual_seed(0)).double()
    losses *= target.isfinite()[:, None]
    objective = Reweighing(kind="reweighing", weights="independent", **BY).begin(
        _split(target, group), _split(target, group), CPU
    )
    weights = np.nan_to_num(_loop(target.numpy(), group.numpy(), "independent"))
    expected = np.einsum("nhl,nl->h", losses.numpy(), weights) / 40
    assert objective.training(losses, torch.arange(40)).numpy() == pytest.approx(expected, rel=1e-6)
    assert objective.validation(losses).numpy() == pytest.approx(expected, rel=1e-6)
    plain = Mean().begin(_split(target, group), _split(target, group), CPU)
    torch.testing.assert_close(plain.validation(losses), losses.sum(2).mean(0))


def test_steps_of_group_dro_equal_a_loop_by_hand() -> None:
    n, n_heads, n_labels, n_groups, eta = 30, 2, 2, 3, 0.5
    target, group = _films(n, n_labels, n_groups)
    rng = np.random.default_rng(1)
    objective = WorstGroup(kind="worst_group", step_size=eta, **BY).begin(
        _split(target, group), _split(target, group), CPU
    )
    q = {(h, k): np.full(n_groups, 1 / n_groups) for h in range(n_heads) for k in range(n_labels)}
    for _ in range(5):
        films = rng.choice(n, 7, replace=False)
        losses = rng.random((7, n_heads, n_labels)) * ~np.isnan(target.numpy()[films])[:, None]
        expected = np.zeros(n_heads)
        for (h, k), before in q.items():
            mean = np.zeros(n_groups)
            for place, film in enumerate(films):
                g = int(group[film, k])
                if g >= 0:
                    mean[g] += losses[place, h, k] / (7 * float((group[:, k] == g).sum()) / n)
            after = before * np.exp(eta * mean)
            q[h, k] = after / after.sum()
            expected[h] += float((group[:, k] >= 0).sum()) / n * float(q[h, k] @ mean)
        found = objective.training(torch.from_numpy(losses).float(), torch.from_numpy(films))
        assert found.numpy() == pytest.approx(expected, rel=1e-5)
    for (h, k), expected_q in q.items():
        assert objective.log_q[h, k].exp().numpy() == pytest.approx(expected_q, rel=1e-5)


def test_validation_is_the_worst_groups_mean_loss() -> None:
    target, group = _films(50, 2, 3)
    losses = torch.rand(50, 2, 2, generator=torch.Generator().manual_seed(0)) * target.isfinite()[:, None]
    splits = _split(target, group), _split(target, group)
    found = WorstGroup(kind="worst_group", step_size=1.0, **BY).begin(*splits, CPU).validation(losses)
    for head in range(2):
        expected = 0.0
        for label in range(2):
            means = [float(losses[group[:, label] == g, head, label].mean()) for g in range(3)]
            expected += max(means) * float((group[:, label] >= 0).sum()) / 50
        assert float(found[head]) == pytest.approx(expected, rel=1e-5)
    losses[0, 0] = math.nan  # a head that diverged
    diverged = WorstGroup(kind="worst_group", step_size=1.0, **BY).begin(*splits, CPU).validation(losses)
    assert diverged[0].isnan()
    assert float(diverged[1]) == pytest.approx(float(found[1]))


def test_batches_estimate_group_means_without_bias_and_order_changes_nothing() -> None:
    target, group = _films(48, 1, 3)
    losses = torch.rand(48, 1, 1, generator=torch.Generator().manual_seed(0)).double() * target.isfinite()[:, None]
    member = (group[..., None] == torch.arange(3)).double()
    share = member.mean(0)
    whole = group_means(losses, member, share)
    for g in range(3):
        assert float(whole[0, 0, g]) == pytest.approx(float(losses[group[:, 0] == g].mean()))
    order = torch.from_numpy(np.random.default_rng(0).permutation(48))
    parts = [group_means(losses[films], member[films], share) for films in order.split(4)]  # some without a group
    torch.testing.assert_close(torch.stack(parts).mean(0), whole)
    torch.testing.assert_close(group_means(losses[order], member[order], share), whole)


def test_weights_over_groups_neither_overflow_nor_vanish() -> None:
    log_q = torch.log_softmax(torch.tensor([0.0, 0.0, -torch.inf]), dim=0)
    for _ in range(50):
        log_q = exponentiated(log_q, torch.tensor([100.0, 0.0, 0.0]), 1.0)
    assert log_q.exp().tolist() == [1.0, 0.0, 0.0]
    for _ in range(51):
        log_q = exponentiated(log_q, torch.tensor([0.0, 100.0, 0.0]), 1.0)
    assert log_q.exp().tolist() == pytest.approx([0.0, 1.0, 0.0])  # a group that came near 0 comes back


def _conflict(objective: Any, seed: int = 0) -> dict[int, float]:
    """Loss of each group under a logistic regression on data where 270 films say the contrary of 30."""
    rng = np.random.default_rng(seed)
    group = torch.from_numpy(np.repeat([0, 1], [270, 30]))[:, None]
    x = torch.from_numpy(rng.normal(size=(300, 2)).astype(np.float32))
    sign = torch.where(group[:, 0] == 0, 1.0, -1.0)
    target = ((sign * x[:, 0] + x[:, 1]) > 0).float()[:, None]
    head = nn.Linear(2, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    running = objective.begin(_split(target, group), _split(target, group), CPU)
    optimiser = torch.optim.SGD(head.parameters(), lr=0.5)
    generator = torch.Generator().manual_seed(seed)

    def losses(films: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(head(x[films]), target[films], reduction="none")[:, None]

    for _ in range(40):
        for films in torch.randperm(300, generator=generator).split(75):
            optimiser.zero_grad()
            running.training(losses(films), films).sum().backward()
            optimiser.step()
    whole = losses(torch.arange(300)).detach()[:, 0, 0]
    return {g: float(whole[group[:, 0] == g].mean()) for g in (0, 1)}


def test_the_worst_group_is_better_off_than_under_the_plain_mean_and_others_pay() -> None:
    plain = _conflict(Mean())
    dro = _conflict(WorstGroup(kind="worst_group", step_size=0.05, **BY))
    equal = _conflict(Reweighing(kind="reweighing", weights="equal_groups", **BY))
    assert plain[1] > plain[0] + 0.5
    assert max(dro.values()) < max(plain.values()) - 0.5
    assert dro[0] > plain[0]
    assert abs(dro[0] - dro[1]) < 0.1
    assert plain[1] > equal[1]
