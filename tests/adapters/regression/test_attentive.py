from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.batches import FilmFeatures
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import fit
from adapters.registry import ADAPTERS
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.features import Features


def test_it_starts_at_the_mean_learns_and_loads(
    attentive_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> None:
    cls = ADAPTERS.get("regression_attentive")
    config = cls.config_model.model_validate(attentive_values)
    unfitted = cls.begin(config, encoder.spec, dataset)
    films = FilmFeatures(features, dataset.sample_ids("val"))
    output = films.read(torch.arange(len(films)))
    assert not unfitted.standardised_BHL(output).any()
    adapter: Any = fit(config, encoder, dataset, features).adapter
    train = FilmFeatures(features, dataset.sample_ids("train"))  # 45 films are too few to ask for more than fit
    figures = adapter.evaluate(dataset, train).per_label["cardiothoracic_ratio"]
    assert figures["r2"] > 0.2
    one_by_one = torch.cat([adapter.predict(batch).value for _, batch in films.batches(1)])
    torch.testing.assert_close(one_by_one, adapter.predict(output).value, rtol=1e-4, atol=1e-5)
    with creating(tmp_path / "adapter", ADAPTER) as directory:
        write_bundle(directory, adapter, {})
    loaded: Any = load_adapter(tmp_path / "adapter", encoder.spec)
    assert torch.equal(loaded.predict(output).value, adapter.predict(output).value)


def test_heads_divide_the_width(attentive_values: dict[str, Any]) -> None:
    attentive_values["recipe"]["n_heads"] = 3
    with pytest.raises(ValueError, match="width 16 is no multiple of n_heads 3"):
        ADAPTERS.get("regression_attentive").config_model.model_validate(attentive_values)
