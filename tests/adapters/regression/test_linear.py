import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge

import adapters.batches
from adapters.batches import FilmFeatures
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import Fitted, fit
from adapters.predict import predict
from adapters.registry import ADAPTERS
from adapters.regression.targets import continuous_columns, value_targets
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, Predictions
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features
from raydino.readout import readout


def _config(values: dict[str, Any], **recipe: Any) -> Any:
    values = {**values, "recipe": {**values["recipe"], **recipe}}
    return ADAPTERS.get(values["kind"]).config_model.model_validate(values)


@pytest.fixture
def fitted(regression_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features) -> Fitted:
    return fit(_config(regression_values), encoder, dataset, features)


def test_columns_are_the_age_and_the_measurements(dataset: Dataset) -> None:
    assert continuous_columns(dataset) == ["age_years", "cardiothoracic_ratio"]
    ids = dataset.sample_ids("val")
    values = value_targets(dataset, ids, ["cardiothoracic_ratio", "age_years", "nothing"])
    assert values.shape == (len(ids), 3)
    expected = dataset.demographics["age_years"].loc[ids].to_numpy(np.float32)
    np.testing.assert_array_equal(values[:, 1].numpy(), expected)
    assert values[:, 2].isnan().all()
    ratio = dataset.measurements["cardiothoracic_ratio"].loc[ids].to_numpy(np.float32)
    np.testing.assert_array_equal(values[:, 0].numpy(), ratio)
    assert np.isnan(ratio).any()


def test_a_dataset_without_measurements_opens(dataset: Dataset, tmp_path: Path) -> None:
    for path in dataset.path.iterdir():
        if path.name != "measurements.parquet":
            (tmp_path / path.name).symlink_to(path)
    assert continuous_columns(Dataset.open(tmp_path)) == ["age_years"]


def test_the_ratio_is_learnt_in_its_own_unit(fitted: Fitted, dataset: Dataset, features: Features) -> None:
    ids = dataset.sample_ids("test")
    evaluation = fitted.adapter.evaluate(dataset, FilmFeatures(features, ids))
    figures = evaluation.per_label["cardiothoracic_ratio"]
    assert list(evaluation.table["sample_id"]) == ids
    known = evaluation.table["target"].notna()
    assert figures["n_known"] == known.sum() < len(ids)
    assert figures["mae"] == pytest.approx(
        (evaluation.table["prediction"] - evaluation.table["target"]).abs()[known].mean()
    )
    assert figures["r2"] is not None
    assert figures["r2"] > 0.5
    assert evaluation.headline == pytest.approx(figures["r2"])
    train = value_targets(dataset, dataset.sample_ids("train"), ["cardiothoracic_ratio"])
    assert 0.3 < float(fitted.adapter.mean) < 0.8
    assert float(fitted.adapter.std) == pytest.approx(float(np.nanstd(train.numpy())), rel=0.1)


def test_the_square_loss_is_least_where_ridge_regression_of_scikit_learn_is(
    regression_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    config = _config(regression_values, loss="mse", l2=[0.5], readout="grid_2")
    adapter = ADAPTERS.get(config.kind).begin(config, encoder.spec, dataset)
    values = value_targets(dataset, dataset.sample_ids("train"), adapter.labels)
    ids = [s for s, known in zip(dataset.sample_ids("train"), values.isfinite()[:, 0].tolist(), strict=True) if known]
    values = values[values.isfinite()[:, 0]]
    films = FilmFeatures(features, ids)
    adapter.observe(films, values)
    output = films.read(torch.arange(len(ids)))
    optimiser = torch.optim.LBFGS(adapter.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        total = (adapter.loss(output, values).mean(0) + adapter.penalty()).sum()
        total.backward()
        return total

    optimiser.step(step)
    rows, target = readout(output, "grid_2").double().numpy(), values[:, 0].double().numpy()
    rows = (rows - rows.mean(0)) / rows.std(0)
    # mean squared error + λ/2 ‖w‖² is Ridge's sum of squares + n λ/2 ‖w‖²
    ridge = Ridge(alpha=len(ids) * 0.5 / 2).fit(rows, (target - target.mean()) / target.std())
    said = adapter.predict(output)
    np.testing.assert_allclose(said.standardised[:, 0].numpy(), ridge.predict(rows), atol=2e-3)
    in_its_unit = target.mean() + target.std() * said.standardised[:, 0].numpy()
    np.testing.assert_allclose(said.value[:, 0].numpy(), in_its_unit, rtol=1e-4)


def test_unknown_values_add_nothing_and_each_loss_is_its_formula(
    regression_values: dict[str, Any], encoder: Encoder, dataset: Dataset
) -> None:
    output = encoder(torch.rand(2, 1, 32, 32))
    target = torch.tensor([[70.0, torch.nan], [torch.nan, torch.nan]])
    for loss, formula in (("mse", F.mse_loss), ("huber", F.huber_loss)):
        config = _config(regression_values, columns=["age_years", "cardiothoracic_ratio"], loss=loss)
        adapter = ADAPTERS.get(config.kind).begin(config, encoder.spec, dataset)
        adapter.mean.copy_(torch.tensor([50.0, 0.5]))
        adapter.std.copy_(torch.tensor([8.0, 0.1]))
        losses = adapter.loss(output, target)
        assert losses.shape == (2, 2)  # films × penalties
        said = adapter.standardised_BHL(output)[0, :, 0]
        expected = torch.stack([formula(one, torch.tensor(20.0 / 8)) for one in said])
        torch.testing.assert_close(losses[0], expected)
        assert losses[1].tolist() == [0.0, 0.0]
        assert adapter.known(target).tolist() == [True, False]


def test_live_or_cached_order_and_batch_size_change_nothing(
    fitted: Fitted, encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path, monkeypatch: Any
) -> None:
    def table(name: str, given: Features | None) -> pd.DataFrame:
        with creating(tmp_path / name, PREDICTIONS, config={"task": "regression"}) as directory:
            predict(fitted.adapter, encoder, dataset, "test", directory, given)
        return Predictions.open(tmp_path / name).table

    cached, live = table("cached", features), table("live", None)
    monkeypatch.setattr(adapters.batches.FilmFeatures.batches, "__defaults__", (3,))
    small = table("small", features.select(features.sample_ids[::-1]))
    assert list(cached.columns) == ["sample_id", "patient_id", "split", "task", "label", "target", "prediction"]
    for other in (live, small):
        pd.testing.assert_frame_equal(cached, other, rtol=1e-4, atol=1e-5)


def test_a_bundle_predicts_the_same_in_a_fresh_process(
    fitted: Fitted, encoder: Encoder, encoder_path: Path, tmp_path: Path
) -> None:
    with creating(tmp_path / "adapter", ADAPTER) as directory:
        write_bundle(directory, fitted.adapter, fitted.metrics)
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    script = (
        "import torch, json\n"
        "from adapters.bundle import load_adapter\n"
        "from raydino.encoder import Encoder\n"
        f"encoder = Encoder.load({str(encoder_path)!r})\n"
        f"adapter = load_adapter({str(tmp_path / 'adapter')!r}, encoder.spec)\n"
        "images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))\n"
        "print(json.dumps(adapter.predict(encoder(images)).value.tolist()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    expected = fitted.adapter.predict(encoder(images)).value
    np.testing.assert_allclose(json.loads(done.stdout), expected.numpy(), rtol=1e-5)
    with pytest.raises(UserError, match="fitted on another encoder"):
        load_adapter(tmp_path / "adapter", dataclasses.replace(encoder.spec, fingerprint="f" * 64))


def test_faults_are_one_line(
    regression_values: dict[str, Any], fitted: Fitted, encoder: Encoder, dataset: Dataset
) -> None:
    output = encoder(torch.rand(2, 1, 32, 32))
    with pytest.raises(UserError, match="the batch is empty"):
        fitted.adapter.predict(type(output)(*(t[:0] for t in output)))
    config = _config(regression_values, columns=["age_year"])
    with pytest.raises(UserError, match="holds no continuous columns called 'age_year'; did you mean 'age_years'"):
        ADAPTERS.get(config.kind).begin(config, encoder.spec, dataset)


def test_only_films_that_teach_decide_what_can_be_learnt(
    regression_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    """A column that is known, or varies, outside of ``only`` alone must not be fitted."""
    men = dataset.demographics["sex"].reindex(dataset.measurements.index) == "M"
    measured = dataset.measurements.assign(cardiothoracic_ratio=lambda t: t["cardiothoracic_ratio"].mask(men, 0.5))
    narrowed = dataclasses.replace(dataset)
    narrowed.__dict__["measurements"] = measured
    columns = {"columns": ["age_years", "cardiothoracic_ratio"], "only": ["sex=M"]}
    fitted = fit(_config(regression_values, **columns), encoder, narrowed, features)
    assert fitted.adapter.labels == ("age_years",)
    assert fitted.adapter.left_out == {"cardiothoracic_ratio": "left out: train holds 1 different values of it"}
