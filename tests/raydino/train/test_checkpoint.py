"""Checkpoints are whole, the newest are kept, and nothing in them is run."""

import pickle

import pytest
import torch

from raydino.errors import UserError
from raydino.train.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint


def test_round_trip_and_pruning(tmp_path):
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, step, {"weights": {"a": torch.full((2,), float(step))}})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010.pt", "step-00000015.pt"]
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    state = load_checkpoint(newest)
    assert state["step"] == 15
    assert state["weights"]["a"].tolist() == [15.0, 15.0]


def test_none_yet(tmp_path):
    assert newest_checkpoint(tmp_path / "none") is None


def test_a_failed_write_keeps_the_old_one(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, {})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left on device.*--resume"):
        save_checkpoint(tmp_path, 2, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001.pt"]


class Evil:
    def __reduce__(self):
        return print, ("ran",)


def test_foreign_pickles_are_not_run(tmp_path, capsys):
    path = tmp_path / "step-00000001.pt"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)
    assert "ran" not in capsys.readouterr().out


def test_another_format(tmp_path):
    torch.save({"format": 7}, tmp_path / "step-00000001.pt")
    with pytest.raises(UserError, match="format 7, not 1"):
        load_checkpoint(tmp_path / "step-00000001.pt")
