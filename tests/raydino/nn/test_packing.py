"""Packed tokens come apart as they went in."""

import torch

from raydino.nn.packing import Layout, pack, unpack


def test_round_trip():
    groups = [torch.randn(2, 5, 3), torch.randn(4, 2, 3)]
    tokens, layout = pack(groups)
    assert tokens.shape == (18, 3)
    assert layout == Layout(((2, 5), (4, 2)))
    for part, group in zip(unpack(tokens, layout), groups, strict=True):
        assert torch.equal(part, group)


def test_one_group_is_not_copied():
    group = torch.randn(2, 5, 3)
    tokens, layout = pack([group])
    assert tokens.data_ptr() == group.data_ptr()
    assert unpack(tokens, layout)[0].data_ptr() == group.data_ptr()


def test_boundaries():
    layout = Layout(((2, 5), (3, 2)))
    boundaries = layout.boundaries(torch.device("cpu"))
    assert boundaries.dtype == torch.int32
    assert boundaries.tolist() == [0, 5, 10, 12, 14, 16]
    assert layout.longest == 5
    assert layout.of([1, 0]).sizes == [5, 0]
