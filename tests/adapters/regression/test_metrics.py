import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from adapters.regression.metrics import Agreement, undefined_reason


def test_figures_are_those_of_scikit_learn_and_numpy() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 50):
        target = rng.normal(50, 20, n)
        prediction = target + rng.normal(3, 8, n)
        figures = Agreement.of(np.append(target, np.nan), np.append(prediction, 1e6))  # the unknown film adds nothing
        assert figures.mae == pytest.approx(mean_absolute_error(target, prediction))
        assert figures.rmse == pytest.approx(root_mean_squared_error(target, prediction))
        assert figures.r2 == pytest.approx(r2_score(target, prediction))
        covariance = np.mean((target - target.mean()) * (prediction - prediction.mean()))
        assert figures.pearson == pytest.approx(covariance / target.std() / prediction.std())
        error = prediction - target
        spread = np.sqrt(((error - error.mean()) ** 2).sum() / (n - 1))
        assert figures.bias == pytest.approx(error.mean())
        assert figures.limits_low == pytest.approx(error.mean() - 1.959964 * spread, rel=1e-5)
        assert figures.limits_high == pytest.approx(error.mean() + 1.959964 * spread, rel=1e-5)
        assert undefined_reason(target, prediction) is None


def test_what_is_undefined_is_none_with_its_reason() -> None:
    unknown, one = np.array([np.nan, np.nan]), np.array([3.0, np.nan])
    said = np.array([2.0, 5.0])
    assert Agreement.of(unknown, said) == (None,) * 7
    assert undefined_reason(unknown, said) == "undefined: no film has a known value"
    assert Agreement.of(one, said) == (1.0, 1.0, None, None, -1.0, None, None)
    assert "one film" in str(undefined_reason(one, said))
    constant = Agreement.of(np.array([4.0, 4.0]), said)
    assert (constant.mae, constant.r2, constant.pearson, constant.bias) == (1.5, None, None, -0.5)
    assert "all known values are equal" in str(undefined_reason(np.array([4.0, 4.0]), said))
    flat = Agreement.of(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert (flat.r2, flat.pearson, flat.limits_low) == (0.0, None, pytest.approx(-1.959964 * 2**0.5))
    assert "all predictions are equal" in str(undefined_reason(np.array([1.0, 3.0]), np.array([2.0, 2.0])))
