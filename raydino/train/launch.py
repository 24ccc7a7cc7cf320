"""Where a run comes from: started by hand, by torchrun, or by SLURM through submitit.

torchrun sets the environment that ``distributed.process_group`` reads. On SLURM submitit starts one
process a GPU; ``Program`` gives each that same environment and calls the program. When SLURM warns of the
end (SIGUSR1), the run ends with a checkpoint, the job goes back into the queue, and resumes when it
comes up again.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from raydino.config import Config
from raydino.errors import UserError

WARNING_SECONDS = 180  # between SLURM's signal and the end: a step and a checkpoint must fit
_MAX_TIMEOUTS = 1000  # times that a job may come back after its hours are over
_PREEMPT_SIGNAL = "SUBMITIT_PREEMPT_SIGNAL"  # submitit's own default is USR2
_OUR_RESTARTS = "RAYDINO_RESTART_COUNT"  # set by ``Program``
_RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT", _OUR_RESTARTS)


def restarted() -> bool:
    """Whether torchrun (--max-restarts), SLURM (requeue) or submitit has started this program before."""
    return any(int(os.environ.get(name, "0")) > 0 for name in _RESTARTS)


class SlurmJob(Config):
    """What to ask SLURM for. ``options`` are further names of sbatch, without dashes, and their values."""

    nodes: int = Field(default=1, gt=0)
    gpus_per_node: int = Field(default=1, ge=0)  # one process each; 0 is one process a node on its CPUs
    partition: str | None = None
    hours: float = Field(default=24.0, gt=0)  # then the job is requeued
    cpus_per_task: int = Field(default=8, gt=0)
    options: dict[str, str] = Field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """As submitit's SLURM executor names them."""
        asked: dict[str, Any] = {
            "job_name": "raydino",
            "nodes": self.nodes,
            "ntasks_per_node": max(self.gpus_per_node, 1),
            "cpus_per_task": self.cpus_per_task,
            "time": max(round(self.hours * 60), 1),
            "signal_delay_s": WARNING_SECONDS,
            "setup": [f"export {_PREEMPT_SIGNAL}=USR1"],
            "additional_parameters": {"requeue": True, **self.options},
        }
        if self.gpus_per_node:
            asked["gpus_per_node"] = self.gpus_per_node
        return asked if self.partition is None else {**asked, "partition": self.partition}


class Program:
    """The program with its arguments, as submitit calls it in each process of a job."""

    def __init__(self, program: Callable[[list[str]], int], arguments: Sequence[str], *, restarts: int = 0) -> None:
        self.program, self.arguments, self.restarts = program, list(arguments), restarts

    def __call__(self) -> None:
        submitit = _submitit()
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        os.environ[_OUR_RESTARTS] = str(self.restarts)
        code = self.program(self.arguments)
        if code == 128 + signal.SIGUSR1:
            signal.raise_signal(signal.SIGUSR1)  # submitit's handler, in place again, requeues on rank 0
        if code:
            raise SystemExit(code)

    def checkpoint(self) -> Any:
        """What submitit puts into the queue again: the same program, which finds that it was restarted."""
        return _submitit().helpers.DelayedSubmission(Program(self.program, self.arguments, restarts=self.restarts + 1))


def submit(program: Program, job: SlurmJob, folder: Path) -> str:
    """Hand ``program`` to sbatch; returns the job's number. Logs and the script go to ``folder``."""
    submitit = _submitit()
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=_MAX_TIMEOUTS)
    except RuntimeError:
        raise UserError(
            "there is no SLURM on this machine: srun is not found",
            remedy="submit from a login node, start with torchrun, or look at the script with --dry-run",
        ) from None
    executor.update_parameters(**job.parameters())
    try:
        submitted = executor.submit(program)
    except submitit.core.utils.FailedJobError as error:
        raise UserError(f"sbatch refused the job ({' '.join(str(error).split())[:200]})") from None
    return str(submitted.job_id)


def script(job: SlurmJob, folder: Path) -> str:
    """The sbatch script that ``submit`` would hand over. Needs no SLURM and writes nothing."""
    executor = _submitit().SlurmExecutor

    class Anywhere(executor):  # type: ignore[misc, valid-type]
        """Does not look for srun."""

        @classmethod
        def affinity(cls) -> int:
            return 1

    made = Anywhere(folder)
    made.update_parameters(**job.parameters())
    return str(made._make_submission_file_text(made._submitit_command_str, "dry-run"))


def slurm_options(pairs: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` pairs as a mapping; a name may be written with dashes or underscores."""
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.lstrip("-"):
            raise UserError(f"cannot read --slurm {pair!r}", remedy="write it as --slurm account=NAME")
        options[name.lstrip("-").replace("_", "-")] = value
    return options


def _submitit() -> Any:
    """submitit, of the extra [slurm], with the signal that ``stopping`` listens to."""
    os.environ[_PREEMPT_SIGNAL] = "USR1"
    try:
        import submitit
    except ImportError:
        raise UserError("submitit is not installed", remedy="pip install 'raydino[slurm]'") from None
    return submitit
