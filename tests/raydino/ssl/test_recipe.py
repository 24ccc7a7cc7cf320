"""Every shipped recipe parses, says what it has to, and takes two steps when it is shrunk."""

import math
import re
import threading
from pathlib import Path

import pytest
import torch

import raydino
from raydino.config import load_config, parse_config
from raydino.errors import UserError
from raydino.ssl.recipe import PretrainConfig, Recipe
from raydino.ssl.run import pretrain
from raydino.testing.tiny import tiny_dataset
from raydino.tracking import read_metrics
from raydino.train.optim import scaled_lr

CONFIGS = Path(raydino.__file__).resolve().parent.parent / "configs"
RECIPES = sorted((CONFIGS / "pretrain").glob("*.yaml"))
BY_NAME = {path.stem: path for path in RECIPES}
POLICIES = ("original", "shared", "crop_resize", "crop")

SHRUNK = {
    "recipe.steps": 2,
    "recipe.batch_size": 4,
    "recipe.vit.patch_size": 8,
    "recipe.vit.image_size": 32,
    "recipe.vit.embed_dim": 16,
    "recipe.vit.depth": 1,
    "recipe.vit.n_heads": 2,
    "recipe.augmentation.options.global_size": 32,
    "recipe.augmentation.options.local_size": 16,
    "recipe.augmentation.options.n_locals": 2,
    "recipe.head.hidden_dim": 16,
    "recipe.head.n_prototypes": 32,
    "recipe.ibot_head.hidden_dim": 16,
    "recipe.ibot_head.n_prototypes": 32,
    "recipe.optimizer.warmup_steps": 1,
    "runtime.device": "cpu",
    "runtime.precision": "fp32",
    "runtime.n_workers": 0,
    "runtime.micro_batch_films": 2,
    "runtime.trackers": "[]",
}
PARENTS = {"highres_512": "vits16_one_gpu", "distill_vits": "raydino_vitl16"}


def test_they_are_all_there():
    assert set(BY_NAME) == {
        "raydino_vitl16",
        "dinov2_vitl14",
        "vits16_one_gpu",
        "highres_512",
        "distill_vits",
        *(f"policy_{name}" for name in POLICIES),
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_parses_and_is_complete(path):
    recipe = load_config(path, PretrainConfig).recipe
    text = path.read_text()
    for word in ("command:", "hardware:", "time:", "memory:", "result:"):
        assert re.search(rf"^# {word} ", text, re.MULTILINE), word
    assert f"configs/pretrain/{path.name}" in text
    optional = {"gram", "parent"}
    for block in set(Recipe.model_fields) - optional:
        assert re.search(rf"^  {block}:", text, re.MULTILINE), f"{block} is left to its default"
    for name in set(type(recipe.optimizer).model_fields) | set(type(recipe.vit).model_fields) - {"position_resize"}:
        assert re.search(rf"^    {name}:", text, re.MULTILINE), f"{name} is left to its default"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_arithmetic_of_the_learning_rate(path):
    """Where a comment gives DINOv2's rule, the number is what the rule gives for this batch."""
    recipe = load_config(path, PretrainConfig).recipe
    found = re.search(r"peak_lr: \S+  # base (\S+) x sqrt\((\d+) / 1024\)", path.read_text())
    if found is None:
        assert path.stem == "distill_vits"
        return
    assert int(found[2]) == recipe.batch_size
    assert recipe.optimizer.peak_lr == pytest.approx(scaled_lr(float(found[1]), recipe.batch_size), rel=2e-3)


def test_the_four_policies_differ_in_nothing_else():
    loaded = [load_config(BY_NAME[f"policy_{name}"], PretrainConfig).resolved() for name in POLICIES]
    assert [config["recipe"].pop("augmentation")["policy"] for config in loaded] == list(POLICIES)
    assert all(config == loaded[0] for config in loaded)


def shrunk(name: str, **more: object) -> PretrainConfig:
    overrides = {**SHRUNK, **more}
    config = load_config(BY_NAME[name], PretrainConfig)
    if "shorter_side" in config.recipe.augmentation.options:
        overrides["recipe.augmentation.options.shorter_side"] = 40
    if config.recipe.loss.koleo_group_films:
        overrides["recipe.loss.koleo_group_films"] = 2
    return load_config(BY_NAME[name], PretrainConfig, [f"{key}={value}" for key, value in overrides.items()])


def run(config: PretrainConfig, dataset, directory: Path):
    options = {"resume": False, "overwrite": False, "stop_after": None, "stop": threading.Event()}
    return pretrain(config, dataset, directory, **options)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.mark.parametrize("name", BY_NAME)
def test_two_steps_of_each(name, dataset, tmp_path):
    more = {}
    if name in PARENTS:
        parent = {"recipe.vit.image_size": 16, "recipe.vit.embed_dim": 24} if name == "distill_vits" else {}
        parent = parent or {"recipe.vit.image_size": 16}
        run(shrunk(PARENTS[name], **parent), dataset, tmp_path / "parent")
        more = {"recipe.parent.path": tmp_path / "parent"}
    made = run(shrunk(name, **more), dataset, tmp_path / "run")
    assert made.step == 2
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert all(math.isfinite(row["loss"]) for row in rows)
    assert (tmp_path / "run" / "encoder" / "model.safetensors").is_file()
    assert all(torch.isfinite(p).all() for p in made.method.kept.parameters())


def minimal(**changes: object) -> dict[str, object]:
    return {
        "steps": 1,
        "batch_size": 4,
        "vit": {"image_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "n_heads": 2},
        "augmentation": {"policy": "crop_resize", "options": {"global_size": 32, "local_size": 16}},
        "optimizer": {"peak_lr": 1e-3, "warmup_steps": 0},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {"koleo_group_films": 3}}, "batch_size 4 is no multiple of loss.koleo_group_films 3"),
        ({"masking": {"ratio_min": 0.6}}, "ratio_min 0.6 is above ratio_max 0.5"),
        ({"parent": {"use": "heads", "path": "x"}}, "parent"),
        ({"parent": {"use": "network", "path": "x", "patches": "all"}}, "unknown key.*patches"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"augmentation": {"policy": "crop_resize", "options": {"global_size": 33}}}, "no multiple of patch 8"),
    ],
)
def test_faults_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        parse_config({"recipe": minimal(**changes)}, PretrainConfig)
