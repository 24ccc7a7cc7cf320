"""The whole objective of one batch against a straightforward reference, in float64."""

import numpy as np
import pytest
import torch

from raydino.data.batches import Batch
from raydino.data.masking import batch_masks
from raydino.nn.vit import ViTConfig
from raydino.ssl.method import DinoV2, HeadConfig, LossWeights

VIT = ViTConfig(image_size=32, patch_size=8, embed_dim=16, depth=2, n_heads=2, layerscale_init=1.0)
HEAD = HeadConfig(hidden_dim=16, bottleneck_dim=8, n_prototypes=12)
N_FILMS, N_LOCALS = 3, 2


def method() -> DinoV2:
    generator = torch.Generator().manual_seed(0)
    made = DinoV2(VIT, HEAD, LossWeights(), mean=0.4, std=0.2, generator=generator).double()
    other = torch.Generator().manual_seed(5)
    with torch.no_grad():  # a teacher unlike the student
        for parameter in made.teacher.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=other, dtype=torch.float64)
    return made


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    masks = batch_masks(2 * N_FILMS, 4, np.random.default_rng(3))
    return Batch(
        torch.rand(2 * N_FILMS, 1, 32, 32, generator=generator, dtype=torch.float64),
        torch.rand(N_LOCALS * N_FILMS, 1, 16, 16, generator=generator, dtype=torch.float64),
        torch.from_numpy(masks),
    )


def softmax_ce(target, scores):
    return -(target * (scores / 0.1).log_softmax(-1)).sum(-1)


def sinkhorn(scores, temperature):
    q = torch.exp(scores / temperature).T  # [K, N], as the papers write it
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdim=True) / q.shape[0]
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


def reference(made: DinoV2, given: Batch, temperature: float) -> dict[str, torch.Tensor]:
    """Film by film and crop by crop, from the formulas of papers.md 1.1."""
    crops = (given.global_crops - 0.4) / 0.2
    local = (given.local_crops - 0.4) / 0.2
    teacher_tokens = made.teacher.backbone(crops)
    targets = sinkhorn(made.teacher.dino_head(teacher_tokens.cls), temperature)
    seen = [made.student.backbone(crops[i : i + 1], given.masks[i : i + 1]) for i in range(len(crops))]
    global_scores = [made.student.dino_head(tokens.cls)[0] for tokens in seen]
    local_scores = [made.student.dino_head(made.student.backbone(local[i : i + 1]).cls)[0] for i in range(len(local))]
    n_terms = 2 + 2 * N_LOCALS
    dino_global = sum(
        softmax_ce(targets[film + other * N_FILMS], global_scores[film + (1 - other) * N_FILMS])
        for film in range(N_FILMS)
        for other in range(2)
    )
    dino_local = sum(
        softmax_ce(targets[film + g * N_FILMS], local_scores[film + crop * N_FILMS])
        for film in range(N_FILMS)
        for g in range(2)
        for crop in range(N_LOCALS)
    )
    rows = [(i, p) for i in range(len(crops)) for p in range(16) if given.masks[i, p]]
    patch_scores = torch.stack([teacher_tokens.patches.flatten(1, 2)[i, p] for i, p in rows])
    patch_targets = sinkhorn(made.teacher.ibot_head(patch_scores), temperature)
    ibot = 0.0
    for target, (i, p) in zip(patch_targets, rows, strict=True):
        score = made.student.ibot_head(seen[i].patches.flatten(1, 2)[0, p])
        ibot = ibot + softmax_ce(target, score) / given.masks[i].sum() / len(crops)
    koleo = 0.0
    for half in (range(N_FILMS), range(N_FILMS, 2 * N_FILMS)):
        unit = [seen[i].cls[0] / seen[i].cls[0].norm() for i in half]
        for i, one in enumerate(unit):
            nearest = min(((one - o).norm() for j, o in enumerate(unit) if j != i), key=lambda d: float(d.detach()))
            koleo = koleo - nearest.log() / N_FILMS
    return {
        "dino_global": dino_global / N_FILMS / n_terms,
        "dino_local": dino_local / N_FILMS / n_terms,
        "ibot": ibot,
        "koleo": 0.1 * koleo,
    }


def test_every_term_and_every_gradient():
    made, given = method(), batch()
    losses = made.losses(given, 0.07)
    losses["loss"].backward()
    gradients = {name: p.grad.clone() for name, p in made.student.named_parameters()}
    made.student.zero_grad()
    expected = reference(made, given, 0.07)
    total = sum(expected.values())
    total.backward()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, atol=1e-7, rtol=0)
    torch.testing.assert_close(losses["loss"], total, atol=1e-7, rtol=0)
    for name, parameter in made.student.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-6, msg=name)


def test_the_teacher_gets_no_gradient():
    made = method()
    made.losses(batch(), 0.07)["loss"].backward()
    assert all(p.grad is None for p in made.teacher.parameters())


def test_teacher_entropy_is_at_most_ln_k():
    entropy = float(method().losses(batch(), 0.07)["teacher_entropy"].detach())
    assert 0.0 < entropy <= np.log(12) + 1e-9


@pytest.mark.parametrize("field", ["dino", "ibot", "koleo"])
def test_weights(field):
    made, given = method(), batch()
    full = made.losses(given, 0.07)
    made.weights = LossWeights(**{field: 0.0})
    rest = made.losses(given, 0.07)
    for name in ("dino_global", "dino_local", "ibot", "koleo"):
        expected = torch.zeros_like(full[name]) if name.startswith(field) else full[name]
        torch.testing.assert_close(rest[name], expected)
