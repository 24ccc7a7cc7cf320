"""Jobs of submitit: its local executor runs the very function that SLURM would; the script is looked at."""

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.train import launch
from raydino.train.launch import Program, SlurmJob, restarted, script, slurm_options, submit

if find_spec("submitit") is None:
    pytest.skip("the extra [slurm] is not installed", allow_module_level=True)
submitit = launch._submitit()  # with raydino's signal, which submitit reads when it is imported


def report(arguments: list[str]) -> int:
    """Stands for raydino.cli.run: joins the processes of the job and writes down who it is."""
    from raydino.train.distributed import agreed_max, process_group, rank, world_size

    with process_group():
        highest = int(agreed_max(rank()))
        Path(arguments[0], f"rank{rank()}").write_text(f"{world_size()} {highest}")
    return 0


def stopped_by_usr1(arguments: list[str]) -> int:
    """The first time it ends as a run does after SIGUSR1, the second time well."""
    with Path(arguments[0], "calls").open("a") as file:
        file.write(f"{launch.restarted()}\n")
    return 0 if launch.restarted() else 128 + signal.SIGUSR1


def test_every_process_of_a_job_joins(tmp_path):
    executor = submitit.LocalExecutor(tmp_path / "logs")
    executor.update_parameters(tasks_per_node=2, timeout_min=2)
    job = executor.submit(Program(by_value(report), [str(tmp_path)]))
    job.wait()
    assert job.exception() is None, job.stderr()
    assert [(tmp_path / f"rank{r}").read_text() for r in range(2)] == ["2 1", "2 1"]


def by_value(function):
    """cloudpickle sends a function of this file whole: the job's processes cannot import tests."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[function.__module__])
    return function


def test_a_run_that_ends_on_usr1_is_requeued_and_knows_it(tmp_path):
    executor = submitit.LocalExecutor(tmp_path / "logs")
    executor.update_parameters(tasks_per_node=1, timeout_min=2)
    job = executor.submit(Program(by_value(stopped_by_usr1), [str(tmp_path)]))
    job.wait()
    assert job.exception() is None, job.stderr()
    assert "Requeued job" in job.stdout() + job.stderr()
    assert (tmp_path / "calls").read_text().split() == ["False", "True"]


def test_the_script(tmp_path):
    job = SlurmJob(nodes=2, gpus_per_node=8, partition="gpu", hours=1.5, options={"account": "lab"})
    text = script(job, tmp_path / "none")
    for line in (
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=8",
        "#SBATCH --gpus-per-node=8",
        "#SBATCH --partition=gpu",
        "#SBATCH --time=90",
        "#SBATCH --signal=USR1@180",
        "#SBATCH --requeue",
        "#SBATCH --account=lab",
        "export SUBMITIT_PREEMPT_SIGNAL=USR1",
    ):
        assert line in text.splitlines(), line
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    assert not (tmp_path / "none").exists()


def test_without_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no SLURM on this machine.*--dry-run"):
        submit(Program(report, []), SlurmJob(), tmp_path)


def test_sbatch_gets_the_script_and_its_answer_is_read(tmp_path, monkeypatch):
    """A stand-in for sbatch, as there is no SLURM here."""
    for name, body in (("srun", "exit 0"), ("sbatch", f'cp "$1" {tmp_path}/script; echo Submitted batch job 4711')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert submit(Program(report, ["x"]), SlurmJob(partition="cpu", gpus_per_node=0), tmp_path / "logs") == "4711"
    text = (tmp_path / "script").read_text()
    assert "#SBATCH --partition=cpu" in text
    assert "gpus" not in text


def test_options():
    assert slurm_options(["account=lab", "--mail_type=END"]) == {"account": "lab", "mail-type": "END"}
    with pytest.raises(UserError, match="--slurm account=NAME"):
        slurm_options(["account"])


@pytest.mark.parametrize("name", ["TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT", "RAYDINO_RESTART_COUNT"])
def test_restarted(monkeypatch, name):
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    monkeypatch.delenv("RAYDINO_RESTART_COUNT", raising=False)
    assert not restarted()
    monkeypatch.setenv(name, "0")
    assert not restarted()
    monkeypatch.setenv(name, "2")
    assert restarted()


def test_no_submitit(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'raydino\[slurm\]'"):
        launch.script(SlurmJob(), Path("x"))
