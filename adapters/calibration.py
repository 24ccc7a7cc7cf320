"""From logits to probabilities that can be read as such, fitted on validation films of one label.

Three ways: temperature (Guo 2017, 1706.04599, 4.2), Platt's sigmoid (Platt 1999) and isotonic regression (Zadrozny
and Elkan 2002, scikit-learn's). None of them turns the order of films. What is fitted is a few numbers of plain JSON.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from raydino.config import Config

Floats = npt.NDArray[np.float64]
Method = Literal["none", "temperature", "platt", "isotonic"]
STEEPNESS = (1e-3, 1e3)  # of a fitted sigmoid: it never turns the order, and films that separate wholly end somewhere


class Sigmoid(Config):
    """σ(``slope`` · z + ``offset``): nothing is fitted at 1 and 0, a temperature T is slope 1 / T and offset 0."""

    kind: Literal["sigmoid"] = "sigmoid"
    slope: float = Field(default=1.0, gt=0)
    offset: float = 0.0

    def __call__(self, logits: Floats) -> Floats:
        """Probabilities in 0..1, of the shape of ``logits``."""
        return np.asarray(expit(self.slope * logits + self.offset))


class Isotonic(Config):
    """The rising line through (``logits``, ``probability``), straight between them and level outside."""

    kind: Literal["isotonic"] = "isotonic"
    logits: tuple[float, ...] = Field(min_length=1)  # rising
    probability: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1)  # never falling

    def __call__(self, logits: Floats) -> Floats:
        """Probabilities in 0..1, of the shape of ``logits``."""
        return np.interp(logits, self.logits, self.probability)


Calibration = Annotated[Sigmoid | Isotonic, Field(discriminator="kind")]
_ANY: TypeAdapter[Sigmoid | Isotonic] = TypeAdapter(Calibration)


def read_calibration(values: dict[str, Any] | None) -> Sigmoid | Isotonic:
    """The calibration that an adapter's card holds; the plain sigmoid where it holds none."""
    return _ANY.validate_python(values) if values else Sigmoid()


def calibrate(method: Method, target: Floats, logits: Floats) -> Sigmoid | Isotonic:
    """Fit on films [N] whose ``target`` is known (1, 0), both at least once."""
    if method == "none":
        return Sigmoid()
    if method == "isotonic":
        return _isotonic(target, logits)
    return _sigmoid(target, logits, with_offset=method == "platt")


def _sigmoid(target: Floats, logits: Floats, *, with_offset: bool) -> Sigmoid:
    """Lowest cross-entropy against Platt's targets, (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) in place of 1 and 0.

    Without them a label whose films separate would be called with certainty. The search is for ln slope and offset.
    """
    n_positive, n_negative = float((target == 1).sum()), float((target == 0).sum())
    truth = np.where(target == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def objective(slope_offset: Floats) -> tuple[float, Floats]:
        slope, offset = slope_offset
        z = slope * logits + offset
        residual = (expit(z) - truth) / len(z)
        gradient = np.array([residual @ logits, residual.sum() if with_offset else 0.0])
        return float(np.mean(np.logaddexp(0, z) - truth * z)), gradient

    # Logits of any scale: the search runs in units of their spread, where the objective is round.
    spread = float(logits.std()) or 1.0
    middle = float(logits.mean()) if with_offset else 0.0

    def rescaled(parameters: Floats) -> tuple[float, Floats]:
        slope = parameters[0] / spread
        value, (by_slope, by_offset) = objective(np.array([slope, parameters[1] - slope * middle]))
        return value, np.array([(by_slope - middle * by_offset) / spread, by_offset])

    bounds = [(STEEPNESS[0] * spread, STEEPNESS[1] * spread), (None, None) if with_offset else (0.0, 0.0)]
    start = np.array([np.clip(1.0, *bounds[0]), 0.0])
    options = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(rescaled, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    slope = float(found[0]) / spread
    return Sigmoid(slope=slope, offset=float(found[1]) - slope * middle)


def _isotonic(target: Floats, logits: Floats) -> Isotonic:
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, target)
    return Isotonic(logits=tuple(map(float, fitted.X_thresholds_)), probability=tuple(map(float, fitted.y_thresholds_)))
