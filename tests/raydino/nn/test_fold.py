"""A ViT for RGB and the same one folded give equal tokens for grey films, in float64."""

import pytest
import torch

from raydino.nn.fold import fold_channels
from raydino.nn.vit import VisionTransformer, ViTConfig

RGB = ViTConfig(image_size=28, patch_size=7, embed_dim=16, depth=2, n_heads=2, layerscale_init=1.0, channels=3)


def double_vit(config: ViTConfig) -> VisionTransformer:
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(0)).double().eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in vit.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return vit


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),  # ImageNet
        ([0.5307, 0.5307, 0.5307], [0.2583, 0.2583, 0.2583]),  # RAD-DINO
        ([0.1, 0.9, -2.0], [0.5, 3.0, 0.01]),
    ],
)
@torch.no_grad()
def test_folded_equals_rgb(mean, std):
    rgb = double_vit(RGB)
    grey = torch.rand(2, 1, 28, 35, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    copied = torch.stack([(grey[:, 0] - m) / s for m, s in zip(mean, std, strict=True)], dim=1)
    folded = fold_channels(rgb.patch_embed.weight, rgb.patch_embed.bias, mean, std)
    one = VisionTransformer(RGB.model_copy(update={"channels": 1})).double().eval()
    state = rgb.state_dict() | {"patch_embed.weight": folded.weight, "patch_embed.bias": folded.bias}
    one.load_state_dict(state)
    assert folded.mean == pytest.approx(sum(mean) / 3)
    for found, expected in zip(one((grey - folded.mean) / folded.std), rgb(copied), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)


def test_equal_channels_just_add_up():
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    bias = torch.arange(4.0)
    folded = fold_channels(weight, bias, [0.5] * 3, [0.25] * 3)
    torch.testing.assert_close(folded.weight, weight.sum(1, keepdim=True))
    assert torch.equal(folded.bias, bias)
    assert (folded.mean, folded.std) == (0.5, 0.25)
