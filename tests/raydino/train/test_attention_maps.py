"""Attention maps against attention written out, colours against scikit-learn's PCA."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.train.attention_maps import attention_rollout, class_attention, patch_colours


@pytest.mark.parametrize("backend", ["plain", "sdpa"])
@pytest.mark.parametrize("n_registers", [0, 3])
def test_class_attention_is_that_of_the_last_block(backend, n_registers):
    config = ViTConfig(
        image_size=32, patch_size=8, embed_dim=24, depth=3, n_heads=4, n_registers=n_registers, layerscale_init=1.0
    )
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(0)).double()
    vit.use_attention(backend, torch.device("cpu"))
    images = torch.randn(2, 1, 32, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    got = class_attention(vit, images)
    assert got.shape == (2, 4, 4, 6)

    inputs = []
    vit.blocks[-1].register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    with torch.no_grad():
        vit(images)
    block, tokens = vit.blocks[-1], inputs[0]
    for image in range(2):
        projected = block.attn.qkv(block.norm1(tokens[image]))  # [T, 3 D]
        for head in range(4):
            query = projected[0, head * 6 : head * 6 + 6]
            keys = projected[:, 24 + head * 6 : 24 + head * 6 + 6]
            weights = torch.softmax(keys @ query / 6**0.5, dim=0)
            expected = weights[1 + n_registers :].reshape(4, 6)
            assert torch.allclose(got[image, head].double(), expected, atol=1e-6)
    assert not block.attn.qkv._forward_hooks


def test_colours_are_principal_components():
    rng = np.random.default_rng(0)
    patches, brightness = rng.normal(size=(3, 4, 5, 7)) * [5, 3, 2, 1, 1, 1, 1], rng.random((3, 4, 5))
    got = patch_colours(patches, brightness)
    components = PCA(3, svd_solver="full").fit_transform(patches.reshape(-1, 7))
    for k in range(3):
        expected = components[:, k] * np.sign(components[:, k] @ (brightness.ravel() - brightness.mean()))
        low, high = np.percentile(expected, [2, 98])
        assert got[..., k].ravel() == pytest.approx(((expected - low) / (high - low)).clip(0, 1), abs=1e-9)
    assert got == pytest.approx(patch_colours(-patches, brightness), abs=1e-9)  # signs do not matter


def test_colours_of_tokens_that_are_all_alike_and_of_few_dimensions():
    assert np.isfinite(patch_colours(np.ones((2, 3, 3, 5)), np.ones((2, 3, 3)))).all()
    assert patch_colours(np.random.default_rng(0).normal(size=(2, 3, 3, 2)), np.ones((2, 3, 3))).shape == (2, 3, 3, 3)


def test_rollout_is_the_product_of_the_blocks_matrices():
    vit = VisionTransformer(
        ViTConfig(image_size=32, patch_size=8, embed_dim=16, depth=3, n_heads=2, n_registers=1, layerscale_init=1.0)
    ).initialise(torch.Generator().manual_seed(0))
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    tokens, grid = vit.embed(images)
    flow = torch.eye(tokens.shape[1], dtype=torch.float64)
    for block in vit.blocks:
        with torch.no_grad():
            normed = block.norm1(tokens)
            query, key, _ = block.attn.qkv(normed).view(2, -1, 3, 2, 8).permute(2, 0, 3, 1, 4).double()
            weights = (query @ key.transpose(-2, -1) / 8**0.5).softmax(-1)
            flow = (weights.mean(1) + torch.eye(tokens.shape[1])) / 2 @ flow
            tokens = block(tokens)
    got = attention_rollout(vit, images)
    assert got.shape == (2, *grid)
    assert got.flatten(1).double() == pytest.approx(flow[:, 0, 2:].numpy(), abs=1e-6)
    assert (got.sum((1, 2)) < 1).all()
