"""Block masks: exact counts, blocks rather than dots, and the spread of ratios over a batch."""

import numpy as np
import pytest

from raydino.config import parse_config
from raydino.data.masking import Masking, batch_masks, block_mask
from raydino.errors import UserError


@pytest.mark.parametrize("grid", [4, 6, 16])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_exact_number(grid, share):
    n = int(grid * grid * share)
    for seed in range(20):
        assert block_mask(n, grid, np.random.default_rng(seed)).sum() == n


def test_masks_are_blocks():
    """Masked patches touch each other far more often than scattered ones would."""

    def neighbours(mask):
        return (mask[1:] & mask[:-1]).sum() + (mask[:, 1:] & mask[:, :-1]).sum()

    rng = np.random.default_rng(0)
    blocks = np.mean([neighbours(block_mask(64, 16, rng)) for _ in range(50)])
    scattered = np.mean([neighbours(rng.permutation(np.arange(256) < 64).reshape(16, 16)) for _ in range(50)])
    assert blocks > 2.5 * scattered


def test_half_of_the_crops_and_a_bin_each():
    masks = batch_masks(64, 16, np.random.default_rng(1))
    shares = np.sort(masks.mean(axis=1))
    assert (shares == 0).sum() == 32
    edges = np.linspace(0.1, 0.5, 33)
    for share, low, high in zip(shares[32:], edges[:-1], edges[1:], strict=True):
        assert low - 1 / 256 <= share <= high


def test_a_tiny_grid_still_masks_something():
    assert batch_masks(4, 2, np.random.default_rng(0)).any(axis=1).sum() == 2


def test_options():
    masks = batch_masks(40, 16, np.random.default_rng(0), Masking(probability=0.25, ratio_min=0.6, ratio_max=0.8))
    shares = np.sort(masks.mean(axis=1))
    assert (shares == 0).sum() == 30
    assert shares[30] >= 0.6 - 1 / 256
    assert shares[-1] <= 0.8
    assert not batch_masks(40, 16, np.random.default_rng(0), Masking(probability=0.0)).any()


def test_a_share_of_the_crops_without_the_work_of_the_others():
    whole = batch_masks(12, 8, np.random.default_rng(4))
    assert np.array_equal(batch_masks(12, 8, np.random.default_rng(4), only=[7, 0, 11]), whole[[7, 0, 11]])
    assert len({mask.tobytes() for mask in whole[whole.any(axis=1)]}) == 6  # a draw of its own for each


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio_min": 0.6}, "ratio_min 0.6 is above ratio_max 0.5"),
        ({"probability": 1.5}, "'probability': Input should be less than or equal to 1"),
        ({"ratio": 0.5}, "did you mean 'ratio_min'|did you mean 'ratio_max'"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(UserError, match=message):
        parse_config(options, Masking)
