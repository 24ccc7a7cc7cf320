"""What is hidden cannot be solved for from what is shown; checked by solving for it."""

import numpy as np
import pandas as pd
import pytest

from bias_audit.axes import choose_axes
from bias_audit.strata import cohort_table, index_of, partitions
from bias_audit.suppression import Sums, small, suppressed


def films(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient_id": np.arange(n),
            "sex": rng.choice(["F", "M", "O"], n, p=[0.5, 0.47, 0.03]),
            "site": rng.choice(["A", "B", "C", "D"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "view": rng.choice(["AP", "PA", ""], n, p=[0.4, 0.55, 0.05]),
        }
    )


def solvable(counts: np.ndarray, hidden: np.ndarray, sums: Sums) -> np.ndarray:
    """[strata] whether a count follows from the shown ones by the sums, by least squares from two guesses."""
    rows, right = [], []
    for parent, children in sums.equations:
        row = np.zeros(len(counts))
        row[children] = 1
        row[parent] -= 1
        rows.append(row)
        right.append(0.0)
    for k in np.flatnonzero(~hidden):
        row = np.zeros(len(counts))
        row[k] = 1
        rows.append(row)
        right.append(float(counts[k]))
    matrix, right_ = np.array(rows), np.array(right)
    rng = np.random.default_rng(0)
    guesses = []
    for _ in range(2):  # the solution nearest to a guess; where two guesses give one value, it is determined
        start = rng.normal(size=len(counts)) * 100
        guesses.append(start + np.linalg.lstsq(matrix, right_ - matrix @ start, rcond=None)[0])
    return np.isclose(*guesses, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_small_stratum_can_be_solved_for(seed: int, depth: int) -> None:
    frame = films(seed, 400)
    axes = choose_axes(["sex", "site", "view"], frame.columns, (18,), skip_absent=False)
    parts = partitions(frame, axes, depth)
    index = index_of(parts)
    patients = cohort_table(frame, parts)["n_patients"].to_numpy()
    protect, sums = small(patients, 12), Sums(parts, index)
    assert protect.any()
    hidden = suppressed(patients, protect, sums, 12)
    assert (hidden >= protect).all()
    assert not hidden[0]
    assert not solvable(patients, hidden, sums)[protect].any()


def test_hiding_the_small_stratum_alone_would_tell_it() -> None:
    frame = pd.DataFrame({"patient_id": np.arange(100), "sex": ["F"] * 60 + ["M"] * 36 + ["O"] * 4})
    parts = partitions(frame, choose_axes(["sex"], frame.columns, (18,), skip_absent=False), 1)
    sums = Sums(parts, index_of(parts))
    patients = np.array([100, 60, 36, 4])
    protect = small(patients, 10)
    assert solvable(patients, protect, sums)[3]
    assert suppressed(patients, protect, sums, 10).tolist() == [False, False, True, True]


def test_nothing_is_hidden_where_nothing_is_small() -> None:
    frame = films(0, 400)
    parts = partitions(frame, choose_axes(["sex"], frame.columns, (18,), skip_absent=False), 1)
    sums = Sums(parts, index_of(parts))
    patients = cohort_table(frame, parts)["n_patients"].to_numpy()
    assert not suppressed(patients, small(patients, 0), sums, 0).any()
