"""The collectives in one process, where they change nothing, and in two, which run ``main``."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from raydino.errors import UserError
from raydino.train.distributed import (
    agreed_max,
    all_max,
    all_sum,
    gather_rows,
    mean_over_ranks,
    process_group,
    rank,
    wait_for_all,
    world_size,
)


def main() -> None:
    with process_group():
        mine = torch.tensor([1.0 + rank(), -1.0 * rank()])
        assert world_size() == 2
        assert all_sum(mine).tolist() == [3.0, -1.0]
        assert all_max(mine).tolist() == [2.0, 0.0]
        assert mine.tolist() == [1.0 + rank(), -1.0 * rank()]  # what was given stays
        assert mean_over_ranks({"a": float(rank()), "b": 4.0}) == {"a": 0.5, "b": 4.0}
        assert agreed_max(3.0 if rank() == 1 else 0.0) == 3.0
        rows = torch.full((2, 3), float(rank()), requires_grad=True)
        gathered = gather_rows(rows)
        assert gathered[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
        (gathered * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]).sum().backward()
        # Both ranks have this loss: the gradient is that of their sum.
        expected = [[2.0] * 3, [4.0] * 3] if rank() == 0 else [[6.0] * 3, [8.0] * 3]
        assert rows.grad is not None
        assert rows.grad.tolist() == expected
        wait_for_all()
        print(f"rank {rank()} good", flush=True)


def start(command: list[str], **env: str) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env)


def test_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    pair = [start([sys.executable, __file__], RANK=str(r), **common) for r in range(2)]
    for number, process in enumerate(pair):
        out, err = process.communicate(timeout=100)
        assert out == f"rank {number} good\n", err


def test_one_process_is_as_it_was():
    value = torch.tensor([1.0, 2.0])
    with process_group():
        assert (rank(), world_size()) == (0, 1)
        assert all_sum(value) is all_max(value) is gather_rows(value) is value
        assert mean_over_ranks({"a": 2.0}) == {"a": 2.0}
        assert agreed_max(7.0) == 7.0


def test_an_environment_that_is_not_whole(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UserError, match="do not reach each other .*MASTER_ADDR.*torchrun"), process_group():
        pass


if __name__ == "__main__":
    main()
