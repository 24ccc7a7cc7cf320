"""Whole training steps against a reference written from the papers' formulas, in float64.

Forward of teacher and student, Sinkhorn, the losses, gradients, clipping by sub-module, AdamW with its groups,
schedules and decay, and the moving average: three steps, so that moments, bias correction and the
frozen prototypes show.
"""

import copy
import math

import numpy as np
import pytest
import torch

from raydino.data.batches import Batch
from raydino.data.masking import batch_masks
from raydino.ssl.recipe import Recipe
from raydino.ssl.scheduled import ScheduledDinoV2
from raydino.train.bad_steps import BadSteps
from raydino.train.loop import run_steps
from raydino.train.optim import make_optimizer
from raydino.train.pace import Pace
from raydino.train.stopping import Stop

N_FILMS, N_LOCALS, STEPS = 3, 2, 3
RECIPE = Recipe.model_validate(
    {
        "steps": 6,
        "batch_size": N_FILMS,
        "vit": {
            "image_size": 32,
            "patch_size": 8,
            "embed_dim": 16,
            "depth": 2,
            "n_heads": 2,
            "n_registers": 1,
            "layerscale_init": 0.5,
        },
        "augmentation": {
            "policy": "crop_resize",
            "options": {"global_size": 32, "local_size": 16, "n_locals": N_LOCALS},
        },
        "head": {"hidden_dim": 16, "bottleneck_dim": 8, "n_prototypes": 12},
        "ibot_head": {"hidden_dim": 12, "bottleneck_dim": 6, "n_prototypes": 10},
        "loss": {"ibot": 3.0},
        "teacher": {"momentum_start": 0.9, "temperature_warmup_steps": 4},
        "optimizer": {
            "peak_lr": 0.01,
            "end_lr": 1e-4,
            "warmup_steps": 2,
            "betas": [0.8, 0.9],
            "clip_norm": 0.1,
            "layerwise_decay": 0.7,
            "frozen_prototypes_steps": 2,
        },
    }
)


def batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for step in range(STEPS):
        crops = [torch.rand(n * N_FILMS, 1, s, s, generator=generator).double() for n, s in ((2, 32), (N_LOCALS, 16))]
        made.append(Batch(*crops, torch.from_numpy(batch_masks(2 * N_FILMS, 4, np.random.default_rng(step)))))
    return made


def scheduled(**options) -> ScheduledDinoV2:
    return ScheduledDinoV2(RECIPE, mean=0.4, std=0.2, **options).double()


def trained(tmp_path, **options) -> tuple[ScheduledDinoV2, list[dict[str, float]]]:
    made, rows = scheduled(**options), []

    class Rows:
        def log(self, step, metrics):
            rows.append(dict(metrics))

    run_steps(
        made,
        make_optimizer(made.core.student, RECIPE.optimizer),
        iter(batches()),
        first_step=0,
        last_step=STEPS,
        clip_norm=RECIPE.optimizer.clip_norm,
        autocast=torch.autocast("cpu", enabled=False),
        trackers=[Rows()],
        log_every_steps=1,
        on_step=lambda done: {},
        bad_steps=BadSteps(tmp_path, batch_size=N_FILMS, max_in_a_row=1),
        stop=Stop(),
        pace=Pace(N_FILMS, torch.device("cpu")),
    )
    return made, rows


# --- the reference ---


def cosine(step, start, end, n_steps):
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * step / n_steps))


def learning_rate(step):
    return 0.01 * step / 2 if step < 2 else cosine(step - 2, 0.01, 1e-4, 4)


def factor(name):
    """Two blocks: heads and last norm at 1, the upper block at 0.7, the lower at 0.49, embeddings at 0.343."""
    if "blocks.1." in name:
        return 0.7
    if "blocks.0." in name:
        return 0.7**2
    if any(part in name for part in ("patch_embed", "pos_embed", "cls_token", "mask_token", "register_tokens")):
        return 0.7**3 * (0.2 if "patch_embed" in name else 1.0)
    return 1.0


def decays(name):
    return not (name.endswith(".bias") or "norm" in name or "gamma" in name)


def sinkhorn(scores, temperature):
    q = torch.exp(scores / temperature).T
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdim=True) / q.shape[0]
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


def cross_entropy(target, scores):
    return -(target * (scores / 0.1).log_softmax(-1)).sum()


def loss_of(student, teacher, batch, temperature):
    crops, local = (batch.global_crops - 0.4) / 0.2, (batch.local_crops - 0.4) / 0.2
    with torch.no_grad():
        seen = teacher.backbone(crops)
        targets = sinkhorn(teacher.dino_head(seen.cls), temperature)
        patch_targets = sinkhorn(teacher.ibot_head(seen.patches.flatten(1, 2)[batch.masks]), temperature)
    own = student.backbone(crops, batch.masks)
    cls, patches = student.dino_head(own.cls), student.ibot_head(own.patches.flatten(1, 2)[batch.masks])
    small = student.dino_head(student.backbone(local).cls)
    loss, n_terms = 0.0, 2 + 2 * N_LOCALS
    for film in range(N_FILMS):
        loss = loss + cross_entropy(targets[film], cls[film + N_FILMS]) / N_FILMS / n_terms
        loss = loss + cross_entropy(targets[film + N_FILMS], cls[film]) / N_FILMS / n_terms
        for crop in range(N_LOCALS):
            for target in (targets[film], targets[film + N_FILMS]):
                loss = loss + cross_entropy(target, small[film + crop * N_FILMS]) / N_FILMS / n_terms
    image_of_row = [image for image in range(2 * N_FILMS) for _ in range(int(batch.masks[image].sum()))]
    for row, image in enumerate(image_of_row):
        weight = 3.0 / float(batch.masks[image].sum()) / (2 * N_FILMS)
        loss = loss + weight * cross_entropy(patch_targets[row], patches[row])
    for half in own.cls.split(N_FILMS):
        unit = [v / v.norm() for v in half]
        for i, one in enumerate(unit):
            nearest = min((float((one - other).norm().detach()), j) for j, other in enumerate(unit) if j != i)[1]
            loss = loss - 0.1 * torch.log((one - unit[nearest]).norm()) / N_FILMS
    return loss


def reference() -> tuple[torch.nn.Module, torch.nn.Module, list[float], dict[str, float]]:
    """(student, teacher, losses, gradient norms of the last step) after the steps."""
    start = scheduled().core
    student, teacher = copy.deepcopy(start.student), copy.deepcopy(start.teacher)
    named = dict(student.named_parameters())
    first, second = ({name: torch.zeros_like(p) for name, p in named.items()} for _ in range(2))
    losses, norms = [], {}
    for step, batch in enumerate(batches()):
        temperature = 0.04 + 0.03 * step / 4
        loss = loss_of(student, teacher, batch, temperature)
        losses.append(float(loss.detach()))
        gradients = dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
        for part in ("backbone.", "dino_head.", "ibot_head."):
            names = [name for name in named if name.startswith(part)]
            norms[part[:-1]] = float(torch.cat([gradients[name].flatten() for name in names]).norm())
            for name in names:
                gradients[name] = gradients[name] * min(1.0, 0.1 / (norms[part[:-1]] + 1e-6))
        decay = cosine(step, 0.04, 0.4, 6)
        with torch.no_grad():
            for name, p in named.items():
                lr = learning_rate(step) * factor(name) * (0.0 if "prototypes" in name and step < 2 else 1.0)
                first[name] = 0.8 * first[name] + 0.2 * gradients[name]
                second[name] = 0.9 * second[name] + 0.1 * gradients[name] ** 2
                mean, square = first[name] / (1 - 0.8 ** (step + 1)), second[name] / (1 - 0.9 ** (step + 1))
                p *= 1 - lr * (decay if decays(name) else 0.0)
                p -= lr * mean / (square.sqrt() + 1e-8)
            momentum = cosine(step, 0.9, 1.0, 6)
            for name, p in teacher.named_parameters():
                p.copy_(momentum * p + (1 - momentum) * named[name])
    return student, teacher, losses, norms


@pytest.mark.parametrize("films", [None, 2])
def test_three_steps(tmp_path, films):
    made, rows = trained(tmp_path, micro_batch_films=films)
    student, teacher, losses, norms = reference()
    assert [row["loss"] for row in rows] == pytest.approx(losses, abs=1e-6)
    for part, norm in norms.items():
        assert norm > 0.1, "clipping is at work"
        assert rows[-1][f"grad_norm/{part}"] == pytest.approx(norm, rel=1e-5)
    start = scheduled().core
    triples = (made.core.student, student, start.student), (made.core.teacher, teacher, start.teacher)
    for ours, theirs, initial in triples:
        for name, tensor in theirs.state_dict().items():
            # Adam divides by |gradient|, which takes the rounding of KoLeo's eps and of float32 resizing up to 1e-6.
            torch.testing.assert_close(ours.state_dict()[name], tensor, atol=2e-6, rtol=0, msg=name)
            assert not torch.equal(tensor, initial.state_dict()[name]) or not tensor.numel(), name


def test_drop_path_draws_by_seed_step_and_micro_batch(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("raydino.ssl.scheduled.reseed_drop_path", lambda module, seed, step: calls.append((seed, step)))
    trained(tmp_path, micro_batch_films=2)
    first, second = calls[0][0], calls[1][0]
    assert first != second
    # Two micro-batches, each seen twice: KoLeo's first pass has to drop what the pass with gradients drops.
    assert calls == [(seed, step) for step in range(STEPS) for seed in (first, second, first, second)]
