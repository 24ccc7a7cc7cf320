"""Two gloo processes with unequal numbers of samples give what one gives, and leave out a bad step together."""

import os
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist

CODE = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
import torch.distributed as dist
from raydino.ssl.centring import MovingAverageConfig, make_centring
from raydino.ssl.losses.koleo import koleo_in_groups
from raydino.ssl.sinkhorn import sinkhorn_knopp
from raydino.train.bad_steps import BadSteps
from raydino.train.loop import run_steps
from raydino.train.pace import Pace
from raydino.train.stopping import Stop

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def check(got, wanted):
    torch.testing.assert_close(got, wanted, atol=1e-12, rtol=0)


cut = int(sys.argv[1])
whole = randn(7, 5)
mine = (slice(0, cut), slice(cut, 7))[rank]
expected = torch.load(sys.argv[2], weights_only=True)
check(sinkhorn_knopp(whole[mine], 0.3), expected["targets"][mine])

centring = make_centring(MovingAverageConfig(), 5).double()
centring.targets(whole[mine], 0.3)
centring.end_step()
check(centring.centre, expected["centre"])

cls = randn(2, 6, 3)[:, 3 * rank : 3 * rank + 3].requires_grad_()
for name, group in (("all", None), ("six", 6), ("three", 3), ("two", 2)):
    value = koleo_in_groups(cls, group)
    (gradient,) = torch.autograd.grad(value, cls)
    value, gradient = value.detach(), gradient / 2  # gradients of parameters are averaged over ranks
    values = [torch.zeros_like(value) for _ in range(2)]
    dist.all_gather(values, value)
    check(sum(values) / 2, expected[f"koleo_{name}"])
    check(gradient, expected[f"koleo_{name}_gradient"][:, 3 * rank : 3 * rank + 3])


class Fit(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.student = torch.nn.Linear(1, 1)
        self.taught = 0

    def begin_step(self, step, optimizer):
        return {}

    def losses(self, batch):
        yield {"loss": self.student(batch).square().mean()}

    def clipped_parts(self):
        return {"student": self.student}

    def end_step(self):
        self.taught += 1


rows = []
method = Fit()
bad = torch.full((1, 1), torch.nan if rank == 1 else 1.0)
run_steps(
    method,
    torch.optim.AdamW(method.parameters()),
    iter([torch.ones(1, 1), bad, torch.ones(1, 1)]),
    first_step=0,
    last_step=3,
    clip_norm=1.0,
    autocast=torch.autocast("cpu", enabled=False),
    trackers=[SimpleNamespace(log=lambda step, metrics: rows.append(metrics))],
    log_every_steps=1,
    on_step=lambda done: {},
    bad_steps=BadSteps(Path(sys.argv[2]).parent, batch_size=2, max_in_a_row=2),
    stop=Stop(),
    pace=Pace(2, torch.device("cpu")),
)
assert [row["skipped_steps"] for row in rows] == [0, 1, 1], rows  # NaN on one rank, left out on both
assert method.taught == 2
dist.destroy_process_group()
"""


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
@pytest.mark.parametrize("cut", [4, 1, 0])
def test_two_processes_are_one(tmp_path, cut):
    from raydino.ssl.losses.koleo import koleo_in_groups
    from raydino.ssl.sinkhorn import sinkhorn_knopp

    def randn(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    scores, cls = randn(7, 5), randn(2, 6, 3).requires_grad_()
    expected = {"targets": sinkhorn_knopp(scores, 0.3), "centre": 0.1 * scores.mean(dim=0)}
    for name, group in (("all", None), ("six", 6), ("three", 3), ("two", 2)):
        value = koleo_in_groups(cls, group)
        expected[f"koleo_{name}"] = value.detach()
        expected[f"koleo_{name}_gradient"] = torch.autograd.grad(value, cls)[0]
    torch.save(expected, tmp_path / "expected.pt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, str(cut), str(tmp_path / "expected.pt")],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-2000:]
