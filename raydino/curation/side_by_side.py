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

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[tuple[Item, Result]]:
    """Each of ``items`` and ``work`` of it, in their order; a CPU works on as many at a time as PyTorch has threads.

    ``items`` are taken as they are needed, so that no more than a few are in memory. Use it up, or close it. Raises
    what ``work`` raises.
    """
    n_threads = torch.get_num_threads() if device.type == "cpu" else 1
    if n_threads == 1:
        yield from ((item, work(item)) for item in items)
        return
    ahead: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(n_threads, "block", initializer=torch.set_num_threads, initargs=(1,))
    torch.set_num_threads(1)  # here too
    try:
        for item in items:
            ahead.append((item, pool.submit(work, item)))
            if len(ahead) > n_threads:
                first, result = ahead.popleft()
                yield first, result.result()
        for first, result in ahead:
            yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)  # MKL's number is the whole process's
