"""A run end to end: exact resume, refusal of other data or another recipe, an encoder that loads."""

import signal
import subprocess
import sys
import time

import pytest
import torch

from raydino.artifacts.dataset import Dataset
from raydino.config import parse_config
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.run import pretrain
from raydino.testing.tiny import tiny_dataset
from raydino.tracking import read_metrics
from raydino.train.checkpoint import Checkpoints, load_checkpoint, newest_checkpoint, read_facts
from raydino.train.stopping import Stop

RECIPE = {
    "seed": 3,
    "steps": 20,
    "batch_size": 4,
    "vit": {"image_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "n_heads": 2, "layerscale_init": 0.1},
    "augmentation": {"policy": "crop_resize", "options": {"global_size": 32, "local_size": 16, "n_locals": 2}},
    "head": {"hidden_dim": 16, "bottleneck_dim": 8, "n_prototypes": 32},
    "optimizer": {"peak_lr": 1e-3, "warmup_steps": 4, "frozen_prototypes_steps": 2},
}
RUNTIME = {
    "precision": "fp32",
    "n_workers": 0,
    "checkpoint_every_steps": 5,
    "probe_every_steps": 10,
    "log_every_steps": 1,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset")


def run(dataset, directory, *, recipe=RECIPE, **options):
    config = parse_config({"recipe": recipe, "runtime": RUNTIME}, PretrainConfig)
    defaults = {"resume": False, "overwrite": False, "stop_after": None, "stop": Stop()}
    return pretrain(config, dataset, directory, **{**defaults, **options})


def weights(directory):
    path = newest_checkpoint(directory / "checkpoints")
    return read_facts(path)["step"], load_checkpoint(path)


def test_twenty_steps_equal_ten_stop_and_ten(dataset, tmp_path):
    run(dataset, tmp_path / "straight")
    run(dataset, tmp_path / "torn", stop_after=10)
    assert weights(tmp_path / "torn")[0] == 10
    run(dataset, tmp_path / "torn", resume=True)
    one, other = weights(tmp_path / "straight"), weights(tmp_path / "torn")
    assert one[0] == other[0] == 20
    for name, tensor in one[1].items():
        assert torch.equal(tensor, other[1][name]), name
    assert any(name.startswith("optimizer.") and name.endswith(".exp_avg_sq") for name in one[1])
    steps = [row["step"] for row in read_metrics(tmp_path / "torn" / "metrics.jsonl")]
    assert steps == list(range(1, 21))
    losses = [[row["loss"] for row in read_metrics(tmp_path / d / "metrics.jsonl")] for d in ("straight", "torn")]
    assert losses[0] == losses[1]
    assert (tmp_path / "straight" / "curves.png").stat().st_size > 10_000


def test_workers_change_nothing(dataset, tmp_path):
    run(dataset, tmp_path / "none", stop_after=3)
    config = parse_config({"recipe": RECIPE, "runtime": {**RUNTIME, "n_workers": 2}}, PretrainConfig)
    pretrain(config, dataset, tmp_path / "two", resume=False, overwrite=False, stop_after=3, stop=Stop())
    for name, tensor in weights(tmp_path / "none")[1].items():
        assert torch.equal(tensor, weights(tmp_path / "two")[1][name]), name


def test_the_encoder_is_the_teacher(dataset, tmp_path):
    made = run(dataset, tmp_path / "run", stop_after=5)
    encoder = Encoder.load(tmp_path / "run")
    assert encoder.card.steps == 5
    assert encoder.spec.pixels == dataset.pixels
    expected = made.method.core.teacher.backbone.state_dict()
    for name, tensor in encoder.vit.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_steps_zero_is_the_random_network(dataset, tmp_path):
    run(dataset, tmp_path / "random", recipe={**RECIPE, "steps": 0})
    assert Encoder.load(tmp_path / "random").card.steps == 0


def test_resume_refuses_another_recipe(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    with pytest.raises(UserError, match="recipe differs from the run's in batch_size"):
        run(dataset, tmp_path / "run", recipe={**RECIPE, "batch_size": 5}, resume=True)


def test_resume_refuses_another_dataset(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    other = tiny_dataset(tmp_path / "other", seed=9)
    with pytest.raises(UserError, match="another dataset"):
        run(other, tmp_path / "run", resume=True)


def test_an_existing_run_is_kept(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    with pytest.raises(UserError, match="already exists"):
        run(dataset, tmp_path / "run")
    assert weights(tmp_path / "run")[0] == 5


def test_a_batch_larger_than_the_dataset(dataset, tmp_path):
    with pytest.raises(UserError, match="fewer than a batch of 500"):
        run(dataset, tmp_path / "run", recipe={**RECIPE, "batch_size": 500})
    assert not (tmp_path / "run").exists()


def test_a_diverging_run_says_so_and_keeps_its_checkpoint(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    path = newest_checkpoint(tmp_path / "run" / "checkpoints")
    tensors = load_checkpoint(path)
    tensors["method.core.student.backbone.cls_token"].fill_(float("nan"))
    checkpoints = Checkpoints(path.parent)
    checkpoints.save(5, tensors, {})
    checkpoints.wait()
    with pytest.raises(UserError, match="the loss of step 5 is not finite"):
        run(dataset, tmp_path / "run", resume=True)
    assert read_facts(path)["step"] == 5


def test_a_broken_checkpoint_says_so(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    (shard,) = newest_checkpoint(tmp_path / "run" / "checkpoints").glob("*.safetensors")
    shard.write_bytes(b"half a check")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        run(dataset, tmp_path / "run", resume=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_and_resumed(dataset, tmp_path, number):
    """SIGTERM ends with a checkpoint of the last step; SIGKILL falls back to the last one written."""
    run(dataset, tmp_path / "straight")
    code = f"""
import time
from raydino.artifacts.dataset import Dataset
from raydino.config import parse_config
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl import run as module
from raydino.train.stopping import stopping_on_signals
config = parse_config({{"recipe": {RECIPE!r}, "runtime": {RUNTIME!r}}}, PretrainConfig)
inner = module.Run._after_step
def slowly(self, done):
    time.sleep(0.05)
    print(done, flush=True)
    return inner(self, done)
module.Run._after_step = slowly
with stopping_on_signals() as stop:
    module.pretrain(config, Dataset.open({str(dataset.path)!r}), __import__("pathlib").Path({str(tmp_path / "torn")!r}),
                    resume=False, overwrite=False, stop_after=None, stop=stop)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "12":
            process.send_signal(number)
            break
    process.wait(timeout=60)
    time.sleep(0.1)
    step = weights(tmp_path / "torn")[0]
    assert step in (5, 10) if number == signal.SIGKILL else 12 <= step < 20  # the write of 10 may be cut off
    run(dataset, tmp_path / "torn", resume=True)
    one, other = weights(tmp_path / "straight"), weights(tmp_path / "torn")
    for name, tensor in one[1].items():
        assert torch.equal(tensor, other[1][name]), name


def test_overwriting_leaves_no_old_encoder_and_no_other_artifact(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    (tmp_path / "run" / "encoder" / "mark").touch()
    run(dataset, tmp_path / "run", overwrite=True, stop_after=1)
    assert not (tmp_path / "run" / "encoder" / "mark").exists()
    assert Encoder.load(tmp_path / "run").card.steps == 1
    other = tiny_dataset(tmp_path / "other", seed=9)
    with pytest.raises(UserError, match="is a dataset; a run does not overwrite it"):
        run(dataset, other.path, overwrite=True)
    assert Dataset.open(other.path).accepted.shape == other.accepted.shape
