"""Blocks of vectors side by side, each on a thread of its own.

An operation on one block takes microseconds, and many do not run on several threads at all; shared among the cores one
by one they leave most of these idle. So each thread takes whole blocks, and PyTorch one core in each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Places = TypeVar("Places")
Block = TypeVar("Block")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Places, Block], Result], blocks: Iterable[tuple[Places, Block]], device: torch.device
) -> Iterator[tuple[Places, Block, Result]]:
    """Places, block, and ``work`` of them, in the order of ``blocks``; a CPU works on as many at a time as PyTorch has
    threads.

    Blocks are taken as they are needed, so that no more than a few are in memory. Use it up, or close it. Raises what
    ``work`` raises.
    """
    n_threads = torch.get_num_threads() if device.type == "cpu" else 1
    if n_threads == 1:
        yield from ((places, block, work(places, block)) for places, block in blocks)
        return
    ahead: deque[tuple[Places, Block, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(n_threads, "block", initializer=torch.set_num_threads, initargs=(1,))
    torch.set_num_threads(1)  # here too: threads of OpenMP that wait would take the cores from ours
    try:
        for places, block in blocks:
            ahead.append((places, block, pool.submit(work, places, block)))
            if len(ahead) > n_threads:
                yield _finished(*ahead.popleft())
        while ahead:
            yield _finished(*ahead.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)  # MKL's number is the whole process's


def _finished(places: Places, block: Block, result: Future[Result]) -> tuple[Places, Block, Result]:
    return places, block, result.result()
