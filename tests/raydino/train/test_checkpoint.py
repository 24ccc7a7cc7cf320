"""Checkpoints are whole, the newest are kept, a failed write costs nothing, and nothing in them is run."""

import os
import pickle

import pytest
import torch

from raydino.errors import UserError
from raydino.train.checkpoint import (
    Checkpoints,
    load_checkpoint,
    newest_checkpoint,
    read_facts,
    stored_tensors,
)
from raydino.train.checkpoint import _CommittingWriter as Writer


def state(value: float) -> dict[str, torch.Tensor]:
    return {"a": torch.full((2, 3), value), "steps": torch.tensor(value), "wide": torch.tensor([value]).double()}


def saved(directory, *steps):
    checkpoints = Checkpoints(directory)
    for step in steps:
        checkpoints.save(step, state(float(step)), {"parallel": "one"})
    checkpoints.wait()
    return checkpoints


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_round_trip_and_pruning(tmp_path):
    saved(tmp_path, 5, 10, 15)
    assert names(tmp_path) == ["step-00000010", "step-00000015"]
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert read_facts(newest) == {"format": 2, "step": 15, "world_size": 1, "parallel": "one"}
    loaded = load_checkpoint(newest)
    for name, tensor in state(15.0).items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert stored_tensors(newest)["steps"].shape == ()


def test_a_save_keeps_the_state_of_its_moment(tmp_path):
    tensors = {"a": torch.zeros(1000, 1000)}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, tensors, {})
    tensors["a"].fill_(1.0)  # the training goes on
    checkpoints.wait()
    assert float(load_checkpoint(tmp_path / "step-00000001")["a"].abs().max()) == 0.0


def test_none_yet(tmp_path):
    assert newest_checkpoint(tmp_path / "none") is None


def test_a_half_written_one_does_not_count(tmp_path):
    saved(tmp_path, 1)
    (tmp_path / ".step-00000002.partial").mkdir()
    (tmp_path / "step-00000003").mkdir()  # no checkpoint.json: not ours, or not whole
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000001"


@pytest.mark.parametrize("place", ["write_data", "finish"])
def test_a_writer_that_fails_later_keeps_the_old_one(tmp_path, monkeypatch, place):
    checkpoints = saved(tmp_path, 1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, place, full)
    checkpoints.save(2, state(2.0), {})  # returns: the fault is in the background
    with pytest.raises(UserError, match="step 2 cannot be written .*No space left on device.*--resume") as raised:
        checkpoints.wait()
    assert "\n" not in str(raised.value)
    assert names(tmp_path) == ["step-00000001"]
    monkeypatch.undo()
    checkpoints.save(3, state(3.0), {})
    checkpoints.wait()
    assert names(tmp_path) == ["step-00000001", "step-00000003"]


def test_poll_tells_of_a_fault_and_waits_for_nothing(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path)
    checkpoints.poll()
    monkeypatch.setattr(Writer, "finish", lambda *_, **__: os.stat(tmp_path / "gone"))
    checkpoints.save(1, state(1.0), {})
    assert checkpoints._pending is not None
    checkpoints._pending.exception()  # waits, so that the next poll finds it done
    with pytest.raises(UserError, match="cannot be written"):
        checkpoints.poll()
    checkpoints.poll()  # told once


class Evil:
    def __reduce__(self):
        return print, ("ran",)


def test_no_pickle_is_written_and_none_is_run(tmp_path, capsys):
    saved(tmp_path, 1)
    path = tmp_path / "step-00000001"
    assert names(path) == ["checkpoint.json", "shard-00001-model-00001-of-00001.safetensors"]
    (path / ".metadata").write_bytes(pickle.dumps(Evil()))  # where DCP's own format would look
    assert set(load_checkpoint(path)) == set(state(1.0))
    (path / "shard-00001-model-00001-of-00001.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)
    assert "ran" not in capsys.readouterr().out


def test_another_format(tmp_path):
    saved(tmp_path, 1)
    (tmp_path / "step-00000001" / "checkpoint.json").write_text('{"format": 7, "step": 1}')
    with pytest.raises(UserError, match="format 7, not 2"):
        load_checkpoint(tmp_path / "step-00000001")
    (tmp_path / "step-00000001" / "checkpoint.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_facts(tmp_path / "step-00000001")
