"""A small simulated cohort, written once as CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bias_audit.planted import Simulation, simulate


@pytest.fixture(scope="session")
def cohort() -> pd.DataFrame:
    return simulate(Simulation(patients=450, shift=3.5), np.random.default_rng(5))


@pytest.fixture
def csv(cohort: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    cohort.to_csv(path, index=False)
    return path
