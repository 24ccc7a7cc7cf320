"""Stages: what a child takes over from its parent, what warms up, what never changes, and what does not fit."""

import threading

import pytest
import torch

from raydino.config import parse_config
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.ssl.network_file import load_network
from raydino.ssl.parent import open_gram_teacher
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.run import Run, pretrain
from raydino.testing.tiny import tiny_dataset, tiny_encoder

VIT = {"image_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "n_heads": 2, "layerscale_init": 0.1}
RECIPE = {
    "seed": 3,
    "steps": 4,
    "batch_size": 4,
    "vit": VIT,
    "augmentation": {"policy": "crop_resize", "options": {"global_size": 16, "local_size": 8, "n_locals": 2}},
    "head": {"hidden_dim": 16, "bottleneck_dim": 8, "n_prototypes": 32},
    "optimizer": {"peak_lr": 1e-3, "warmup_steps": 0},
}
RUNTIME = {"device": "cpu", "precision": "fp32", "n_workers": 0, "checkpoint_every_steps": 2, "trackers": []}


def config(**changes) -> PretrainConfig:
    return parse_config({"recipe": {**RECIPE, **changes}, "runtime": RUNTIME}, PretrainConfig)


def run(made: PretrainConfig, dataset, directory, *, resume=False, stop_after=None) -> Run:
    stop = threading.Event()
    return pretrain(made, dataset, directory, resume=resume, overwrite=False, stop_after=stop_after, stop=stop)


def states(made: Run):
    core = made.method.core
    return core.student.state_dict(), core.teacher.state_dict()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def parent(dataset, tmp_path_factory):
    return run(config(), dataset, tmp_path_factory.mktemp("parent") / "run")


def test_a_run_keeps_the_network_that_it_is_for(parent):
    network, step = load_network(parent.directory / "teacher")
    assert step == 4
    for name, tensor in parent.method.kept.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name


def test_going_on_takes_everything(parent, dataset, tmp_path):
    child = Run(config(seed=9, parent={"use": "network", "path": str(parent.directory)}), dataset, tmp_path / "run")
    for state in states(child):
        for name, tensor in parent.method.kept.state_dict().items():
            assert torch.equal(state[name], tensor), name
    assert (child.mean, child.std) == (parent.mean, parent.std)


def test_high_resolution_starts_as_the_function_that_the_parent_is(parent, dataset, tmp_path):
    options = {"global_size": 32, "local_size": 16, "n_locals": 2}
    changes = {"vit": {**VIT, "image_size": 32}, "augmentation": {"policy": "crop_resize", "options": options}}
    made = config(**changes, parent={"use": "network", "path": str(parent.directory)})
    child = Run(made, dataset, tmp_path / "run").method.kept.backbone
    assert child.pos_embed.shape == (1, 1 + 16, 16)
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    theirs = parent.method.kept.backbone(images)
    for one, other in zip(child(images), theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    done = run(made, dataset, tmp_path / "run")
    assert Encoder.load(tmp_path / "run").spec.image_size == 32
    assert done.step == 4


def test_heads_warm_up_on_a_frozen_backbone(parent, dataset, tmp_path):
    start = {f"backbone.{name}": t.clone() for name, t in parent.method.kept.backbone.state_dict().items()}
    made = config(
        seed=9,
        parent={"use": "backbone", "path": str(parent.directory)},
        optimizer={"peak_lr": 1e-2, "warmup_steps": 0, "head_warmup_steps": 2},
    )
    fresh = Run(made, dataset, tmp_path / "fresh").method.core.student.state_dict()
    assert not torch.equal(fresh["dino_head.mlp.0.weight"], parent.method.kept.state_dict()["dino_head.mlp.0.weight"])
    half = run(made, dataset, tmp_path / "run", stop_after=2)
    for state in states(half):
        assert all(torch.equal(state[name], tensor) for name, tensor in start.items())
    assert not torch.equal(states(half)[0]["dino_head.mlp.0.weight"], fresh["dino_head.mlp.0.weight"])
    done = run(made, dataset, tmp_path / "run", resume=True)
    assert not torch.equal(states(done)[0]["backbone.pos_embed"], start["backbone.pos_embed"])


def test_from_an_encoder(dataset, tmp_path):
    encoder = tiny_encoder(tmp_path / "encoder", image_size=16)
    vit = encoder.vit.config.resolved()
    made = Run(
        config(vit=vit, parent={"use": "backbone", "path": str(tmp_path / "encoder")}), dataset, tmp_path / "run"
    )
    assert (made.mean, made.std) == (encoder.card.mean, encoder.card.std)
    for name, tensor in encoder.vit.state_dict().items():
        assert torch.equal(made.method.kept.backbone.state_dict()[name], tensor), name


def test_distillation(parent, dataset, tmp_path):
    made = config(
        seed=9,
        vit={**VIT, "embed_dim": 8},
        head={"hidden_dim": 8, "bottleneck_dim": 4, "n_prototypes": 32},
        parent={"use": "teacher", "path": str(parent.directory)},
        teacher={"momentum_start": 0.5},
    )
    fresh = {n: t.clone() for n, t in Run(made, dataset, tmp_path / "fresh").method.kept.state_dict().items()}
    done = run(made, dataset, tmp_path / "run")
    student, teacher = states(done)
    for name, tensor in parent.method.kept.state_dict().items():
        assert torch.equal(teacher[name], tensor), name
    kept = done.method.kept.state_dict()
    assert not torch.equal(kept["backbone.pos_embed"], fresh["backbone.pos_embed"])
    assert not torch.equal(kept["backbone.pos_embed"], student["backbone.pos_embed"])
    encoder = Encoder.load(tmp_path / "run")  # the average is what the run is for
    assert all(torch.equal(t, kept[f"backbone.{name}"]) for name, t in encoder.vit.state_dict().items())
    assert load_network(tmp_path / "run" / "teacher")[0].backbone.config.embed_dim == 8


def test_distillation_resumes_to_the_bit(parent, dataset, tmp_path):
    made = config(
        vit={**VIT, "embed_dim": 8},
        centring={"kind": "moving_average"},
        parent={"use": "teacher", "path": str(parent.directory)},
    )
    straight = run(made, dataset, tmp_path / "straight")
    run(made, dataset, tmp_path / "torn", stop_after=2)
    torn = run(made, dataset, tmp_path / "torn", resume=True)
    for name, tensor in straight.method.state_dict().items():
        assert torch.equal(torn.method.state_dict()[name], tensor), name


def test_gram_resumes_to_the_bit(parent, dataset, tmp_path):
    made = config(
        parent={"use": "network", "path": str(parent.directory)},
        gram={"path": str(parent.directory), "start_step": 1, "refresh_every_steps": 2},
    )
    straight = run(made, dataset, tmp_path / "straight")
    run(made, dataset, tmp_path / "torn", stop_after=2)
    torn = run(made, dataset, tmp_path / "torn", resume=True)
    for name, tensor in straight.method.state_dict().items():
        assert torch.equal(torn.method.state_dict()[name], tensor), name
    start = parent.method.kept.backbone.pos_embed
    assert not torch.equal(straight.method.core.gram_teacher.pos_embed, start)  # taken anew before step 3


def test_a_gram_teacher_of_another_lineage(parent, tmp_path):
    encoder = tiny_encoder(tmp_path / "encoder", image_size=16)
    with pytest.raises(UserError, match=r"normalised by 0\.4000 ± 0\.2500, this run by 0\.5000"):
        open_gram_teacher(str(tmp_path / "encoder"), encoder.vit.config, mean=0.5, std=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parent": {"use": "network"}, "vit": {**VIT, "depth": 2}}, "its network has depth 1 instead of 2"),
        (
            {"parent": {"use": "network"}, "head": {"hidden_dim": 16, "bottleneck_dim": 4, "n_prototypes": 32}},
            "its dino_head has bottleneck_dim 8 instead of 4",
        ),
        ({"parent": {"use": "backbone"}, "vit": {**VIT, "patch_size": 4}}, "its network has patch_size 8 instead of 4"),
        ({"parent": {"use": "teacher"}, "vit": {**VIT, "patch_size": 4}}, "set recipe.vit.patch_size to 8"),
        ({"parent": {"use": "teacher"}, "head": {"n_prototypes": 16}}, "set recipe.head.n_prototypes to 32"),
    ],
)
def test_what_does_not_fit(parent, dataset, tmp_path, changes, message):
    changes = {**changes, "parent": {**changes["parent"], "path": str(parent.directory)}}
    with pytest.raises(UserError, match=message):
        Run(config(**changes), dataset, tmp_path / "run")


@pytest.mark.parametrize("use", ["network", "teacher"])
def test_an_encoder_holds_no_heads(parent, dataset, tmp_path, use):
    with pytest.raises(UserError, match="this is 'encoder', and only a run holds heads"):
        Run(config(parent={"use": use, "path": str(parent.directory / "encoder")}), dataset, tmp_path / "run")


def test_a_parent_that_is_not_there(dataset, tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        Run(config(parent={"use": "network", "path": str(tmp_path / "none")}), dataset, tmp_path / "run")


def test_resume_refuses_another_parent(parent, dataset, tmp_path):
    source = tmp_path / "parent"
    run(config(), dataset, source, stop_after=2)
    made = config(parent={"use": "network", "path": str(source)})
    run(made, dataset, tmp_path / "run", stop_after=2)
    run(config(), dataset, source, resume=True)  # the parent trains on
    with pytest.raises(UserError, match="another dataset, selection or parent"):
        run(made, dataset, tmp_path / "run", resume=True)
