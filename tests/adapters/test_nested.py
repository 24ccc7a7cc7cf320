"""Readouts in one vector, against each by itself in float64."""

import pytest
import torch

from adapters.nested import Nested
from raydino.encoder import EncoderOutput
from raydino.readout import readout

B, D = 4, 5
SETS = [
    (["cls"], 1),
    (["grid_3"], 9),
    (["cls_mean"], 2),
    (["cls", "cls_mean", "grid_3", "grid_6"], 1 + 36),
    (["grid_6", "cls", "grid_2", "cls_mean", "grid_1"], 1 + 36),
    (["grid_4", "grid_6", "grid_3", "grid_2", "cls_mean"], 1 + 36 + 16),
]
every_set = pytest.mark.parametrize(("kinds", "n_rows"), SETS)


def output(height: int, width: int) -> EncoderOutput:
    generator = torch.Generator().manual_seed(height + width)
    cls = torch.randn(B, D, generator=generator, dtype=torch.float64)
    patches = torch.randn(B, height, width, D, generator=generator, dtype=torch.float64)
    return EncoderOutput(cls, torch.zeros(B, 0, D), patches)


@every_set
@pytest.mark.parametrize(("height", "width"), [(14, 14), (6, 6), (5, 7), (12, 3)])
def test_every_readout_is_a_turn_of_its_rows(kinds: list[str], n_rows: int, height: int, width: int) -> None:
    nested, tokens = Nested(kinds), output(height, width)
    read = nested.read(tokens)
    assert read.shape == (B, n_rows, D)
    for kind in kinds:
        alone = Nested([kind]).read(tokens)
        turned = [turn @ read[:, rows] for rows, turn in zip(nested.rows(kind), nested.turns(kind), strict=True)]
        torch.testing.assert_close(torch.cat(turned, dim=1), alone)
        columns = readout(tokens, kind)  # a grid's are [D, cells]
        torch.testing.assert_close(alone.flatten(1) if kind.startswith("cls") else alone.mT.flatten(1), columns)
        for turn in nested.turns(kind):
            torch.testing.assert_close(turn @ turn.T, torch.eye(len(turn)).double() * turn[0].square().sum())


@every_set
def test_parts_make_up_the_rows_of_every_readout(kinds: list[str], n_rows: int) -> None:
    nested = Nested(kinds)
    assert [row for part in nested.parts for row in range(part.start, part.stop)] == list(range(n_rows))
    for kind in kinds:
        for rows in nested.rows(kind):
            within = [p for p in nested.parts if rows.start <= p.start and p.stop <= rows.stop]
            assert (within[0].start, within[-1].stop) == (rows.start, rows.stop)
