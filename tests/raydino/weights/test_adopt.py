"""Imported weights as an encoder: the tokens of transformers for a grey film, folded or not."""

import json

import pytest
import torch
from transformers import AutoModel

from raydino.artifacts.header import read_header
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.weights.adopt import adopt, prepare
from raydino.weights.sources import IMAGENET_MEAN, IMAGENET_STD, read_vit


@pytest.fixture
def source(tmp_path, random_dinov2, official_layout):
    """An official ViT-Ti/14 for 112 pixels with two blocks, and transformers' model of the same."""
    model = random_dinov2(image_size=112, n_registers=4)
    torch.save(official_layout(model), tmp_path / "official.pth")
    return tmp_path / "official.pth", model


def films(side=112):
    return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(5))


def normalised(images, mean, std):
    """Three copies; a single value is that of each channel."""
    pairs = zip(mean * (3 // len(mean)), std * (3 // len(std)), strict=True)
    return torch.cat([(images - m) / s for m, s in pairs], dim=1)


@torch.no_grad()
def assert_same_tokens(output, model, pixels):
    expected = model(pixel_values=pixels).last_hidden_state
    found = torch.cat([output.cls[:, None], output.registers, output.patches.flatten(1, 2)], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("mean", "std"), [([], []), ([0.5, 0.3, 0.4], [0.2, 0.3, 0.25]), ([0.53], [0.26])])
def test_a_grey_film_gives_the_tokens_of_its_rgb_copy(source, tmp_path, channels, mean, std):
    path, model = source
    adopt(prepare(read_vit(path), channels=channels, mean=mean, std=std), tmp_path / "encoder")
    encoder = Encoder.load(tmp_path / "encoder")
    assert encoder.vit.config.channels == channels
    pixels = normalised(films(), mean or IMAGENET_MEAN, std or IMAGENET_STD)
    assert_same_tokens(encoder(films()), model, pixels)


def test_the_artifact_opens_with_transformers_too(source, tmp_path):
    path, _ = source
    for channels in (1, 3):
        out = tmp_path / f"encoder{channels}"
        adopt(prepare(read_vit(path), channels=channels), out)
        encoder = Encoder.load(out)
        model = AutoModel.from_pretrained(out).eval()
        assert_same_tokens(encoder(films()), model, encoder.normalise(films()))
        preprocessor = json.loads((out / "preprocessor_config.json").read_text())
        assert len(preprocessor["image_mean"]) == channels


def test_another_image_size_once_for_all(source, tmp_path):
    path, model = source
    adopt(prepare(read_vit(path), image_size=168), tmp_path / "encoder")
    encoder = Encoder.load(tmp_path / "encoder")
    assert (encoder.spec.image_size, encoder.spec.grid) == (168, 12)
    assert_same_tokens(encoder(films(168)), model, normalised(films(168), IMAGENET_MEAN, IMAGENET_STD))
    with pytest.raises(UserError, match="image size 170 is no multiple of the patch size 14; --image-size 168 or 182"):
        prepare(read_vit(path), image_size=170)


def test_where_it_comes_from_is_kept(source, tmp_path):
    path, _ = source
    vit = prepare(read_vit(path), image_size=56, position_resize="size")
    adopt(vit, tmp_path / "encoder")
    encoder = Encoder.load(tmp_path / "encoder")
    assert encoder.card.steps is None
    assert encoder.card.origin == {
        "format": "official DINOv2",
        "files": vit.origin["files"],
        "channels": 3,
        "image_size": 112,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }
    assert read_header(tmp_path / "encoder").inputs == vit.origin["files"]
    assert encoder.vit.config.position_resize == "size"


def test_intermediate_blocks_of_an_encoder(source, tmp_path):
    path, model = source
    adopt(prepare(read_vit(path), channels=3), tmp_path / "encoder")
    encoder = Encoder.load(tmp_path / "encoder")
    pixels = normalised(films(), IMAGENET_MEAN, IMAGENET_STD)
    first, last = encoder.intermediate(films(), [0, 1])
    assert_same_tokens(last, model, pixels)
    with torch.no_grad():
        after_first = model.layernorm(model(pixel_values=pixels, output_hidden_states=True).hidden_states[1])
    torch.testing.assert_close(first.cls, after_first[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "has 3 channels, not 2"),
        ({"mean": [0.5, 0.5]}, "2 values of mean for 3 channels"),
        ({"std": [0.2, 0.0, 0.1]}, "the std 0 is not above 0"),
    ],
)
def test_what_cannot_be(options, message, source):
    with pytest.raises(UserError, match=message):
        prepare(read_vit(source[0]), **options)


def test_a_directory_that_does_not_say_its_normalisation(tmp_path, random_dinov2):
    random_dinov2(image_size=56, num_channels=1).save_pretrained(tmp_path)
    vit = read_vit(tmp_path)
    with pytest.raises(UserError, match="does not say the mean of its pixels; give --mean and --std"):
        prepare(vit)
    ready = prepare(vit, mean=[0.5], std=[0.2])
    assert ready.config.channels == 1
    assert torch.equal(ready.state["patch_embed.weight"], vit.state["patch_embed.weight"])
