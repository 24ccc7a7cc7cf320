"""Calibration slope and intercept: the line that turns the scores' logits into true ones (Cox 1958).

Slope: b of logit P(finding) = a + b logit(score); 1 is right, less means scores too extreme. Intercept
("calibration in the large"): a with b held at 1; 0 is right, less means scores too high (Van Calster 2019).
Scores are kept 1e-6 away from 0 and 1, whose logits are infinite.

A replicate is one Newton step from the stratum's own estimate with the replicate's weights: sums over films
again, and as good as refitting to the order that a bootstrap is (Davidson and MacKinnon 1999). Neighbours:
``metrics`` (the protocol).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse
from scipy.special import expit, logit

from bias_audit.metrics import Metric, Replicator
from bias_audit.rows import Bools, Floats, LabelRows, Rows

AWAY = 1e-6
STEEPEST = 50.0  # a slope beyond it is that of classes which the score separates
NO_LINE = "no line fits: scores are all 0 or 1, take one value, or separate the classes"


def fit(target: Floats, x: Floats, offset: Floats, start: Floats) -> Floats:
    """Coefficients [k] of logit P(target) = offset + x @ coefficients, for x [n, k]; NaN where none fit best."""
    beta = start.astype(np.float64)
    for _ in range(50):
        gradient, hessian = _moments(target, x, offset, beta)
        if not np.linalg.cond(hessian) < 1e10:
            break
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step * min(1.0, 4 / max(np.abs(step).max(), 1e-300))  # no leap out of the curve's reach
        if np.abs(beta).max() > STEEPEST:
            break
        if np.abs(step).max() < 1e-9:
            return beta
    return np.full(len(beta), np.nan)


def _moments(target: Floats, x: Floats, offset: Floats, beta: Floats) -> tuple[Floats, Floats]:
    chance = expit(offset + x @ beta)
    return x.T @ (target - chance), (x * (chance * (1 - chance))[:, None]).T @ x


class RecalibrationReplicator:
    """Replicates of slope and intercept of one label."""

    def __init__(self, data: LabelRows, metrics: Sequence[Metric], wanted: Bools) -> None:
        self.data = data
        self.models = [_Steps(data, metric, wanted) for metric in metrics if isinstance(metric, Recalibration)]

    def __call__(self, drawn: Floats) -> Iterator[tuple[str, Floats, Floats]]:
        """See ``metrics.Replicator``."""
        for model in self.models:
            inside = model(drawn[: self.data.patients])
            yield model.metric.name, inside, np.full(inside.shape, np.nan)


class _Steps:
    """The fits of one metric in all strata, and the step from each that a replicate makes."""

    def __init__(self, data: LabelRows, metric: Recalibration, wanted: Bools) -> None:
        self.metric, self.strata = metric, data.strata
        self.numbers: list[int] = []
        self.beta: list[Floats] = []
        rows, patients, values = [], [], []
        x, offset = metric.design(data.rows)
        k = self.k = x.shape[1]
        upper = self.upper = np.triu_indices(k)
        for stratum in np.flatnonzero(wanted):
            films = data.films_of(int(stratum))
            beta = metric.coefficients(data.rows.take(films))
            if np.isnan(beta).any():
                continue
            chance = expit(offset[films] + x[films] @ beta)
            score = x[films] * (data.rows.target[films] - chance)[:, None]
            outer = x[films][:, upper[0]] * x[films][:, upper[1]] * (chance * (1 - chance))[:, None]
            columns = np.concatenate([score, outer], axis=1)
            width = columns.shape[1]
            rows.append(len(self.beta) * width + np.tile(np.arange(width), len(films)))
            patients.append(np.repeat(data.patient[films], width))
            values.append(columns.ravel())
            self.numbers.append(int(stratum))
            self.beta.append(beta)
        self.width = k + len(upper[0])
        if self.beta:
            at = (np.concatenate(rows), np.concatenate(patients))
            shape = (len(self.beta) * self.width, data.patients)
            self.matrix = sparse.csr_array((np.concatenate(values), at), shape=shape)

    def __call__(self, drawn: Floats) -> Floats:
        """[patients, b] → [strata, b]."""
        full = np.full((self.strata, drawn.shape[1]), np.nan)
        if self.beta:
            sums = (self.matrix @ drawn).reshape(len(self.beta), self.width, -1).transpose(0, 2, 1)
            gradient, hessian = sums[..., : self.k], np.empty((*sums.shape[:2], self.k, self.k))
            hessian[..., self.upper[0], self.upper[1]] = sums[..., self.k :]
            hessian[..., self.upper[1], self.upper[0]] = sums[..., self.k :]
            lost = ~(np.abs(np.linalg.det(hessian)) > 1e-9)
            hessian[lost] = np.eye(self.k)
            beta = np.array(self.beta)[:, None] + np.linalg.solve(hessian, gradient[..., None])[..., 0]
            full[self.numbers] = np.where(lost, np.nan, beta[..., -1])
        return full


@dataclass(frozen=True)
class Recalibration(Metric):
    """A coefficient of the recalibrated score; ``slope``: that of the logit, else the intercept with slope 1."""

    replicator: ClassVar[type[Replicator]] = RecalibrationReplicator
    slope: bool = True

    def design(self, rows: Rows) -> tuple[Floats, Floats]:
        """x [n, k], of which the last coefficient is the metric, and the offset [n]."""
        position = logit(np.clip(rows.score, AWAY, 1 - AWAY))
        ones = np.ones(len(position))
        return (np.stack([ones, position], axis=1), 0 * ones) if self.slope else (ones[:, None], position)

    def coefficients(self, rows: Rows) -> Floats:
        """[k], NaN where no line fits best: one class, one score, or a score that separates the classes."""
        positive, score = rows.target == 1, rows.score
        k = 2 if self.slope else 1
        if not positive.any() or positive.all() or np.isin(score, (0, 1)).all():  # the last are no probabilities
            return np.full(k, np.nan)
        apart = max(score[positive].min() - score[~positive].max(), score[~positive].min() - score[positive].max())
        if self.slope and (apart >= 0 or score.min() == score.max()):
            return np.full(k, np.nan)
        x, offset = self.design(rows)
        return fit(rows.target, x, offset, np.zeros(k))

    def __call__(self, rows: Rows) -> float:
        """The point estimate."""
        return float(self.coefficients(rows)[-1])


CALIBRATION_SLOPE = Recalibration(
    "calibration_slope",
    "Calibration slope",
    "1 where scores are as far apart as the truth; below 1 they are too extreme, above 1 too timid",
    None,
    frozenset({"positive", "negative"}),
    limits=(-np.inf, np.inf),
    no_value=NO_LINE,
)
CALIBRATION_INTERCEPT = Recalibration(
    "calibration_intercept",
    "Calibration intercept",
    "0 where scores are right on average; below 0 they are too high, above 0 too low (in logits)",
    None,
    frozenset({"positive", "negative"}),
    prevalence_free=False,
    limits=(-np.inf, np.inf),
    no_value=NO_LINE,
    slope=False,
)
