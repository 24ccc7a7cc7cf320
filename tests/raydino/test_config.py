"""Configs: YAML floats, overrides, and one clear line for every fault."""

from typing import Literal

import pytest

from raydino.config import Config, load_config
from raydino.errors import UserError


class Inner(Config):
    peak_lr: float
    warmup_steps: int = 0


class Outer(Config):
    optimizer: Inner
    kind: Literal["a", "b"] = "a"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("optimizer:\n  peak_lr: 1e-3\n")
    return file


def test_exponents_without_a_point_are_numbers(path):
    assert load_config(path, Outer).optimizer.peak_lr == 0.001


def test_overrides_are_yaml(path):
    loaded = load_config(path, Outer, ["optimizer.warmup_steps=7", "optimizer.peak_lr=2e-4", "kind=b"])
    assert loaded.resolved() == {"optimizer": {"peak_lr": 0.0002, "warmup_steps": 7}, "kind": "b"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.peek_lr=1", r"unknown key 'optimizer.peek_lr'; did you mean 'peak_lr'\?"),
        ("optimizers.peak_lr=1", r"unknown key 'optimizers'; did you mean 'optimizer'\?"),
        ("optimizer.warmup_steps=1.5", "'optimizer.warmup_steps': Input should be a valid integer.*got 1.5"),
        ("kind=c", "'kind': Input should be 'a' or 'b'"),
        ("optimizer=3", "'optimizer': Input should be a valid dictionary"),
        ("kind", "cannot read --set 'kind'; write it as --set section.key=value"),
    ],
)
def test_faults_name_the_path(path, override, message):
    with pytest.raises(UserError, match=message) as caught:
        load_config(path, Outer, [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {peak_lr: 1, peak_lr: 2}", "'peak_lr' stands twice"),
        ("optimizer: {", "not valid YAML"),
        ("- 1", "must be a mapping"),
        ("kind: a", "missing key 'optimizer'"),
        ("optimizer: {peek_lr: 1}", r"unknown key 'optimizer.peek_lr'; did you mean 'peak_lr'\?"),
    ],
)
def test_broken_files(path, text, message):
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_config(path, Outer)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot read the config"):
        load_config(tmp_path / "none.yaml", Outer)
