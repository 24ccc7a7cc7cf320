"""Files of others: what is no checkpoint, is cut off or wants to run code is refused in one line."""

import argparse
import json
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from raydino.errors import UserError
from raydino.weights.files import read_checkpoint, read_json, read_tensors, sha256_of, weight_files


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_run(zipped, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if zipped:
        torch.save({"cls_token": torch.zeros(1), "extra": Bomb()}, "bomb.pth", pickle_protocol=protocol)
    else:
        (tmp_path / "bomb.pth").write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    with pytest.raises(UserError) as fault:
        read_checkpoint(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()
    assert "\n" not in str(fault.value)
    if zipped and protocol == 2:  # that of torch.save; torch's reader knows no other
        assert "its pickle would run posix.mkdir, and raydino loads tensors only; save the tensors" in str(fault.value)


def test_the_class_that_is_wanted_is_named(tmp_path):
    torch.save({"args": argparse.Namespace(lr=1.0), "model": {"a": torch.zeros(2)}}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"would run argparse.Namespace, and"):
        read_checkpoint(tmp_path / "w.pth")


def _zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "b")


def _half(path):
    torch.save({"a": torch.zeros(3000)}, path)
    path.write_bytes(path.read_bytes()[:6000])


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"hello world, this is a text"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        lambda path: path.write_bytes(pickle.dumps({"a": [1, 2]}, protocol=4)),
        _zip,
        _half,
    ],
)
def test_no_checkpoint(write, name, tmp_path):
    write(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}: cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / name)


def test_both_kinds_of_torch_files(tmp_path):
    for new in (True, False):
        torch.save({"a": torch.arange(3)}, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
        assert read_checkpoint(tmp_path / "w.pth")["a"].tolist() == [0, 1, 2]


def test_weights_of_a_directory(tmp_path):
    with pytest.raises(UserError, match="holds no model.safetensors"):
        weight_files(tmp_path)
    torch.save({"a": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    assert [path.name for path in weight_files(tmp_path)] == ["pytorch_model.bin"]
    for part in "ab":
        save_file({part: torch.ones(2)}, tmp_path / f"part-{part}.safetensors")
    index = {"weight_map": {"a": "part-a.safetensors", "b": "part-b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    files = weight_files(tmp_path)
    assert set(read_tensors(files)) == {"a", "b"}
    assert set(sha256_of(files)) == {"part-a.safetensors", "part-b.safetensors"}
    index["weight_map"]["c"] = "../elsewhere.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"names the file '../elsewhere.safetensors', which is not beside it"):
        weight_files(tmp_path)


def test_json(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(UserError, match="is not a JSON object"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        read_json(tmp_path / "b.json")
