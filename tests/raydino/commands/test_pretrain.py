"""The command as it is started: alone and by torchrun, killed, stopped, restarted, and with faults of the user's."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from raydino.cli import run as raydino
from raydino.testing.tiny import tiny_dataset
from raydino.tracking import read_metrics
from raydino.train.checkpoint import load_checkpoint, newest_checkpoint, read_facts

CONFIG = {
    "recipe": {
        "seed": 3,
        "steps": 60,
        "batch_size": 4,
        "vit": {"image_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "n_heads": 2, "layerscale_init": 0.1},
        "augmentation": {"policy": "crop_resize", "options": {"global_size": 32, "local_size": 16, "n_locals": 2}},
        "head": {"hidden_dim": 16, "bottleneck_dim": 8, "n_prototypes": 32},
        "optimizer": {"peak_lr": 1e-3, "warmup_steps": 4},
    },
    "runtime": {
        "device": "cpu",
        "precision": "fp32",
        "n_workers": 0,
        "checkpoint_every_steps": 10,
        "probe_every_steps": 1000,
        "log_every_steps": 1,
        "trackers": [],
    },
}
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A dataset, a config, and a run of two processes that nobody disturbed."""
    work = tmp_path_factory.mktemp("work")
    tiny_dataset(work / "dataset")
    (work / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    done = start(work, "straight", *TORCHRUN, f"--master-port={free_port()}")
    out, err = done.communicate(timeout=150)
    assert done.returncode == 0, err
    assert out.count("60 of 60 steps") == 1  # rank 0 alone speaks
    return work


def words(work: Path, name: str, *more: str) -> list[str]:
    config, data, out = (str(work / part) for part in ("config.yaml", "dataset", name))
    return ["pretrain", config, "--data", data, "--out", out, *more]


def start(work: Path, name: str, *before: str, more: tuple[str, ...] = (), **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *before, "-m", "raydino", *words(work, name, *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def start_pair(work: Path, name: str, *more: str) -> list[subprocess.Popen]:
    """Two processes with torchrun's environment and no torchrun, so that a signal reaches one alone."""
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [start(work, name, more=more, RANK=str(r), LOCAL_RANK=str(r), **common) for r in range(2)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_step(directory: Path, step: int, *, at_most_s: float = 100) -> None:
    """Return when ``metrics.jsonl`` has a row of ``step``."""
    metrics = directory / "metrics.jsonl"
    end = time.monotonic() + at_most_s
    while not (metrics.is_file() and any(row["step"] >= step for row in read_metrics(metrics))):
        assert time.monotonic() < end, "the run does not get there"
        time.sleep(0.01)


def assert_equal_runs(work: Path, one: str, other: str) -> None:
    """Bit for bit: weights, moments and losses."""
    paths = [newest_checkpoint(work / name / "checkpoints") for name in (one, other)]
    assert [read_facts(path)["step"] for path in paths] == [60, 60]
    expected, found = (load_checkpoint(path) for path in paths)
    assert expected.keys() == found.keys()
    for key, tensor in expected.items():
        assert torch.equal(tensor, found[key]), key
    losses = [[(r["step"], r["loss"]) for r in read_metrics(work / name / "metrics.jsonl")] for name in (one, other)]
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[0]] == list(range(1, 61))


def test_torchrun_restarts_a_killed_worker_and_the_run_resumes_by_itself(work):
    agent = start(work, "killed", *TORCHRUN, "--max-restarts=1", f"--master-port={free_port()}")
    wait_for_step(work / "killed", 17)
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
    if not children.is_file():
        agent.terminate()
        pytest.skip("this system does not list the children of a process")
    workers = [
        int(pid) for pid in children.read_text().split() if b"pretrain" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(workers[-1], signal.SIGKILL)
    _, err = agent.communicate(timeout=150)
    assert agent.returncode == 0, err
    assert_equal_runs(work, "straight", "killed")


def test_a_signal_to_one_process_stops_all_after_the_same_step(work):
    pair = start_pair(work, "stopped")
    wait_for_step(work / "stopped", 13)
    pair[1].send_signal(signal.SIGUSR1)
    errors = [process.communicate(timeout=100)[1] for process in pair]
    assert [process.returncode for process in pair] == [128 + signal.SIGUSR1] * 2, errors
    step = read_facts(newest_checkpoint(work / "stopped" / "checkpoints"))["step"]
    assert 13 <= step < 60
    assert read_metrics(work / "stopped" / "metrics.jsonl")[-1]["step"] == step
    pair = start_pair(work, "stopped", "--resume")
    errors = [process.communicate(timeout=100)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], errors
    assert_equal_runs(work, "straight", "stopped")


def test_a_fault_of_one_rank_ends_all_with_one_line(work):
    pair = start_pair(work, "torn")
    wait_for_step(work / "torn", 12)
    pair[0].kill()
    err = pair[1].communicate(timeout=100)[1]
    pair[0].communicate()
    assert pair[1].returncode == 2
    assert said(err) == ["raydino: another process of this run has ended; continue with --resume"]
    assert read_facts(newest_checkpoint(work / "torn" / "checkpoints"))["step"] in (0, 10)


def test_a_fault_of_all_ranks_is_told_once(work):
    pair = start_pair(work, "odd", "--set", "recipe.batch_size=5")
    lines = [line for process in pair for line in said(process.communicate(timeout=100)[1])]
    assert [process.returncode for process in pair] == [2, 2]
    assert lines == [
        "raydino: recipe.batch_size 5 does not divide among 2 processes; it is the batch of all processes together; "
        "choose a multiple, or another number of them"
    ]
    assert not (work / "odd").exists()


def test_an_existing_run_is_told_once_and_at_once(work):
    """torchrun gives the others 30 seconds to end, so none may wait for one that has failed."""
    started = time.monotonic()
    agent = start(work, "straight", *TORCHRUN, f"--master-port={free_port()}")
    err = agent.communicate(timeout=150)[1]
    assert agent.returncode == 1
    ours = [line for line in said(err) if line.startswith("raydino:")]  # the traceback is torchrun's own
    assert ours == [f"raydino: {work / 'straight'}: already exists; choose another --out or add --overwrite"]
    assert "SIGKILL" not in err, time.monotonic() - started


def said(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith(("raydino:", "Traceback"))]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("recipe.vit.patch_size=7", "image_size 32 is not a multiple of patch_size 7"),
        ("recipe.vit.patch_size=0", "'recipe.vit.patch_size': Input should be greater than 0"),
        ("recipe.augmentation.options.local_size=15", "local_size 15 is no multiple of patch 8"),
        ("recipe.augmentation.options.global_size=-8", "global_size"),
        ("recipe.batch_size=1", "'recipe.batch_size': Input should be greater than or equal to 2"),
        ("recipe.batch_size=500", "fewer than a batch of 500"),
        ("runtime.device=tpu9", "there is no device 'tpu9'"),
        ("runtime.device=meta", "device 'meta' is not supported"),
        ("runtime.parallel=pipeline", "'runtime.parallel': Input should be 'auto', 'ddp', 'fsdp' or 'hybrid'"),
        pytest.param(
            "runtime.device=cuda",
            "device 'cuda' was asked for, and torch sees no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here"),
        ),
    ],
)
def test_bad_input_is_one_line(work, capsys, override, line):
    assert raydino(words(work, "bad", "--set", override)) == 2
    err = capsys.readouterr().err
    assert line in err
    assert len(said(err)) == 1
    assert not (work / "bad").exists()


def test_the_checkpoint_of_another_architecture(work, tmp_path, capsys):
    """Somebody copied checkpoints between runs: the recipe is right, the tensors are not."""
    narrow = ["--set", "recipe.vit.embed_dim=8", "--stop-after", "1"]
    assert raydino(words(work, "narrow", *narrow)) == 0
    assert raydino(words(work, "wide", "--stop-after", "1")) == 0
    (work / "wide" / "checkpoints").rename(tmp_path / "kept")
    (work / "narrow" / "checkpoints").rename(work / "wide" / "checkpoints")
    assert raydino(words(work, "wide", "--resume")) == 2
    err = capsys.readouterr().err
    assert re.search(r"a checkpoint of another architecture: core\.student\S+ is \[.*\], not \[.*\]", err)
    assert len(said(err)) == 1
