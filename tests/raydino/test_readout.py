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


def test_a_token_in_two_cells_counts_in_each_by_its_area():
    tokens = torch.tensor([1.0, 10.0, 100.0]).expand(1, 1, 3).mT.expand(1, 3, 3).unsqueeze(3)  # rows of three tokens
    made = readout(EncoderOutput(torch.zeros(1, 1), torch.zeros(1, 0, 1), tokens), "grid_2").view(2, 2)
    expected = torch.tensor([(1 + 10 / 2) / 1.5, (10 / 2 + 100) / 1.5])
    torch.testing.assert_close(made, expected[:, None].expand(2, 2))


def test_all_tokens_count_alike_in_a_grid():
    tokens = torch.randn(2, 14, 10, 3, generator=generator)
    made = readout(EncoderOutput(torch.zeros(2, 3), torch.zeros(2, 0, 3), tokens), "grid_6").view(2, 3, 36)
    torch.testing.assert_close(made.mean(2), tokens.mean((1, 2)))
