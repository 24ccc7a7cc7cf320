"""What holds for every segmentation head: nothing but the films decides, and a bundle says the same anywhere."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapters.base import Adapter
from adapters.batches import FilmFeatures
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import fit
from adapters.registry import ADAPTERS
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features, extract

HEADS = {
    "linear": ("segmentation_linear", {"blocks": [-1]}),
    "multilayer": ("segmentation_linear", {"blocks": [-2, -1]}),
    "conv": ("segmentation_conv", {"blocks": [-1], "width": 8, "detail": 2}),
    "conv of two blocks": ("segmentation_conv", {"blocks": [-2, -1], "width": 8, "detail": 2}),
    "upernet of one block": ("segmentation_upernet", {"blocks": [-1], "width": 16, "dropout": 0.1}),
    "upernet of two blocks": ("segmentation_upernet", {"blocks": [-2, -1], "width": 16, "dropout": 0.1}),
}


def _config(values: dict[str, Any], head: str, **changes: Any) -> Any:
    kind, recipe = HEADS[head]
    shared = {k: v for k, v in values["recipe"].items() if k not in ("width", "detail")}
    values = {**values, "kind": kind, "recipe": {**shared, "epochs": 8, **recipe, **changes}}
    return ADAPTERS.get(kind).config_model.model_validate(values)


@pytest.fixture(scope="module")
def both_blocks(encoder: Encoder, dataset: Dataset) -> Features:
    return extract(encoder, dataset, dataset.sample_ids(), blocks=(-2, -1))


@pytest.fixture(scope="module", params=list(HEADS))
def head(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def adapter(
    head: str, segmentation_values: dict[str, Any], encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> Adapter:
    return fit(_config(segmentation_values, head), encoder, dataset, both_blocks).adapter


def test_it_learns_and_nothing_but_the_films_decides(
    adapter: Any, head: str, dataset: Dataset, both_blocks: Features
) -> None:
    ids = dataset.sample_ids("test")
    blocks = adapter.config.recipe.blocks
    films = FilmFeatures(both_blocks, ids, blocks=blocks)
    dice = adapter.evaluate(dataset, films).per_label["lungs"]["dice"]
    assert dice > 0.5, head
    together = adapter.predict(films.read(torch.arange(len(ids)))).probability
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(1))
    shuffled = FilmFeatures(both_blocks, [ids[i] for i in order], blocks=blocks)
    one_by_one = torch.cat([adapter.predict(output).probability for _, output in shuffled.batches(1)])
    torch.testing.assert_close(one_by_one, together[order], rtol=1e-4, atol=1e-5)


def test_a_bundle_loads_and_refuses_what_it_does_not_fit(
    adapter: Any, encoder: Encoder, both_blocks: Features, dataset: Dataset, tmp_path: Path
) -> None:
    with creating(tmp_path / "adapter", ADAPTER) as directory:
        write_bundle(directory, adapter, {})
    loaded: Any = load_adapter(tmp_path / "adapter", encoder.spec)
    films = FilmFeatures(both_blocks, dataset.sample_ids("val"), blocks=adapter.config.recipe.blocks)
    output = films.read(torch.arange(3))
    assert torch.equal(loaded.predict(output).probability, adapter.predict(output).probability)
    assert loaded.thresholds == adapter.thresholds
    with pytest.raises(UserError, match="the batch is empty"):
        loaded.predict(type(output)(*(t[:0] for t in output)))
    with pytest.raises(UserError, match="tokens of width 16; this adapter was fitted on width"):
        loaded.predict(type(output)(*(t[..., :16] for t in output)))
    with pytest.raises(UserError, match="fitted on another encoder"):
        load_adapter(tmp_path / "adapter", dataclasses.replace(encoder.spec, fingerprint="f" * 64))


def test_a_fresh_process_says_the_same(
    segmentation_values: dict[str, Any],
    encoder: Encoder,
    encoder_path: Path,
    dataset: Dataset,
    both_blocks: Features,
    tmp_path: Path,
) -> None:
    config = _config(segmentation_values, "upernet of two blocks")
    adapter = fit(config, encoder, dataset, both_blocks).adapter
    with creating(tmp_path / "adapter", ADAPTER) as directory:
        write_bundle(directory, adapter, {})
    film = "torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))"
    script = (
        "import torch, json\n"
        "from adapters.bundle import load_adapter\n"
        "from raydino.encoder import Encoder\n"
        f"encoder = Encoder.load({str(encoder_path)!r})\n"
        f"adapter = load_adapter({str(tmp_path / 'adapter')!r}, encoder.spec)\n"
        f"print(json.dumps(adapter.predict(encoder({film}, (-2, -1))).probability.tolist()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = adapter.predict(encoder(images, (-2, -1))).probability
    np.testing.assert_allclose(json.loads(done.stdout), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_upernet_takes_one_two_or_four_blocks(segmentation_values: dict[str, Any]) -> None:
    assert _config(segmentation_values, "upernet of one block", blocks=[-9, -6, -3, -1]).recipe.blocks == (
        -9,
        -6,
        -3,
        -1,
    )
    with pytest.raises(ValueError, match="1, 2 or 4 blocks are needed; these are 3"):
        _config(segmentation_values, "upernet of one block", blocks=[-3, -2, -1])
    with pytest.raises(ValueError, match="multiple of 16"):
        _config(segmentation_values, "upernet of one block", width=24)


def test_upernet_gives_shallow_blocks_to_fine_levels(
    segmentation_values: dict[str, Any], encoder: Encoder, dataset: Dataset
) -> None:
    config = _config(segmentation_values, "upernet of two blocks")
    adapter = ADAPTERS.get(config.kind).begin(config, encoder.spec, dataset).eval()
    sizes: list[tuple[int, ...]] = []
    for lateral in adapter.laterals:
        lateral.register_forward_hook(lambda module, inputs, output: sizes.append((*inputs[0].shape, *output.shape)))
    patches = torch.randn(1, 64, 4, 4)
    assert adapter.low_logits(patches).shape == (1, 2, 16, 16)
    assert [size[-2:] for size in sizes] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    assert {size[1] for size in sizes} == {32}
    inputs: list[torch.Tensor] = []
    for lateral in adapter.laterals:
        lateral.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    adapter.low_logits(patches)
    assert [bool(torch.equal(given, patches[:, :32])) for given in inputs] == [True, True, False, False]
