"""MLflow, where it is installed (``pip install mlflow``; it may want older pandas than raydino's constraints).

Writes to ``mlruns/`` of the run directory, so nothing leaves the machine; MLFLOW_TRACKING_URI points it elsewhere,
MLFLOW_EXPERIMENT_NAME names the experiment. MLflow's own usage reports are off unless MLFLOW_DISABLE_TELEMETRY says
otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import, which reads it

import mlflow

from raydino.tracking.tracked_run import TrackedRun, finite, flat_config


class MlflowTracker:
    """One MLflow run for each run directory; a resumed run goes on in the same one."""

    def __init__(self, directory: Path, *, resume_step: int = 0) -> None:
        self._memory = TrackedRun(directory, "mlflow")
        mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or (directory / "mlruns").resolve().as_uri())
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or "raydino")
        if self._memory.run_id:
            mlflow.start_run(run_id=self._memory.run_id)
        else:
            self._memory.begin(mlflow.start_run(run_name=directory.resolve().name).info.run_id)
            mlflow.log_params(flat_config(directory))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._memory.is_new(step):
            mlflow.log_metrics(finite(metrics), step=step)

    def picture(self, step: int, path: Path) -> None:
        mlflow.log_artifact(str(path), artifact_path=f"pictures/step-{step:08d}")  # a second time replaces the first

    def close(self) -> None:
        mlflow.end_run()
