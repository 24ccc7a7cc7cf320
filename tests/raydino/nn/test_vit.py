"""The ViT equals transformers' Dinov2 models, token by token, at its own and at another resolution."""

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from raydino.config import parse_config
from raydino.errors import UserError
from raydino.nn.hf_layout import from_hf, hf_config, to_hf
from raydino.nn.vit import VisionTransformer, ViTConfig

SIZES = {"image_size": 64, "patch_size": 16, "embed_dim": 32, "depth": 2, "n_heads": 4, "layerscale_init": 0.5}


def vit(**sizes) -> VisionTransformer:
    config = ViTConfig(**{**SIZES, **sizes})
    return VisionTransformer(config).initialise(torch.Generator().manual_seed(0)).eval()


def official(model: VisionTransformer):
    values = hf_config(model.config)
    kind = (
        (Dinov2WithRegistersConfig, Dinov2WithRegistersModel)
        if model.config.n_registers
        else (Dinov2Config, Dinov2Model)
    )
    return kind[1](kind[0](**{k: v for k, v in values.items() if k not in ("architectures", "dtype")})).eval()


@pytest.mark.parametrize("sizes", [{}, {"n_registers": 3}, {"ffn": "swiglu"}, {"channels": 3, "patch_size": 8}])
@pytest.mark.parametrize("resolution", [64, 96])
def test_equals_transformers(sizes, resolution, tmp_path):
    ours = vit(**sizes)
    theirs = official(ours)
    theirs.save_pretrained(tmp_path)  # writes the classic names on disk
    from safetensors.torch import load_file, save_file

    assert set(load_file(tmp_path / "model.safetensors")) == set(to_hf(ours.state_dict()))
    save_file(to_hf(ours.state_dict()), tmp_path / "model.safetensors", metadata={"format": "pt"})
    theirs = type(theirs).from_pretrained(tmp_path).eval()
    images = torch.rand(2, ours.config.channels, resolution, resolution, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        tokens = ours(images)
        expected = theirs(pixel_values=images).last_hidden_state
    joined = torch.cat([tokens.cls[:, None], tokens.registers, tokens.patches.flatten(1, 2)], dim=1)
    assert joined.shape == expected.shape
    torch.testing.assert_close(joined, expected, atol=1e-5, rtol=0)


def test_hf_layout_round_trip():
    ours = vit(n_registers=2, ffn="swiglu")
    restored = from_hf(to_hf(ours.state_dict()), ours.config)
    assert restored.keys() == ours.state_dict().keys()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(restored[name], tensor), name


def test_masked_patches_are_not_seen():
    ours = vit()
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    masks = torch.zeros(1, 16, dtype=torch.bool)
    masks[0, 5] = True  # patch row 1, column 1
    changed = images.clone()
    changed[:, :, 16:32, 16:32] += 1.0
    assert torch.equal(ours(images, masks).cls, ours(changed, masks).cls)
    assert not torch.equal(ours(images).cls, ours(changed).cls)


def test_patches_stand_in_rows_of_the_film():
    ours = vit()
    images = torch.zeros(1, 1, 64, 64)
    brighter = images.clone()
    brighter[:, :, 48:, 16:32] = 1.0  # last row of patches, second column
    with torch.no_grad():
        change = (ours.patch_embed(brighter) - ours.patch_embed(images)).abs().sum(1)[0]
    assert change[3, 1] > 0
    assert change.count_nonzero() == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"image_size": 65}, "not a multiple of patch_size"), ({"embed_dim": 30}, "not a multiple of n_heads")],
)
def test_impossible_sizes(wrong, reason):
    with pytest.raises(UserError, match=reason):
        parse_config({**SIZES, **wrong}, ViTConfig)


def test_intermediate_blocks():
    ours = vit(depth=4, n_registers=2)
    images = torch.rand(2, 1, 96, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for cut in (1, 3):  # a ViT of the first blocks alone says what the whole one says in between
            short = vit(depth=cut, n_registers=2)
            short.load_state_dict({name: t for name, t in ours.state_dict().items() if name in short.state_dict()})
            for found, expected in zip(ours.intermediate(images, [cut - 1])[0], short(images), strict=True):
                assert torch.equal(found, expected)
        last, first = ours.intermediate(images, [3, 0])
        assert torch.equal(last.patches, ours(images).patches)
        assert torch.equal(first.cls, ours.intermediate(images, [0, 1])[0].cls)
        assert ours.intermediate(images, []) == []
    with pytest.raises(UserError, match="no block 4; blocks are counted from 0 to 3"):
        ours.intermediate(images, [0, 4])


def test_positions_are_resized_as_told():
    images = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(4))
    default, with_registers = vit()(images).cls, vit(n_registers=1)(images).cls
    assert torch.equal(default, vit(position_resize="size")(images).cls)
    assert torch.equal(with_registers, vit(n_registers=1, position_resize="antialias")(images).cls)
    assert not torch.equal(default, vit(position_resize="offset")(images).cls)
