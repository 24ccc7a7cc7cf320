"""The encoder artifact: loads what was saved, refuses what does not belong together."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from raydino.artifacts.header import HEADER_NAME
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.export.hf import export_hf
from raydino.features import embed, extract, load_features
from raydino.testing.tiny import tiny_dataset, tiny_encoder


@pytest.fixture
def directory(tmp_path):
    tiny_encoder(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_frozen_and_shaped(directory):
    encoder = Encoder.load(directory)
    side, grid = encoder.spec.image_size, encoder.spec.grid
    output = encoder(torch.rand(3, 1, side, side))
    assert output.cls.shape == (3, encoder.spec.embed_dim)
    assert output.registers.shape == (3, encoder.spec.n_registers, encoder.spec.embed_dim)
    assert output.patches.shape == (3, grid, grid, encoder.spec.embed_dim)
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not output.cls.requires_grad


def test_same_content_same_fingerprint(tmp_path):
    one, other = tiny_encoder(tmp_path / "a"), tiny_encoder(tmp_path / "b")
    assert Encoder.load(tmp_path / "a").spec == Encoder.load(tmp_path / "b").spec
    assert one.spec.fingerprint == other.spec.fingerprint


def test_changed_weights_fail_the_golden_check(directory):
    weights = load_file(directory / "model.safetensors")
    weights["layernorm.bias"] += 0.5
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="does not reproduce its golden output"):
        Encoder.load(directory)


def test_weights_of_another_size(directory):
    card = json.loads((directory / "encoder.json").read_text())
    card["vit"]["depth"] += 1
    (directory / "encoder.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="its weights do not fit its config"):
        Encoder.load(directory)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("version", 99, "encoder of schema version 99; this raydino reads version 1"), ("schema", "audit", "'audit'")],
)
def test_another_schema_or_version(directory, field, value, message):
    header = json.loads((directory / HEADER_NAME).read_text())
    (directory / HEADER_NAME).write_text(json.dumps({**header, field: value}))
    with pytest.raises(UserError, match=message):
        Encoder.load(directory)


def test_export_gives_the_same_tokens_and_fingerprint(directory, tmp_path):
    assert export_hf(directory, tmp_path / "hf") <= 1e-5
    assert Encoder.load(tmp_path / "hf").spec == Encoder.load(directory).spec
    with pytest.raises(UserError, match="already exists"):
        export_hf(directory, tmp_path / "hf")


@pytest.mark.parametrize("blocks", [(-1,), (-2, -1)])
def test_features_cached_equal_features_live(directory, tmp_path, blocks):
    dataset, encoder = tiny_dataset(tmp_path / "dataset"), Encoder.load(directory)
    ids = dataset.sample_ids()
    assert embed(tmp_path / "features", encoder, dataset, batch_size=5, blocks=blocks) == len(ids)
    live = extract(encoder, dataset, ids, batch_size=5, blocks=blocks)
    cached = load_features(tmp_path / "features", encoder=encoder.spec, dataset=dataset)
    assert cached.sample_ids == ids
    assert cached.blocks == blocks
    wanted = ids[7:2:-1]
    alone = extract(encoder, dataset, wanted, batch_size=64, blocks=blocks)
    for one, other, third in zip(live.output, cached.output, cached.select(wanted).output, strict=True):
        assert torch.equal(one, other)
        assert third.shape[0] == len(wanted)
    for one, other in zip(alone.output, cached.select(wanted).output, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_tokens_of_several_blocks_stand_side_by_side(directory):
    encoder = Encoder.load(directory)
    images = torch.rand(2, 1, *2 * [encoder.spec.image_size], generator=torch.Generator().manual_seed(3))
    width = encoder.spec.embed_dim
    both = encoder(images, (-2, -1))
    for one, other in zip(both.blocks([1], width), encoder(images), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(
        both.blocks([0], width), encoder.intermediate(images, [encoder.spec.depth - 2])[0], strict=True
    ):
        assert torch.equal(one, other)
    for one, other in zip(both.blocks([1, 0], width), encoder(images, (-1, -2)), strict=True):
        assert torch.equal(one, other)
    assert both.blocks([0, 1], width) is both
    with pytest.raises(UserError, match="no block -97"):
        encoder(images, (-99, -1))


def test_blocks_that_the_features_lack_are_named(directory, tmp_path):
    dataset, encoder = tiny_dataset(tmp_path / "dataset"), Encoder.load(directory)
    features = extract(encoder, dataset, dataset.sample_ids()[:2], blocks=(-2, -1))
    assert features.places((-1,)) == [1]
    with pytest.raises(UserError, match=r"hold the encoder's blocks \[-2, -1\], not -3; run .* --blocks=-3,-1"):
        features.places((-3, -1))


def test_features_of_another_encoder_are_refused(directory, tmp_path):
    dataset, encoder = tiny_dataset(tmp_path / "dataset"), Encoder.load(directory)
    embed(tmp_path / "features", encoder, dataset)
    stranger = tiny_encoder(tmp_path / "stranger", seed=5)
    with pytest.raises(UserError, match="made with another encoder"):
        load_features(tmp_path / "features", encoder=stranger.spec, dataset=dataset)


def test_another_pixel_recipe_is_refused(directory, tmp_path):
    dataset, encoder = tiny_dataset(tmp_path / "dataset"), Encoder.load(directory)
    dataset.header.config["pixels"]["shorter_side"] = 999
    with pytest.raises(UserError, match=r"another pixel recipe than the encoder's \(shorter_side 999 instead of"):
        extract(encoder, dataset, dataset.sample_ids())


def test_an_encoder_at_another_size(directory, tmp_path):
    dataset, encoder = tiny_dataset(tmp_path / "dataset"), Encoder.load(directory)
    larger = encoder.at(48)
    assert (larger.spec.grid, encoder.spec.grid) == (6, 4)
    assert larger.spec.fingerprint == encoder.spec.fingerprint
    assert encoder.at(None).spec == encoder.at(32).spec == encoder.spec
    ids = dataset.sample_ids()[:3]
    features = extract(larger, dataset, ids)
    assert features.output.patches.shape == (3, 6, 6, 32)
    features.require_size(larger.spec)
    with pytest.raises(UserError, match="of films at 48 pixels, not 32; run raydino embed again with --image-size 32"):
        features.require_size(encoder.spec)
    with pytest.raises(UserError, match="image_size 50; a multiple of the encoder's patch size, 8"):
        encoder.at(50)
    embed(tmp_path / "features", larger, dataset)
    cached = load_features(tmp_path / "features", encoder=encoder.spec, dataset=dataset).select(ids)
    for one, other in zip(cached.output, features.output, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
