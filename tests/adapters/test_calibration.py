import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from adapters.calibration import Isotonic, Sigmoid, calibrate, read_calibration
from adapters.metrics import brier, expected_calibration_error


def _films(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too steep and shifted: what an overfitted head gives."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n)
    return (rng.random(n) < expit(logits)).astype(float), 3 * logits + 2


def _platt_targets(target: np.ndarray) -> np.ndarray:
    positive, negative = (target == 1).sum(), (target == 0).sum()
    return np.where(target == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))


def test_platt_equals_scikit_learns_regression_on_platts_targets() -> None:
    target, logits = _films()
    found = calibrate("platt", target, logits)
    smooth = _platt_targets(target)
    rows = np.concatenate([logits, logits])[:, None]
    truth = np.concatenate([np.ones(len(logits)), np.zeros(len(logits))])
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10000)
    reference.fit(rows, truth, sample_weight=np.concatenate([smooth, 1 - smooth]))
    assert isinstance(found, Sigmoid)
    assert found.slope == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    assert found.offset == pytest.approx(reference.intercept_[0], rel=1e-3, abs=1e-4)


def test_temperature_equals_a_search_over_it_alone() -> None:
    target, logits = _films(seed=1)
    smooth = _platt_targets(target)

    def loss(log_t: float) -> float:
        z = logits / np.exp(log_t)
        return float(np.mean(np.logaddexp(0, z) - smooth * z))

    found = calibrate("temperature", target, logits)
    assert isinstance(found, Sigmoid)
    assert found.offset == 0
    assert 1 / found.slope == pytest.approx(np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x), rel=1e-3)


def test_isotonic_equals_scikit_learn_also_outside_and_at_ties() -> None:
    target, logits = _films(seed=2)
    logits = np.round(logits)  # many ties
    found = calibrate("isotonic", target, logits)
    reference = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, target)
    asked = np.linspace(-30, 30, 301)
    np.testing.assert_allclose(found(asked), reference.predict(asked), atol=1e-12)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_calibration_lowers_brier_and_ece_on_films_it_has_not_seen(method: str) -> None:
    (target, logits), (other, unseen) = _films(2000), _films(2000, seed=9)
    calibration = calibrate(method, target, logits)  # type: ignore[arg-type]
    before, after = expit(unseen), calibration(unseen)
    assert (brier(other, after) or 0) < (brier(other, before) or 0) - 0.02
    bound = 0.12 if method == "temperature" else 0.05  # a temperature cannot undo the shift
    assert (expected_calibration_error(other, after) or 1) < bound < (expected_calibration_error(other, before) or 0)
    assert roc_auc_score(other, after) == pytest.approx(roc_auc_score(other, unseen), abs=0.01)
    assert read_calibration(calibration.resolved()) == calibration  # plain JSON and back


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
@pytest.mark.parametrize(
    ("target", "logits"),
    [
        ([0, 0, 1, 1], [-9.0, -8, 8, 9]),  # separate wholly
        ([1, 1, 0, 0], [-9.0, -8, 8, 9]),  # the wrong way round
        ([0, 1, 0, 1], [2.0, 2, 2, 2]),  # one value
        ([0, 1], [1e4, 1e4 + 1]),
    ],
)
def test_degenerate_films_give_probabilities_that_never_turn_the_order(
    method: str, target: list[int], logits: list[float]
) -> None:
    calibration = calibrate(method, np.array(target, float), np.array(logits))  # type: ignore[arg-type]
    found = calibration(np.linspace(-20, 20, 41))
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


def test_brier_and_ece_equal_scikit_learn_and_leave_unknown_out() -> None:
    rng = np.random.default_rng(0)
    target, p = rng.integers(0, 2, 300).astype(float), rng.random(300)
    p[:3] = 0.0, 1.0, 0.1
    assert brier(target, p) == pytest.approx(brier_score_loss(target, p))
    share, mean = calibration_curve(target, p, n_bins=10)
    films = np.histogram(np.where(p == 0, 0.05, p - 1e-12), bins=10, range=(0, 1))[0]
    assert expected_calibration_error(target, p) == pytest.approx(float((np.abs(share - mean) * films).sum() / 300))
    half = np.where(np.arange(300) % 2 == 0, target, np.nan)
    assert brier(half, p) == pytest.approx(brier_score_loss(target[::2], p[::2]))
    assert brier(np.full(3, np.nan), p[:3]) is None
    assert expected_calibration_error(np.full(3, np.nan), p[:3]) is None


def test_nothing_fitted_is_the_plain_sigmoid() -> None:
    assert calibrate("none", np.array([0.0, 1.0]), np.array([0.0, 1.0])) == Sigmoid() == read_calibration({})
    assert Sigmoid()(np.array([0.0]))[0] == 0.5
    assert isinstance(read_calibration({"kind": "isotonic", "logits": [0.0], "probability": [0.5]}), Isotonic)
