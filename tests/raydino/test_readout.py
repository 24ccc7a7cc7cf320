"""Each readout against its definition."""

import torch

from raydino.encoder import EncoderOutput
from raydino.readout import readout, readout_width

generator = torch.Generator().manual_seed(0)
OUTPUT = EncoderOutput(
    torch.randn(3, 5, generator=generator),
    torch.randn(3, 2, 5, generator=generator),
    torch.randn(3, 6, 6, 5, generator=generator),
)


def test_each_kind_has_its_width():
    for kind in ("cls", "cls_mean", "grid_1", "grid_3", "grid_4", "grid_6"):
        assert readout(OUTPUT, kind).shape == (3, readout_width(kind, 5))


def test_cls_and_mean():
    made = readout(OUTPUT, "cls_mean")
    torch.testing.assert_close(made[:, :5], OUTPUT.cls)
    torch.testing.assert_close(made[:, 5:], OUTPUT.patches.mean((1, 2)))
    torch.testing.assert_close(made[:, 5:], readout(OUTPUT, "grid_1"))


def test_a_grid_keeps_where_things_are():
    made = readout(OUTPUT, "grid_3").view(3, 5, 3, 3)
    torch.testing.assert_close(made[:, :, 0, 2], OUTPUT.patches[:, :2, 4:].mean((1, 2)))
