"""The hand-written backward pass against autograd of the formula and against differences."""

import torch

from raydino.nn.packing import Layout
from raydino.nn.plain_attention import plain, softmax_attention


def test_formula_of_one_query():
    query, key = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    value = torch.tensor([[[1.0], [3.0]]])
    first = torch.exp(torch.tensor(2 / 2**0.5))
    torch.testing.assert_close(softmax_attention(query, key, value), ((first + 3) / (first + 1)).view(1, 1, 1))


def test_gradient_against_differences():
    qkv = torch.randn(7, 3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: plain(x, Layout(((1, 3), (2, 2)))), (qkv,))


def test_no_gradient_no_memory():
    qkv = torch.randn(6, 3, 1, 4)
    assert plain(qkv, Layout(((2, 3),))).grad_fn is None
