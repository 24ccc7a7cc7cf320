"""Stochastic depth: which crops a branch sees, with what factor, and that a step's draws can be repeated."""

import pytest
import torch

from raydino.nn.block import Block
from raydino.nn.drop_path import DropPath, add_residual, reseed_drop_path, set_drop_path
from raydino.nn.packing import Layout, pack

CPU = torch.device("cpu")
LAYOUT = Layout(((10, 3), (20, 2)))


def drop_path(rate: float, step: int = 0) -> DropPath:
    made = DropPath()
    made.rate = rate
    made.reseed(7, step, 0)
    return made


def test_a_subset_of_each_group():
    kept = drop_path(0.4).draw(LAYOUT, CPU)
    assert kept.layout == Layout(((6, 3), (12, 2)))
    first, second = kept.rows.split([18, 24])
    crops = first.view(6, 3)
    assert torch.equal(crops, crops[:, :1] + torch.arange(3))  # whole crops
    assert (crops[:, 0] % 3 == 0).all()
    assert len(crops[:, 0].unique()) == 6
    assert first.max() < 30 <= second.min()
    assert second.max() < 70
    assert kept.scale.flatten().tolist() == pytest.approx(18 * [10 / 6] + 24 * [20 / 12])


def test_at_least_one_crop_is_kept():
    assert drop_path(0.9).draw(Layout(((3, 2),)), CPU).layout == Layout(((1, 2),))


def test_up_to_a_tenth_each_crop_by_itself():
    kept = drop_path(0.1).draw(Layout(((5000, 2),)), CPU)
    assert kept.rows is None
    crops = kept.scale.view(5000, 2)
    assert torch.equal(crops[:, 0], crops[:, 1])
    assert crops.unique().tolist() == pytest.approx([0.0, 1 / 0.9])
    assert float((crops == 0).float().mean()) == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_the_mean_residual_is_that_of_all_crops(rate):
    made, tokens = drop_path(rate), torch.zeros(70, 1)
    residuals = torch.arange(70.0)[:, None]
    total = torch.zeros(70, 1)
    for _ in range(2000):
        kept = made.draw(LAYOUT, CPU)
        rows = torch.arange(70) if kept.rows is None else kept.rows
        total += add_residual(lambda x, layout, rows=rows: residuals[rows], tokens, LAYOUT, kept)
    torch.testing.assert_close(total / 2000, residuals, rtol=0.12, atol=0.0)


def test_draws_are_a_function_of_seed_and_step():
    once, again, next_step = drop_path(0.5), drop_path(0.5), drop_path(0.5, step=1)
    rows = [made.draw(LAYOUT, CPU).rows.tolist() for made in (once, again, next_step, once)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]
    assert rows[0] != rows[3]  # the second branch of a block


def test_blocks_draw_by_themselves_and_nothing_in_eval():
    blocks = torch.nn.Sequential(*(Block(8, 2, 2.0, "mlp", 1.0) for _ in range(2)))
    set_drop_path(blocks, 0.5)
    reseed_drop_path(blocks, 0, 3)
    assert {block.drop_path.rate for block in blocks} == {0.5}
    one, other = (block.drop_path.draw(LAYOUT, CPU).rows.tolist() for block in blocks)
    assert one != other
    assert blocks.eval()[0].drop_path.draw(LAYOUT, CPU) is None
    assert set(blocks.state_dict()) == set(
        torch.nn.Sequential(*(Block(8, 2, 2.0, "mlp", 1.0) for _ in range(2))).state_dict()
    )


@pytest.mark.parametrize("rate", [0.08, 0.5])
def test_a_block_adds_the_scaled_residuals_of_the_kept_crops(rate):
    torch.manual_seed(0)
    block = Block(8, 2, 2.0, "mlp", 1.0).double()
    set_drop_path(block, rate)
    groups = [torch.randn(10, 3, 8, dtype=torch.float64), torch.randn(20, 2, 8, dtype=torch.float64)]
    tokens, layout = pack(groups)
    reseed_drop_path(block, 1, 2)
    first, second = (block.drop_path.draw(layout, CPU) for _ in range(2))
    expected = []
    for branch, kept in ((lambda x: block.attn(block.norm1(x)), first), (lambda x: block.ffn(block.norm2(x)), second)):
        factors = torch.zeros(70, 1, dtype=torch.float64)
        factors[slice(None) if kept.rows is None else kept.rows] = kept.scale.double()
        parts = [
            g + branch(g) * f.unflatten(0, g.shape[:2]) for g, f in zip(groups, factors.split([30, 40]), strict=True)
        ]
        groups = expected = parts
    reseed_drop_path(block, 1, 2)
    torch.testing.assert_close(block(tokens, layout), pack(expected)[0], atol=1e-6, rtol=0)
    reseed_drop_path(block, 1, 2)
    dense = torch.randn(10, 3, 8, dtype=torch.float64)
    assert block(dense).shape == dense.shape
