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
from raydino.encoder import Encoder, EncoderOutput
from raydino.features import Features


def test_it_starts_at_the_mean_and_a_bundle_says_the_same(
    attentive_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features, tmp_path: Path
) -> None:
    cls = ADAPTERS.get("regression_attentive")
    config = cls.config_model.model_validate(attentive_values)
    unfitted = cls.begin(config, encoder.spec, dataset)
    films = FilmFeatures(features, dataset.sample_ids("val"))
    output = films.read(torch.arange(len(films)))
    assert not unfitted.standardised_BHL(output).any()
    adapter: Any = fit(config, encoder, dataset, features).adapter
    one_by_one = torch.cat([adapter.predict(batch).value for _, batch in films.batches(1)])
    torch.testing.assert_close(one_by_one, adapter.predict(output).value, rtol=1e-4, atol=1e-5)
    with creating(tmp_path / "adapter", ADAPTER) as directory:
        write_bundle(directory, adapter, {})
    loaded: Any = load_adapter(tmp_path / "adapter", encoder.spec)
    assert torch.equal(loaded.predict(output).value, adapter.predict(output).value)


def test_it_finds_the_token_that_tells(attentive_values: dict[str, Any], encoder: Encoder, dataset: Dataset) -> None:
    """The value stands in one patch, which another feature marks; its place changes from film to film."""
    cls = ADAPTERS.get("regression_attentive")
    adapter = cls.begin(cls.config_model.model_validate(attentive_values), encoder.spec, dataset)
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(64, 1, generator=generator)
    patches = torch.randn(64, 16, 32, generator=generator)
    place = torch.arange(64) % 16
    patches[:, :, 0] = 0.0
    patches[torch.arange(64), place, 0] = 5.0
    patches[torch.arange(64), place, 1] = 3 * value[:, 0]
    output = EncoderOutput(torch.zeros(64, 32), torch.zeros(64, 1, 32), patches.unflatten(1, (4, 4)))
    optimiser = torch.optim.Adam(adapter.parameters(), lr=2e-2)
    for _ in range(150):
        optimiser.zero_grad()
        loss = adapter.loss(output, value).mean()
        loss.backward()
        optimiser.step()
    said = adapter(output)[:, 0].detach()
    assert float(torch.corrcoef(torch.stack([said, value[:, 0]]))[0, 1]) > 0.95


def test_heads_divide_the_width(attentive_values: dict[str, Any]) -> None:
    attentive_values["recipe"]["n_heads"] = 3
    with pytest.raises(ValueError, match="width 16 is no multiple of n_heads 3"):
        ADAPTERS.get("regression_attentive").config_model.model_validate(attentive_values)
