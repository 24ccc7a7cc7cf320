"""Blocks on threads: in order, a few at a time, one core each, and errors come out."""

import threading

import pytest
import torch

from raydino.curation.side_by_side import side_by_side
from raydino.errors import UserError

CPU = torch.device("cpu")


def numbered(n):
    return [(item, f"block {item}") for item in range(n)]


@pytest.fixture(params=[1, 3])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(n_threads):
    first_may_end = threading.Event()

    def work(item, _):
        if item == 0 and n_threads > 1:
            assert first_may_end.wait(10)  # the second is done before the first
        first_may_end.set()
        return item * item

    found = list(side_by_side(work, numbered(9), CPU))
    assert found == [(item, f"block {item}", item * item) for item in range(9)]


def test_each_thread_has_one_core_and_the_rest_comes_back(n_threads):
    found = list(side_by_side(lambda *_: (torch.get_num_threads(), threading.get_ident()), numbered(8), CPU))
    assert {cores for *_, (cores, _) in found} == {1}
    assert (threading.get_ident() in {thread for *_, (_, thread) in found}) == (n_threads == 1)
    assert torch.get_num_threads() == n_threads


def test_items_are_taken_as_they_are_needed(n_threads):
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item, None

    working = side_by_side(lambda item, _: item, items(), CPU)
    next(working)
    assert len(taken) <= n_threads + 1
    working.close()
    assert len(taken) <= n_threads + 1
    assert torch.get_num_threads() == n_threads


def test_an_error_ends_it(n_threads):
    def work(item, _):
        if item == 2:
            raise UserError("the third is broken")
        return item

    working = side_by_side(work, numbered(100), CPU)
    assert [next(working)[0], next(working)[0]] == [0, 1]
    with pytest.raises(UserError, match="the third is broken"):
        next(working)
    assert torch.get_num_threads() == n_threads
