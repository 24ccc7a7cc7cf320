"""A run end to end: exact resume, refusal of other data or another recipe, an encoder that loads."""

import multiprocessing
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import read_header
from raydino.artifacts.images import encode_png
from raydino.config import parse_config
from raydino.data.pool import Pool
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.ssl import run as module
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.run import pretrain
from raydino.testing import tiny
from raydino.testing.tiny import tiny_dataset
from raydino.tracking import JsonlTracker, read_metrics
from raydino.train.checkpoint import Checkpoints, _CommittingWriter, load_checkpoint, newest_checkpoint, read_facts
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


def test_a_weighted_pool_is_read_as_its_weights_say(dataset, tmp_path, monkeypatch):
    ids = dataset.sample_ids("train")[:4]
    pool = Pool(ids, np.array([0.5, 0.25, 0.125, 0.125]), {"selection": "abc"})
    read = []
    inner = module.batches
    monkeypatch.setattr(module, "batches", lambda *a, **k: (read.append(b) or b for b in inner(*a, **k)))
    run(dataset, tmp_path / "run", pool=pool, stop_after=10)
    films = torch.cat([batch.film_indices for batch in read])
    assert torch.bincount(films).tolist() == pytest.approx([20, 10, 5, 5], abs=4)
    assert read_header(tmp_path / "run").inputs["selection"] == "abc"
    with pytest.raises(UserError, match="another dataset, selection or parent"):
        run(dataset, tmp_path / "run", resume=True)
    run(dataset, tmp_path / "run", pool=pool, resume=True, stop_after=11)


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
    for name in ("curves", "crops", "patches", "attention"):
        assert (tmp_path / "straight" / f"{name}.png").stat().st_size > 10_000
    last = read_metrics(tmp_path / "torn" / "metrics.jsonl")[-1]
    assert {"knn_auroc", "linear_auroc", "feature_rank", "teacher_entropy_patch", "prototypes_used"} <= set(last)


def test_workers_change_nothing(dataset, tmp_path):
    run(dataset, tmp_path / "none", stop_after=3)
    config = parse_config({"recipe": RECIPE, "runtime": {**RUNTIME, "n_workers": 2}}, PretrainConfig)
    pretrain(config, dataset, tmp_path / "two", resume=False, overwrite=False, stop_after=3, stop=Stop())
    for name, tensor in weights(tmp_path / "none")[1].items():
        assert torch.equal(tensor, weights(tmp_path / "two")[1][name]), name


def test_no_worker_outlives_a_run(dataset, tmp_path):
    """Workers leave SIGTERM to the main process, which would wait for them at its end."""
    before = set(multiprocessing.active_children())
    config = parse_config({"recipe": RECIPE, "runtime": {**RUNTIME, "n_workers": 2}}, PretrainConfig)
    pretrain(config, dataset, tmp_path / "run", resume=False, overwrite=False, stop_after=3, stop=Stop())
    assert set(multiprocessing.active_children()) <= before


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
    with pytest.raises(UserError, match="loss or gradient of step 9 is not finite, nor of the 4 before"):
        run(dataset, tmp_path / "run", resume=True)
    assert read_facts(path)["step"] == 5


def test_a_broken_checkpoint_says_so(dataset, tmp_path):
    run(dataset, tmp_path / "run", stop_after=5)
    (shard,) = newest_checkpoint(tmp_path / "run" / "checkpoints").glob("*.safetensors")
    shard.write_bytes(b"half a check")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        run(dataset, tmp_path / "run", resume=True)


@pytest.mark.parametrize(("number", "at"), [(signal.SIGTERM, 12), (signal.SIGKILL, 12), (signal.SIGKILL, 10)])
def test_killed_and_resumed(dataset, tmp_path, number, at):
    """SIGTERM ends with a checkpoint of the last step; SIGKILL falls back to the last one written.

    At step 10 a checkpoint is being written when the signal comes.
    """
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
        if line.strip() == str(at):
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


def test_a_full_disk_stops_the_run_and_costs_no_checkpoint(dataset, tmp_path, monkeypatch):
    run(dataset, tmp_path / "straight")
    write = _CommittingWriter.write_data

    def full_at_ten(self, *arguments):
        if "step-00000010" in str(self.path):
            raise OSError(28, "No space left on device")
        return write(self, *arguments)

    monkeypatch.setattr(_CommittingWriter, "write_data", full_at_ten)
    with pytest.raises(UserError, match="the checkpoint of step 10 cannot be written .*No space left on device"):
        run(dataset, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full" / "checkpoints").iterdir()] == ["step-00000005"]
    monkeypatch.undo()
    run(dataset, tmp_path / "full", resume=True)
    for name, tensor in weights(tmp_path / "straight")[1].items():
        assert torch.equal(tensor, weights(tmp_path / "full")[1][name]), name


def test_a_disk_full_for_the_metrics_is_one_line(dataset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JsonlTracker, "log", full)
    with pytest.raises(UserError, match="the disk is full; the last good checkpoint is intact"):
        run(dataset, tmp_path / "run")


def test_blank_films(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "encode_png", lambda film: encode_png(np.zeros_like(film)))
    blank = tiny_dataset(tmp_path / "blank")
    with pytest.raises(UserError, match="its films are blank"):
        run(blank, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_observers_see_the_teacher_and_the_batch(dataset, tmp_path, monkeypatch):
    seen = []

    class Observer:
        def measure(self, step, teacher, batch):
            seen.append((step, type(teacher).__name__, len(batch.global_crops)))
            return {"looked": float(step)}

    monkeypatch.setattr(module.Run, "_make_observers", lambda self: [Observer()])
    run(dataset, tmp_path / "run")
    assert seen == [(step, "VisionTransformer", 8) for step in (10, 20)]
    assert [r["step"] for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "looked" in r] == [10, 20]


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
