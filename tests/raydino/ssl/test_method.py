"""The whole objective of one batch against a straightforward reference, in float64, for every option."""

import copy

import numpy as np
import pytest
import torch

from raydino.data.batches import Batch
from raydino.data.masking import batch_masks
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.ssl.centring import MovingAverageConfig
from raydino.ssl.method import DinoV2, LossWeights
from raydino.ssl.network import HeadConfig, Network

VIT = ViTConfig(image_size=32, patch_size=8, embed_dim=16, depth=2, n_heads=2, layerscale_init=1.0)
WIDE = ViTConfig(image_size=32, patch_size=8, embed_dim=24, depth=1, n_heads=2, layerscale_init=1.0)
HEAD = HeadConfig(hidden_dim=16, bottleneck_dim=8, n_prototypes=12)
PATCH_HEAD = HeadConfig(hidden_dim=12, bottleneck_dim=6, n_prototypes=10)
N_FILMS, N_LOCALS = 4, 2
TERMS = ("dino_global", "dino_local", "ibot", "koleo")


def shaken(module, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return module


def method(weights=LossWeights(), **options) -> DinoV2:
    student = Network(VIT, HEAD, PATCH_HEAD).initialise(torch.Generator().manual_seed(0))
    made = DinoV2(student, weights, mean=0.4, std=0.2, **options).double()
    shaken(made.teacher, 5)  # a teacher unlike the student
    return made


def distilling(**options) -> DinoV2:
    teacher = Network(WIDE, HEAD, PATCH_HEAD).initialise(torch.Generator().manual_seed(7)).requires_grad_(False)
    return method(frozen_teacher=teacher, **options)


def gram_teacher() -> VisionTransformer:
    vit = VisionTransformer(VIT).initialise(torch.Generator().manual_seed(9))
    return shaken(vit.double(), 10).requires_grad_(False)


OPTIONS = {
    "sinkhorn": method,
    "moving_average": lambda: method(centring=MovingAverageConfig()),
    "koleo_groups_of_2": lambda: method(LossWeights(koleo_group_films=2)),
    "no_koleo": lambda: method(LossWeights(koleo=0.0)),
    "gram": lambda: method(gram_teacher=gram_teacher()),
    "distillation": distilling,
    "distillation_drawn": lambda: distilling(distilled_patches="drawn"),
}


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    masks = batch_masks(2 * N_FILMS, 4, np.random.default_rng(3))
    return Batch(
        torch.rand(2 * N_FILMS, 1, 32, 32, generator=generator, dtype=torch.float64),
        torch.rand(N_LOCALS * N_FILMS, 1, 16, 16, generator=generator, dtype=torch.float64),
        torch.from_numpy(masks),
    )


def run(made: DinoV2, given: Batch, micro_batch_films=None, **options):
    """(sums over the parts, gradients by name, number of parts)."""
    made.student.zero_grad()
    sums, n_parts = {}, 0
    for part in made.losses(given, 0.07, gram_weight=2.0, micro_batch_films=micro_batch_films, **options):
        part["loss"].backward()
        n_parts += 1
        for name, value in part.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    gradients = {name: p.grad.clone() for name, p in made.student.named_parameters() if p.grad is not None}
    return sums, gradients, n_parts


# --- the reference: film by film and crop by crop, from the formulas of papers.md 1.1 ---


def softmax_ce(target, scores):
    return -(target * (scores / 0.1).log_softmax(-1)).sum(-1)


def sinkhorn(scores, temperature):
    q = torch.exp(scores / temperature).T  # [K, N], as the papers write it
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdim=True) / q.shape[0]
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


def koleo_of(vectors):
    total = 0.0
    unit = [v / v.norm() for v in vectors]
    for i, one in enumerate(unit):
        nearest = max((float((one @ other).detach()), j) for j, other in enumerate(unit) if j != i)[1]
        total = total - torch.log((one - unit[nearest]).norm()) / len(unit)
    return total


def gram_of(patches):
    unit = [p / p.norm() for p in patches.flatten(0, 1)]
    return torch.stack([torch.stack([one @ other for other in unit]) for one in unit])


def reference(made: DinoV2, given: Batch, temperature: float) -> dict[str, torch.Tensor]:
    distils = made.average is not None
    scored = torch.ones_like(given.masks) if distils and made.distilled_patches == "all" else given.masks
    crops, local = (given.global_crops - 0.4) / 0.2, (given.local_crops - 0.4) / 0.2
    centred = sinkhorn
    if isinstance(getattr(made.cls_centring, "centre", None), torch.Tensor):  # a centre of zeros: the first step
        centred = lambda scores, t: (scores / t).softmax(-1)  # noqa: E731
    tokens = made.teacher.backbone(crops)
    targets = centred(made.teacher.dino_head(tokens.cls), temperature)
    masks = [None if distils else given.masks[i : i + 1] for i in range(len(crops))]
    seen = [made.student.backbone(crops[i : i + 1], masks[i]) for i in range(len(crops))]
    global_scores = [made.student.dino_head(tokens.cls)[0] for tokens in seen]
    local_scores = [made.student.dino_head(made.student.backbone(local[i : i + 1]).cls)[0] for i in range(len(local))]
    n_terms, films = 2 + 2 * N_LOCALS, range(N_FILMS)
    pairs = [(film + g * N_FILMS, film + (1 - g) * N_FILMS) for film in films for g in range(2)]
    dino_global = sum(softmax_ce(targets[t], global_scores[s]) for t, s in pairs)
    pairs = [(film + g * N_FILMS, film + c * N_FILMS) for film in films for g in range(2) for c in range(N_LOCALS)]
    dino_local = sum(softmax_ce(targets[t], local_scores[s]) for t, s in pairs)
    rows = [(i, p) for i in range(len(crops)) for p in range(16) if scored[i, p]]
    patch_scores = torch.stack([tokens.patches.flatten(1, 2)[i, p] for i, p in rows])
    patch_targets = centred(made.teacher.ibot_head(patch_scores), temperature)
    ibot = 0.0
    for target, (i, p) in zip(patch_targets, rows, strict=True):
        score = made.student.ibot_head(seen[i].patches.flatten(1, 2)[0, p])
        ibot = ibot + softmax_ce(target, score) / scored[i].sum() / len(crops)
    group = made.weights.koleo_group_films or N_FILMS
    starts = [first + at for first in (0, N_FILMS) for at in range(0, N_FILMS, group)]
    koleo = sum(koleo_of([seen[i].cls[0] for i in range(start, start + group)]) for start in starts)
    terms = {
        "dino_global": dino_global / N_FILMS / n_terms,
        "dino_local": dino_local / N_FILMS / n_terms,
        "ibot": ibot,
        "koleo": made.weights.koleo * koleo / (N_FILMS // group),
    }
    if made.gram_teacher is not None:
        anchors = made.gram_teacher(crops).patches
        squared = [((gram_of(one.patches[0]) - gram_of(anchors[i])) ** 2).mean() for i, one in enumerate(seen)]
        terms["gram"] = 2.0 * sum(squared) / len(crops)
    return terms


@pytest.mark.parametrize("option", OPTIONS)
def test_every_term_and_every_gradient(option):
    made, given = OPTIONS[option](), batch()
    losses, gradients, _ = run(made, given)
    made.student.zero_grad()
    expected = reference(made, given, 0.07)
    total = sum(expected.values())
    total.backward()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value.detach(), atol=1e-7, rtol=0)
    torch.testing.assert_close(losses["loss"], total.detach(), atol=1e-7, rtol=0)
    for name, parameter in made.student.named_parameters():
        wanted = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradients[name], wanted, atol=1e-6, rtol=1e-6, msg=name)


@pytest.mark.parametrize("films", [1, 2, 3])
@pytest.mark.parametrize("option", OPTIONS)
def test_micro_batches_change_nothing(option, films):
    made, given = OPTIONS[option](), batch()
    one = run(made, given)
    parted = run(made, given, films)
    assert (one[2], parted[2]) == (1, -(-N_FILMS // films))
    assert one[0].keys() == parted[0].keys()
    for name, value in one[0].items():
        torch.testing.assert_close(parted[0][name], value, atol=1e-12, rtol=1e-12, msg=name)
    for name, gradient in one[1].items():
        # Position embeddings are resized for local crops in float32, so their gradient is rounded to it.
        atol = 1e-7 if name.endswith("pos_embed") else 1e-12
        torch.testing.assert_close(parted[1][name], gradient, atol=atol, rtol=1e-10, msg=name)


def test_micro_batches_move_the_centre_alike():
    centres = []
    for films in (None, 1):
        made = method(centring=MovingAverageConfig())
        run(made, batch(), films)
        made.end_step(0.9)
        centres.append((made.cls_centring.centre, made.patch_centring.centre))
    for one, other in zip(*centres, strict=True):
        torch.testing.assert_close(one, other, atol=1e-14, rtol=0)
        assert one.abs().max() > 0


def test_the_students_passes_are_announced():
    """Before both passes over a micro-batch, so that drop-path can draw the same subsets twice."""
    announced = []
    run(method(), batch(), 2, before_student=announced.append)
    assert announced == [0, 1, 0, 1]
    announced.clear()
    run(method(LossWeights(koleo_group_films=2)), batch(), 2, before_student=announced.append)
    assert announced == [0, 1]  # whole groups in each micro-batch: no first pass


@pytest.mark.parametrize(("drop_path", "expected"), [(0.0, [None, None, 4, 4]), (0.4, [4, 4, 4, 4])])
def test_with_drop_path_koleos_first_pass_sees_the_locals_too(monkeypatch, drop_path, expected):
    """Its draws go through the crops in order, so leaving some out would change the others'."""
    monkeypatch.setattr("raydino.ssl.method.set_drop_path", lambda module, rate: None)
    made, seen = method(drop_path=drop_path), []
    made.student.register_forward_pre_hook(
        lambda module, given: seen.append(None if given[3] is None else len(given[3]))
    )
    run(made, batch(), 2)
    assert seen == expected


@pytest.mark.parametrize("films", [None, 2])
def test_no_local_crops(films):
    given = batch()
    sums, gradients, _ = run(method(), given._replace(local_crops=given.local_crops[:0]), films)
    assert sums["dino_local"] == 0
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_nothing_masked():
    given = batch()
    sums, gradients, _ = run(method(), given._replace(masks=torch.zeros_like(given.masks)))
    assert sums["ibot"] == 0
    assert torch.isfinite(sums["loss"])
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_one_film():
    given = batch()
    one = Batch(given.global_crops[:2], given.local_crops[:N_LOCALS], given.masks[:2])
    sums, gradients, _ = run(method(), one)
    assert sums["koleo"] == 0
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_the_teacher_gets_no_gradient():
    made = method()
    run(made, batch())
    assert all(p.grad is None for p in made.teacher.parameters())


def test_teacher_entropy_is_at_most_ln_k():
    sums = run(method(), batch())[0]
    assert 0.0 < sums["teacher_entropy"] <= np.log(12) + 1e-9
    assert 0.0 < sums["teacher_entropy_patch"] <= np.log(10) + 1e-9


@pytest.mark.parametrize("field", ["dino", "ibot", "koleo"])
def test_weights(field):
    full = run(method(), batch())[0]
    rest = run(method(LossWeights(**{field: 0.0})), batch())[0]
    for name in TERMS:
        expected = torch.zeros_like(full[name]) if name.startswith(field) else full[name]
        torch.testing.assert_close(rest[name], expected)


def test_distillation_leaves_the_teacher_and_moves_the_average():
    made = distilling()
    teacher, average = copy.deepcopy(made.teacher.state_dict()), copy.deepcopy(made.average.state_dict())
    shaken(made.student, 11)
    made.end_step(0.9)
    assert all(torch.equal(t, teacher[name]) for name, t in made.teacher.state_dict().items())
    for name, moved in made.kept.state_dict().items():
        expected = 0.9 * average[name] + 0.1 * made.student.state_dict()[name]
        torch.testing.assert_close(moved, expected, atol=1e-14, rtol=0)


def test_taking_the_gram_teacher_copies_it():
    made = method(gram_teacher=gram_teacher())
    made.take_gram_teacher()
    for name, tensor in made.gram_teacher.state_dict().items():
        assert torch.equal(tensor, made.teacher.backbone.state_dict()[name]), name
    shaken(made.teacher, 12)
    assert not torch.equal(made.gram_teacher.cls_token, made.teacher.backbone.cls_token)
