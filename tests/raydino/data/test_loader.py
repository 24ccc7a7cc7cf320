"""Loading in processes: the same batches by any way, and one clear line where a worker fails or dies."""

import multiprocessing
import os
import signal
import time
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import torch

from raydino.data import loader
from raydino.data.augment.original import Original
from raydino.data.batches import Batch, StepBatches
from raydino.data.films import Films
from raydino.data.loader import _ahead_on_a_stream, batches, explaining_dead_workers
from raydino.errors import UserError
from raydino.testing.tiny import tiny_dataset

POLICY = Original(global_size=32, local_size=16, n_locals=3)


@pytest.fixture
def dataset(tmp_path):
    return tiny_dataset(tmp_path / "d")


def source(films, *, first_step=0, policy=POLICY):
    return StepBatches(films, policy, batch_size=4, patch_size=8, seed=0, first_step=first_step, last_step=12)


@pytest.mark.parametrize("n_workers", [0, 1, 2])
@pytest.mark.parametrize("augment_on", ["workers", "device"])
def test_any_way_gives_the_same(dataset, n_workers, augment_on):
    films = Films(dataset, dataset.sample_ids("train"))
    straight = [source(films)[step] for step in range(12)]
    loaded = list(batches(source(films, first_step=7), n_workers=n_workers, augment_on=augment_on))
    assert len(loaded) == 5
    for one, other in zip(straight[7:], loaded, strict=True):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a, b)


def test_the_global_generator_is_left_alone(dataset):
    films = Films(dataset, dataset.sample_ids("train"))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(batches(source(films), n_workers=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize("seconds_to_start", [0, 0.5])
def test_workers_outlive_a_signal_to_the_group(dataset, number, seconds_to_start, monkeypatch):
    """``timeout``, SLURM and Ctrl-C reach the workers too, and the main process still wants its last step."""

    def start_late(worker, start=loader._start_worker):
        time.sleep(worker * seconds_to_start)
        start(worker)

    monkeypatch.setattr(loader, "_start_worker", start_late)
    films = Films(dataset, dataset.sample_ids("train"))
    made = batches(source(films), n_workers=2)
    next(made)
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # they wait only while workers start
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, number)
    assert len(list(made)) == 11


def test_workers_start_after_opencv_has_used_its_threads(dataset):
    """Its pool does not survive a fork: a worker that touched it would wait for ever, most times."""
    cv2.setNumThreads(2)
    cv2.resize(np.zeros((2000, 2000), np.float32), (1500, 1500), interpolation=cv2.INTER_AREA)
    films = Films(dataset, dataset.sample_ids("train"))
    assert len(list(batches(source(films), n_workers=2))) == 12
    assert cv2.getNumThreads() == 1  # the pool was gone before the fork


def test_workers_fill_one_cache(dataset):
    films = Films(dataset, dataset.sample_ids("train"))
    list(batches(source(films), n_workers=2))
    assert all(films._cache.get(index) is not None for index in range(len(films)))


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_broken_film_is_one_line(dataset, n_workers):
    films = Films(dataset, dataset.sample_ids("train"), cache_bytes=0)
    (shard,) = (dataset.path / "images").glob("*.tar")
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(UserError) as caught:
        list(batches(source(films), n_workers=n_workers))
    assert str(caught.value) == f"{shard}: holds a broken film; run raydino ingest again"


class Killed(Original):
    """Renders until the worker meets its end, as when memory runs out."""

    def draw(self, shape, rng):
        os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(shape, rng)


def test_a_dead_worker_is_one_line(dataset):
    films = Films(dataset, dataset.sample_ids("train"))
    policy = Killed(global_size=32, local_size=16, n_locals=3)
    with pytest.raises(UserError, match="a process that loads films has died .* runtime.n_workers") as caught:
        list(batches(source(films, policy=policy), n_workers=1))
    assert "\n" not in str(caught.value)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="something else"), explaining_dead_workers():
        raise RuntimeError("something else")


def test_one_batch_ahead_on_a_stream_loses_none(monkeypatch):
    """The order of things, with streams that do nothing; real ones are in the next test."""
    told = []

    class Stream:
        def __init__(self, device=None):
            pass

        def wait_stream(self, other):
            told.append("wait")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: told.append("record"))
    made = [Batch(*(torch.full((1,), float(number)) for _ in range(4))) for number in range(3)]

    def making():
        for number, batch in enumerate(made):
            told.append(f"make {number}")
            yield batch

    for number, batch in enumerate(_ahead_on_a_stream(making(), torch.device("cuda"))):
        assert batch is made[number]
        told.append(f"train {number}")
    handed = ["wait", *["record"] * 4]
    expected = ["make 0", *handed, "make 1", "train 0", *handed, "make 2", "train 1", *handed, "train 2"]
    assert told == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("augment_on", ["workers", "device"])
def test_batches_come_on_the_accelerator(dataset, augment_on):
    films = Films(dataset, dataset.sample_ids("train"))
    here = [source(films)[step] for step in range(12)]
    there = list(batches(source(films), n_workers=2, device=torch.device("cuda"), augment_on=augment_on))
    for one, other in zip(here, there, strict=True):
        for a, b in zip(one, other, strict=True):
            assert b.is_cuda
            torch.testing.assert_close(a, b.cpu(), atol=1e-5, rtol=0)
