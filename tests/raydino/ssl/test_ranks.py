"""Two processes give what one gives, in every parallel mode, and each continues the other's checkpoints.

The two processes run this file (``main``), joined as torchrun joins them. In float64, so that the order of a
sum is all that may differ.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from raydino.artifacts.dataset import Dataset
from raydino.config import parse_config
from raydino.data.batches import Batch
from raydino.ssl import run as module
from raydino.ssl.recipe import PretrainConfig
from raydino.testing.tiny import tiny_dataset
from raydino.tracking import read_metrics
from raydino.train.checkpoint import load_checkpoint, newest_checkpoint, read_facts
from raydino.train.distributed import process_group
from raydino.train.stopping import Stop

RECIPE = {
    "seed": 3,
    "steps": 100,  # never reached: at the end probes would look, in float32
    "batch_size": 4,
    "vit": {"image_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "n_heads": 2, "layerscale_init": 0.1},
    "augmentation": {"policy": "crop_resize", "options": {"global_size": 32, "local_size": 16, "n_locals": 2}},
    "head": {"hidden_dim": 16, "bottleneck_dim": 8, "n_prototypes": 33},
    "optimizer": {"peak_lr": 1e-3, "warmup_steps": 0, "clip_norm": 0.05},
}
FRESH = {
    "ddp": {"parallel": "ddp"},
    "fsdp": {"parallel": "fsdp"},
    "hybrid": {"parallel": "hybrid"},
    "replicas": {"parallel": "hybrid", "shard_ranks": 1},
}
RESUMED = {"on_ddp": {"parallel": "ddp"}, "on_fsdp": {"parallel": "fsdp"}}


def run(dataset: Dataset, directory: Path, runtime: dict, *, stop_after: int, resume: bool = False):
    fixed = {"precision": "fp32", "n_workers": 0, "checkpoint_every_steps": 2, "log_every_steps": 1}
    config = parse_config({"recipe": RECIPE, "runtime": {**fixed, **runtime}}, PretrainConfig)
    return module.pretrain(
        config, dataset, directory, resume=resume, overwrite=False, stop_after=stop_after, stop=Stop()
    )


def use_float64() -> None:
    torch.set_default_dtype(torch.float64)
    module.Run._make_observers = lambda self: []  # they look in float32
    inner = module.batches
    module.batches = lambda *a, **k: (
        Batch(*(t.double() if t.is_floating_point() else t for t in batch)) for batch in inner(*a, **k)
    )


def main(directory: Path) -> None:
    """One of the two processes."""
    use_float64()
    torch.set_num_threads(1)
    with process_group():
        dataset = Dataset.open(directory / "dataset")
        for name, runtime in FRESH.items():
            run(dataset, directory / name, runtime, stop_after=4)
        for name, runtime in RESUMED.items():
            run(dataset, directory / name, runtime, stop_after=6, resume=True)


def start_ranks(*arguments: object, size: int = 2) -> list[subprocess.Popen]:
    """``size`` processes of this file, joined."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    return [
        subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)],
            env={**os.environ, **common, "MASTER_PORT": str(port), "RANK": str(r), "LOCAL_RANK": str(r)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in range(size)
    ]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Runs of one process in ``straight`` and ``four``, and of two in the names of FRESH and RESUMED."""
    directory = tmp_path_factory.mktemp("ranks")
    dataset = tiny_dataset(directory / "dataset")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "batches", module.batches)  # both come back at the end
        patch.setattr(module.Run, "_make_observers", module.Run._make_observers)
        use_float64()
        try:
            run(dataset, directory / "four", {}, stop_after=4)
            for name in RESUMED:
                shutil.copytree(directory / "four", directory / name)
            ranks = start_ranks(directory)
            run(dataset, directory / "straight", {}, stop_after=6)
            errors = [process.communicate(timeout=200)[1] for process in ranks]
            assert [process.returncode for process in ranks] == [0, 0], errors
            shutil.copytree(directory / "fsdp", directory / "on_one")
            run(dataset, directory / "on_one", {}, stop_after=6, resume=True)
        finally:
            torch.set_default_dtype(torch.float32)
    return directory


def assert_same(directory: Path, name: str, other: str, *, step: int) -> None:
    one, two = (directory / run / "checkpoints" / f"step-{step:08d}" for run in (name, other))
    expected, found = load_checkpoint(one), load_checkpoint(two)
    moved = 0.0
    start = load_checkpoint(directory / name / "checkpoints" / f"step-{step - 2:08d}")
    for key, tensor in expected.items():
        assert tensor.dtype == found[key].dtype, key
        assert torch.allclose(tensor, found[key], rtol=1e-8, atol=1e-9), (key, (tensor - found[key]).abs().max())
        moved = max(moved, float((tensor - start[key]).abs().max()))
    assert moved > 1e-4  # something was learnt, so the agreement means something
    assert expected.keys() == found.keys()


@pytest.mark.parametrize("name", FRESH)
def test_two_processes_equal_one(directory, name):
    assert read_facts(newest_checkpoint(directory / name / "checkpoints"))["world_size"] == 2
    assert_same(directory, "four", name, step=4)


@pytest.mark.parametrize("name", [*RESUMED, "on_one"])
def test_a_checkpoint_continues_at_another_number_of_ranks(directory, name):
    assert_same(directory, "straight", name, step=6)


@pytest.mark.parametrize("name", FRESH)
def test_the_teacher_lies_whole_in_single_files(directory, name):
    for path in ("encoder/model.safetensors", "teacher/network.safetensors"):
        expected, found = load_file(directory / "four" / path), load_file(directory / name / path)
        assert expected.keys() == found.keys()
        for key, tensor in expected.items():
            assert torch.allclose(tensor, found[key], rtol=1e-6, atol=1e-11), (path, key)


@pytest.mark.parametrize("name", FRESH)
def test_metrics_are_means_over_ranks(directory, name):
    for one, two in zip(*(read_metrics(directory / run / "metrics.jsonl") for run in ("four", name)), strict=True):
        assert one["step"] == two["step"]
        for key in ("loss", "dino_global", "ibot", "grad_norm/backbone", "teacher_entropy"):
            assert one[key] == pytest.approx(two[key], rel=1e-6), key  # logged in float32
        assert two["images_per_second"] > 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
