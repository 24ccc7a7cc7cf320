"""The loop: parts of a step add up, and a step that is not finite is left out whole."""

import math
from typing import NamedTuple

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from raydino.errors import UserError
from raydino.train.bad_steps import BadSteps
from raydino.train.loop import run_steps
from raydino.train.pace import Pace
from raydino.train.stopping import Stop


class Numbers(NamedTuple):
    values: Tensor


class Mean(nn.Module):
    """Fits ``weight`` to the values; keeps a running mean of it, as a teacher would."""

    def __init__(self, parts: int = 1) -> None:
        super().__init__()
        self.student = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.student.weight)
        self.parts, self.average, self.begun = parts, 0.0, []

    def begin_step(self, step, optimizer):
        self.begun.append(step)
        return {"step_seen": float(step)}

    def losses(self, batch):
        for values in batch.values.chunk(self.parts):
            yield {"loss": (self.student.weight - values).square().sum() / len(batch.values), "n": torch.ones(())}

    def clipped_parts(self):
        return {"student": self.student}

    def end_step(self):
        self.average += 0.5 * (float(self.student.weight.detach()) - self.average)


class Rows(list):
    def log(self, step, metrics):
        self.append({"step": step, **metrics})


def run(method, values, tmp_path, *, max_in_a_row=2, log_every_steps=1, clip_norm=100.0):
    rows = Rows()
    optimizer = torch.optim.AdamW(method.parameters(), lr=0.1)
    run_steps(
        method,
        optimizer,
        (Numbers(torch.tensor(v)) for v in values),
        first_step=0,
        last_step=len(values),
        clip_norm=clip_norm,
        autocast=torch.autocast("cpu", enabled=False),
        trackers=[rows],
        log_every_steps=log_every_steps,
        on_step=lambda done: {},
        bad_steps=BadSteps(tmp_path / "bad", batch_size=2, max_in_a_row=max_in_a_row),
        stop=Stop(),
        pace=Pace(2, torch.device("cpu")),
    )
    return rows, optimizer


GOOD, BAD = [1.0, 2.0], [1.0, math.nan]


def test_parts_add_up(tmp_path):
    whole, parted = Mean(), Mean(parts=2)
    one, _ = run(whole, [GOOD] * 4, tmp_path)
    two, _ = run(parted, [GOOD] * 4, tmp_path)
    assert torch.equal(whole.student.weight, parted.student.weight)
    assert [row["loss"] for row in one] == pytest.approx([row["loss"] for row in two])
    assert [row["n"] for row in two] == [2.0] * 4


def test_a_bad_step_changes_nothing_and_the_rest_goes_on(tmp_path):
    with_bad, without = Mean(), Mean()
    rows, optimizer = run(with_bad, [GOOD, BAD, GOOD], tmp_path)
    _, other = run(without, [GOOD, GOOD], tmp_path)
    assert torch.equal(with_bad.student.weight, without.student.weight)
    assert with_bad.average == without.average
    for one, two in zip(optimizer.state.values(), other.state.values(), strict=True):
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert with_bad.begun == [0, 1, 2]  # schedules go on with the number of the step
    assert [row["skipped_steps"] for row in rows] == [0.0, 1.0, 1.0]


def test_a_bad_step_is_always_logged(tmp_path):
    rows, _ = run(Mean(), [GOOD, BAD, GOOD, GOOD], tmp_path, log_every_steps=4)
    assert [row["step"] for row in rows] == [2, 4]


def test_its_batch_is_kept(tmp_path):
    run(Mean(), [GOOD, GOOD, BAD], tmp_path)
    (path,) = (tmp_path / "bad").iterdir()
    assert path.name == "step-00000002.safetensors"
    kept = load_file(path)
    assert kept["values"][0] == 1.0
    assert kept["values"][1].isnan()
    assert kept["positions"].tolist() == [4, 5]
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"step": "2"}


def test_few_batches_are_kept(tmp_path):
    run(Mean(), [BAD, GOOD] * 6, tmp_path)
    assert len(list((tmp_path / "bad").iterdir())) == 3


def test_a_row_of_them_ends_the_run(tmp_path):
    method = Mean()
    with pytest.raises(UserError, match=r"step 3 is not finite, nor of the 1 before .*loss nan.*last checkpoint"):
        run(method, [BAD, GOOD, BAD, BAD, GOOD], tmp_path)
    assert method.begun == [0, 1, 2, 3]


def test_an_infinite_gradient_counts_as_well(tmp_path):
    class Steep(Mean):
        def losses(self, batch):
            yield {"loss": (self.student.weight.abs() * batch.values.abs().max()).sqrt().sum()}  # infinite slope at 0

    method = Steep()
    with pytest.raises(UserError, match=r"step 0 is not finite \(grad_norm/student"):
        run(method, [GOOD], tmp_path, max_in_a_row=1)
    assert method.student.weight.item() == 0.0


def test_a_full_disk_does_not_end_it(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("raydino.train.bad_steps.save_file", full)
    rows, _ = run(Mean(), [BAD, GOOD], tmp_path)
    assert len(rows) == 2
