"""The program as a person meets it: help without torch, one line for a fault, exit codes."""

import json
import subprocess
import sys

import pytest

from raydino import cli
from raydino.cli import COMMANDS, run

VERBS = [
    "demo",
    "synth",
    "ingest",
    "pretrain",
    "import-weights",
    "export",
    "embed",
    "curate",
    "adapt",
    "read",
    "serve",
    "viewer",
    "audit",
    "inspect",
    "compare",
    "show",
    "doctor",
    "plugins",
]
HEAVY = ("torch", "pydicom", "monai", "transformers", "pandas", "sklearn", "cv2", "matplotlib")


def test_every_verb_is_there():
    assert set(COMMANDS.plugins()) == set(VERBS)


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS), ["adapt", "fit"], ["adapt", "predict"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys, json; from raydino.cli import run; code = run(sys.argv[1:]); "
        f"print(json.dumps([code, [m for m in {HEAVY!r} if m in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--help"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
    assert len(done.stdout) > 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pretrian"], "pretrian"),
        (["pretrain"], "Missing"),
        (["pretrain", "none.yaml", "--data", "none", "--out", "none"], "none.yaml: cannot read the config"),
        (["embed", "none", "--encoder", "none", "--out", "none"], "none: no such directory"),
        (["demo", "--patients", "many"], "--patients"),
    ],
)
def test_a_users_fault_is_one_line_and_exit_code_2(arguments, words, capsys):
    assert run(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("raydino: ")
    assert words in lines[0]


def test_our_fault_is_exit_code_1(monkeypatch, capsys):
    def broken() -> None:
        """Break."""
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(cli, "broken", broken, raising=False)
    monkeypatch.setitem(COMMANDS._builtin, "doctor", "raydino.cli:broken")
    assert run(["doctor"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError: ours" in error
    assert "fault of raydino" in error


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("raydino 0.")
