"""The table of sizes gives networks with the published numbers of parameters."""

import pytest
import torch

from raydino.nn.sizes import SIZES, name_of, vit_config
from raydino.nn.vit import VisionTransformer


@pytest.mark.parametrize(("size", "millions"), [("ti", 5.5), ("s", 22), ("b", 86), ("l", 304), ("g", 1136)])
def test_parameters(size, millions):
    with torch.device("meta"):
        vit = VisionTransformer(vit_config(size, patch_size=14, image_size=224, channels=3))
    count = sum(parameter.numel() for parameter in vit.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.02)


def test_names():
    assert [name_of(vit_config(size, patch_size=16, image_size=512)) for size in SIZES] == [
        "ViT-Ti/16",
        "ViT-S/16",
        "ViT-B/16",
        "ViT-L/16",
        "ViT-g/16",
    ]
    assert name_of(vit_config("s", patch_size=8, image_size=32, depth=3)) == "ViT/8 of width 384 and 3 blocks"
    assert vit_config("l", patch_size=14, image_size=224, ffn="swiglu").ffn == "swiglu"
